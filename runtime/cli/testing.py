"""test."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

from anyio import to_thread

from domain.errors import Malformed
from runtime.cli.console import Console
from runtime.cli.exits import Exit, Usage
from runtime.cli.files import SUFFIXES, read_file
from runtime.cli.output import print_document
from runtime.cli.parsing import Argument, InEnvironment, Option
from runtime.cli.sessions import Way
from runtime.cli.table import Column, key, render
from runtime.cli.words import plural, seconds
from runtime.session import Document


class Test(InEnvironment):
    """Run the tests that stand in pipeline files.

    Each test gives rows of some steps and expects rows of others. The real steps run on them, in
    this process, without a service and without leaving anything behind.
    """

    examples: ClassVar = (
        ("headwater test flights.yaml", "the tests of one file"),
        ("headwater test", "those of all pipeline files of the project, or of this folder"),
        ("headwater test flights.yaml --only planes", "tests with this in their names"),
    )

    file: Annotated[tuple[str, ...], Argument("FILE", "pipeline file")] = ()
    only: Annotated[str, Option("run the tests with this text in their names", "TEXT")] = ""

    async def execute(self, console: Console) -> Exit:
        """All files, then how it went."""
        paths = [Path(name) for name in self.file] or _of_project(Way(self))
        items: list[Document] = []
        for path in paths:
            items += await self._tests(console, path)
        if not items:
            raise Usage("no tests were found", hint="write some under `tests:` in a pipeline file")
        failed = sum(not one["passed"] for one in items)
        if self.json:
            print_document(console, {"items": items, "ok": not failed})
        else:
            word = f"{failed} of {plural(len(items), 'test')} failed"
            console.note(word if failed else f"{plural(len(items), 'test')} passed")
        return Exit.FAILED if failed else Exit.DONE

    async def _tests(self, console: Console, path: Path) -> list[Document]:
        from runtime.wiring.trials import try_cases  # the engine is slow to import

        way = Way(self, path)
        file = await read_file(path, way.sourced)
        verdicts = await to_thread.run_sync(try_cases, file, way.settings, self.only)
        for verdict in verdicts:
            verdict["file"] = str(path)
            if not self.json:
                self._tell(console, path, verdict)
        return verdicts

    def _tell(self, console: Console, path: Path, verdict: Document) -> None:
        sign = console.styled("✓", "green") if verdict["passed"] else console.styled("✗", "red")
        took = console.styled(seconds(verdict["seconds"]), "dim")
        console.print(f"{sign} {path}: {verdict['name']}  {took}")
        error = verdict["error"]
        if error is not None:
            where = str(error.get("where") or "")
            place = "" if where in ("", f"steps.{verdict['step']}") else f" ({where})"
            console.print(f"  {verdict['step']}: {error['message']}{place}")
            if error.get("hint"):
                console.print(f"  → {error['hint']}")
        for one in verdict["differences"]:
            for line in _differences(console, one):
                console.print(f"  {line}")


def _differences(console: Console, one: Mapping[str, Any]) -> Iterator[str]:
    columns = [Column(title=name, text=key(name)) for name in one["columns"]]
    for kind, words in (("missing", "expected, not made"), ("unexpected", "made, not expected")):
        if one[kind]:
            yield f"{one['step']}: {words}"
            rows = [
                dict(zip(one["columns"], map(_cell, cells), strict=True)) for cells in one[kind]
            ]
            yield from render(console, columns, rows)


def _cell(text: str | None) -> str:
    return "null" if text is None else text


def _of_project(way: Way) -> list[Path]:
    """The pipeline files that headwater.toml names, or those in the current folder, with tests."""
    project = way.project
    home = project.home if project.pipelines else Path()
    patterns = project.pipelines or tuple(f"*{suffix}" for suffix in SUFFIXES)
    paths = sorted({path for pattern in patterns for path in home.glob(pattern)})
    found = [path for path in paths if path.is_file() and _has_tests(path)]
    if not found:
        raise Malformed(
            "no pipeline file with tests was found here", hint="name one: headwater test FILE"
        )
    return [path if home == Path() else Path(os.path.relpath(path)) for path in found]


def _has_tests(path: Path) -> bool:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "pipeline" in text and "tests" in text
