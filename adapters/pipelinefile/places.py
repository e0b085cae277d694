"""Problems with the file and the line that they stand on."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from adapters.pipelinefile.document import Document, Unreadable, with_step_ids
from domain.errors import Rejection
from domain.pipeline.problems import Problem


class PipelineFile(Struct, frozen=True, kw_only=True):
    """A pipeline file as read from disk."""

    path: Path
    pipeline: str
    spec: dict[str, object]
    """The file's values, structure and names checked."""
    files: Mapping[str, str]
    """SQL files and first-party Python modules that it names: path relative to `root` → text."""
    root: str
    """The folder that relative paths start from: the file's own."""
    lines: Mapping[str, int]
    """Path in the spec, by step's place and by step's id → line."""
    texts: Mapping[str, int] = {}
    """Path of a text block → line of its first line."""

    def line(self, path: str) -> int:
        """The line of `path`, or of the nearest thing around it that has one."""
        return nearest(self.lines, path)

    def place(self, path: str, text_line: int | None = None) -> str:
        """`flights.yaml:14 steps.flown.rules[1]`; `text_line` counts within the text at `path`."""
        line = self.line(path)
        if text_line is not None and path in self.texts:
            line = self.texts[path] + text_line - 1
        return placed(self.path, line, path)

    def placed(self, rejection: Rejection) -> Rejection:
        """The same rejection, each of whose problems says its `line` and its `place`."""
        problems = rejection.details.get("problems")
        if not isinstance(problems, list):
            return rejection
        told = []
        for problem in problems:
            path, text_line = str(problem.get("path", "")), problem.get("text_line")
            place = self.place(path, text_line if isinstance(text_line, int) else None)
            line = int(place.partition(" ")[0].rpartition(":")[2])
            told.append({**problem, "line": line, "place": place})
        return _rejection(self.path, told)


def nearest(lines: Mapping[str, int], path: str) -> int:
    """The line of `path`, or of the nearest thing around it that has one; else the first."""
    while path:
        if path in lines:
            return lines[path]
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return lines.get("", 1)


def placed(file: Path, line: int, path: str) -> str:
    """`flights.yaml:14 steps.flown.rules[1]`."""
    return f"{file.name}:{line} {path}".rstrip()


def unreadable(file: Path, error: Unreadable) -> Rejection:
    """The rejection of a file that is no document."""
    return _rejection(
        file,
        [
            _problem(file, one.line, Problem(path=one.path, message=one.message, hint=one.hint))
            for one in error.mistakes
        ],
    )


def unusable(file: Path, problems: Sequence[Problem], document: Document | None) -> Rejection:
    """The rejection of a file whose values are not those of a pipeline."""
    lines = with_step_ids(document).lines if document else {}
    by_line = sorted(problems, key=lambda problem: nearest(lines, problem.path))
    return _rejection(file, [_problem(file, nearest(lines, one.path), one) for one in by_line])


def _problem(file: Path, line: int, problem: Problem) -> dict[str, object]:
    return {
        "path": problem.path,
        "message": problem.message,
        "hint": problem.hint,
        "line": line,
        "place": placed(file, line, problem.path),
    }


def _rejection(file: Path, problems: list[dict[str, object]]) -> Rejection:
    first = problems[0]
    message = f"{first['place']}: {first['message']}"
    if len(problems) > 1:
        message += f" (and {len(problems) - 1} more)"
    details: dict[str, object] = {"file": str(file), "problems": problems}
    return Rejection("invalid_pipeline", message, details)
