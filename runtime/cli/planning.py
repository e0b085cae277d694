"""plan."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

from anyio import to_thread

from domain.errors import NotFound
from runtime.cli.console import Console
from runtime.cli.exits import Exit
from runtime.cli.files import read_file
from runtime.cli.output import print_document
from runtime.cli.parsing import Argument, InEnvironment, Option
from runtime.cli.running import parameters
from runtime.cli.sessions import Way
from runtime.cli.table import Column, key, render
from runtime.session import Document

_WORDS = {
    "run": "runs",
    "reuse": "is reused",
    "unchanged": "is unchanged",
    "depends": "runs or is reused",
}


class Plan(InEnvironment):
    """Show what would change and run, without doing it.

    Compares a file with the active revision of its name, and tells of each step whether a run would
    work on it or reuse what an earlier run did, and why. Works with and without a running service.
    """

    examples: ClassVar = (
        ("headwater plan flights.yaml", "before applying or running it"),
        ("headwater plan flights.yaml --param min_month=6", "with a parameter"),
        ("headwater plan flights.yaml --json | jq '.steps[] | select(.verdict == \"run\")'", ""),
    )

    file: Annotated[str, Argument("FILE", "pipeline file")]
    param: Annotated[tuple[str, ...], Option("value of a parameter", "NAME=VALUE", short="p")] = ()
    no_cache: Annotated[bool, Option("as if nothing could be reused")] = False
    fresh: Annotated[tuple[str, ...], Option("a step to do anew in any case", "STEP")] = ()

    async def execute(self, console: Console) -> Exit:
        """Ask for the active revision, then look."""
        from runtime.wiring.foresight import Wish, plan_file  # the engine is slow to import

        path = Path(self.file)
        way = Way(self, path)
        wish = Wish(
            params=parameters(self.param),
            no_cache=self.no_cache,
            fresh=self.fresh,
            env=way.project.env,
        )
        file = await read_file(path, way.sourced)
        active = await _active(way, file.pipeline)
        told = await to_thread.run_sync(plan_file, file, way.settings, wish, active)
        told["owner"] = owner = (active or {}).get("project", "")
        if owner not in ("", way.project.owner):
            what = f"{file.pipeline} belongs to project {owner!r}: it is refused from here"
            told["warnings"].append(f"{what}, unless by --take-over")
        if self.json:
            print_document(console, told)
        else:
            self._tell(console, told)
        return Exit.DONE

    def _tell(self, console: Console, told: Document) -> None:
        for line in render(console, _columns(), told["steps"]):
            console.print(line)
        console.print("")
        name, revision = told["pipeline"], told["revision"]
        if revision is None:
            console.print(f"{name} has no active revision")
        elif not told["changed"]:
            console.print(f"{name} is what revision {revision} says")
        else:
            console.print(f"{name} would be a new revision; active is {revision}")
            for step in told["removed"]:
                console.print(f"  removed: {step}")
            for place in told["others"]:
                console.print(f"  changed: {place}")
        for text in told["warnings"]:
            console.warn(text)


async def _active(way: Way, pipeline: str) -> Document | None:
    """The active definition of a name; None where it has none, or nothing has ever run here."""
    if not way.has_history:
        return None
    async with way.reading() as session:
        try:
            known = await session.query("monitoring.pipeline", {"pipeline": pipeline})
        except NotFound:
            return None
        if known["revision"] is None:
            return None
        definition = await session.definition(pipeline, known["revision"])
    return {"files": {}, **definition, "revision": known["revision"], "project": known["project"]}


def _columns() -> tuple[Column, ...]:
    return (
        Column(title="step", text=key("step")),
        Column(title="kind", text=key("kind"), style="dim", spare=1),
        Column(title="change", text=_change),
        Column(title="a run", text=lambda step: _WORDS[step["verdict"]]),
        Column(title="because", text=_because, gives_way=True, style="dim"),
    )


def _change(step: Mapping[str, Any]) -> str:
    if step["change"] == "same":
        return ""
    keys = ", ".join(step["keys"])
    return f"{step['change']}: {keys}" if keys else str(step["change"])


def _because(step: Mapping[str, Any]) -> str:
    if step["verdict"] == "reuse":
        return f"run {step['from_run']} did it"
    if step["verdict"] == "unchanged":
        return f"run {step['from_run']} wrote it"
    return str(step["because"])
