"""The outermost frame: every error becomes words and an exit code, and none a traceback."""

import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from domain.errors import HeadwaterError, Malformed, Rejection
from runtime.cli.console import Console
from runtime.cli.exits import Exit, exit_of, main_cause


class Guard:
    """Lets nothing pass. `code` is the exit code."""

    def __init__(self, console: Console, words: Sequence[str]) -> None:
        self.code: int = Exit.DONE
        self._console = console
        self._words = words

    def __enter__(self) -> "Guard":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if error is None:
            return True
        cause = main_cause(error)
        if isinstance(cause, SystemExit):
            return False
        if isinstance(cause, BrokenPipeError):
            self._reader_has_gone()
            return True
        self.code = exit_of(cause)
        if self.code == Exit.DEFECT:
            self._report(error)
        elif isinstance(cause, HeadwaterError):
            tell(self._console, cause)
        else:
            self._console.note("Interrupted.")
        return True

    def _reader_has_gone(self) -> None:
        """Whoever read our data has had enough, such as `head`."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _report(self, error: BaseException) -> None:
        path = _write_report(self._words, error)
        last = "".join(traceback.format_exception_only(main_cause(error))).strip()
        self._console.error(
            f"headwater has made a mistake of its own: {last.splitlines()[0]}",
            f"please report it with {path}",
        )


def tell(console: Console, error: HeadwaterError) -> None:
    """What, where, and what to do."""
    hint = error.hint
    what = error.message
    if isinstance(error, Rejection):
        hint = hint or str(error.details.get("hint", ""))
        problems = error.details.get("problems")
        if isinstance(problems, list):
            for problem in problems:
                place = problem.get("place") or problem.get("path", "")
                said = f"{place}: {problem['message']}" if place else str(problem["message"])
                console.error(said, str(problem.get("hint", "")))
            return
    elif isinstance(error, Malformed) and error.path:
        what = f"{error.path}: {what}"
    console.error(what, hint)


def _write_report(words: Sequence[str], error: BaseException) -> Path:
    now = datetime.now(UTC)
    text = "\n".join(
        [
            f"time     {now.isoformat()}",
            f"command  headwater {' '.join(words)}",
            f"python   {platform.python_version()} on {platform.platform()}",
            f"folder   {Path.cwd()}",
            "",
            "".join(traceback.format_exception(error)),
        ]
    )
    name = f"headwater-{now:%Y%m%dT%H%M%S}-{os.getpid()}-"
    descriptor, path = tempfile.mkstemp(prefix=name, suffix=".txt")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return Path(path)
