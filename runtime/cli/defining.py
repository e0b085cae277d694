"""check, apply, schema."""

from pathlib import Path
from typing import Annotated, Any, ClassVar

from domain.errors import HeadwaterError, Malformed, Rejection
from runtime.cli.console import Console
from runtime.cli.exits import Exit, exit_of
from runtime.cli.files import read_file, register
from runtime.cli.guard import tell
from runtime.cli.output import print_document
from runtime.cli.parsing import Argument, Command, InEnvironment, Option
from runtime.cli.sessions import Way
from runtime.cli.words import plural
from runtime.session import Document, Session


class Check(InEnvironment):
    """Find the mistakes in pipeline files.

    Reads each file, and binds every SQL step, rule and check against the columns of its data,
    without a service and without running anything.
    """

    examples: ClassVar = (
        ("headwater check flights.yaml", "one file"),
        ("headwater check pipelines/*.yaml --json", "for an editor or a build"),
    )

    file: Annotated[tuple[str, ...], Argument("FILE", "pipeline file")]

    async def execute(self, console: Console) -> Exit:
        """Look at all of them, then say whether any is wrong."""
        found = [await self._check(console, Path(name)) for name in self.file]
        if self.json:
            print_document(console, {"items": found, "ok": all(one["ok"] for one in found)})
        return Exit.DONE if all(one["ok"] for one in found) else Exit.USAGE

    async def _check(self, console: Console, path: Path) -> Document:
        from runtime.wiring.files import bind_locally

        way = Way(self, path)
        try:
            file = await read_file(path, way.sourced)
            bound = await bind_locally(file, way.settings)
        except (Malformed, Rejection) as error:
            problems = problems_of(error)
            if not self.json:
                tell(console, error)
            return {"file": str(path), "ok": False, "problems": problems, "warnings": []}
        if not self.json:
            ok = console.styled("✓", "green", err=True)
            steps = plural(len(bound["steps"]), "step")
            console.note(f"{ok} {path}: pipeline {bound['pipeline']}, {steps}")
            for text in bound["warnings"]:
                console.warn(f"{path}: {text}")
        return {"file": str(path), "ok": True, "problems": [], **bound}


class Apply(InEnvironment):
    """Register pipeline files, ready to run by name.

    A file is checked as a whole, its sniffed types are pinned, and what it says becomes the active
    revision. Nothing happens where it is active already.
    """

    examples: ClassVar = (
        ("headwater apply flights.yaml", "then: headwater run flights"),
        ("headwater apply pipelines/*.yaml", "all of a project"),
        ("headwater apply flights.yaml --expect 3", "only if revision 3 is active now"),
    )

    file: Annotated[tuple[str, ...], Argument("FILE", "pipeline file")]
    expect: Annotated[int | None, Option("refuse if another revision is active", "NUMBER")] = None
    take_over: Annotated[bool, Option("take names that belong to another project")] = False

    async def execute(self, console: Console) -> Exit:
        """One after the other; the first that is wrong does not stop the others."""
        way = Way(self, Path(self.file[0]))
        items: list[Document] = []
        worst = Exit.DONE
        async with way.writing() as session:
            for name in self.file:
                try:
                    items.append(await self._apply(console, way, session, Path(name)))
                except HeadwaterError as error:
                    if len(self.file) == 1:
                        raise
                    tell(console, error)
                    worst = max(worst, exit_of(error))
        if self.json:
            print_document(console, {"items": items})
        return worst

    async def _apply(
        self, console: Console, joined: Way, session: Session, path: Path
    ) -> dict[str, Any]:
        way = Way(self, path)
        if way.datadir.path != joined.datadir.path:
            raise Malformed(
                f"{path} belongs to another data directory than {self.file[0]}",
                hint="apply it by a command of its own, or name one for both by --data",
            )
        file = await read_file(path, way.sourced)
        more: dict[str, Any] = {"take_over": True} if self.take_over else {}
        more |= {} if self.expect is None else {"expected_revision": self.expect}
        reply = await register(session, file, way.project, more)
        new = bool(reply["events"])
        if not self.json:
            state = "is now active" if new else "is active already"
            console.note(f"{reply['pipeline']}: revision {reply['revision']} {state}")
        for text in reply.get("warnings") or ():
            console.warn(f"{path}: {text}")
        return {
            "file": str(path),
            "pipeline": reply["pipeline"],
            "revision": reply["revision"],
            "changed": new,
            "warnings": reply.get("warnings") or [],
        }


class Schema(Command):
    """Print the JSON Schema of pipeline files, for editors."""

    examples: ClassVar = (
        ("headwater schema > pipeline.schema.json", "then, as a YAML file's first line:"),
        ("# yaml-language-server: $schema=pipeline.schema.json", "and the editor helps"),
    )

    async def execute(self, console: Console) -> Exit:
        """It is JSON in any case."""
        from runtime.wiring.files import pipeline_schema

        print_document(console, pipeline_schema())
        return Exit.DONE


def problems_of(error: HeadwaterError) -> list[Document]:
    """Every mistake that an error tells of."""
    problems = error.details.get("problems") if isinstance(error, Rejection) else None
    if isinstance(problems, list):
        return problems
    path = error.path if isinstance(error, Malformed) else ""
    return [{"path": path, "message": error.message, "hint": error.hint}]
