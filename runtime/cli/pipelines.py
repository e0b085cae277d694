"""pipelines, pause, resume, retire."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from runtime.cli import words
from runtime.cli.console import Console
from runtime.cli.exits import Exit
from runtime.cli.output import print_document, print_list
from runtime.cli.parsing import Argument, Command, Listing, Option
from runtime.cli.sessions import Way
from runtime.cli.table import Column, key


def _revision(item: Mapping[str, Any]) -> str:
    return str(item["revision"]) if item.get("revision") else "draft"


COLUMNS = (
    Column(title="pipeline", text=key("pipeline"), gives_way=True),
    Column(title="status", text=key("status"), is_status=True),
    Column(title="revision", text=_revision, right=True),
    Column(title="project", text=key("project"), style="dim", spare=1, gives_way=True),
    Column(title="last run", text=key("last_status"), is_status=True),
    Column(title="changed", text=lambda item: words.moment(item.get("changed_at")), style="dim"),
    Column(title="description", text=key("description"), gives_way=True),
)


class Pipelines(Listing):
    """List pipelines."""

    examples: ClassVar = (
        ("headwater pipelines", "all of them"),
        ("headwater pipelines -o jsonl | jq -r .pipeline", "their names"),
    )

    limit: Annotated[int, Meta(ge=1, le=1000), Option("at most so many", "N")] = 100

    async def execute(self, console: Console) -> Exit:
        """Ask the monitoring view."""
        async with Way(self).reading() as session:
            found = await session.query("monitoring.pipelines", {"limit": self.limit})
        nothing = "No pipelines yet. Register one: headwater apply FILE"
        print_list(console, self.form, found, COLUMNS, nothing=nothing)
        return Exit.DONE


class _Change(Command):
    pipeline: Annotated[str, Argument("NAME", "name of the pipeline")]
    reason: Annotated[str, Option("why, for those who look at it later", "TEXT")] = ""

    async def _send(self, console: Console, verb: str, done: str) -> Exit:
        async with Way(self).reading() as session:
            payload = {"pipeline": self.pipeline, "reason": self.reason}
            reply = await session.command(f"pipeline.{verb}", payload)
        if self.json:
            print_document(console, reply)
        else:
            already = "" if reply["events"] else " already"
            console.note(f"{self.pipeline} is {done}{already}.")
        return Exit.DONE


class Pause(_Change):
    """Let no run of a pipeline start. Runs that have started go on."""

    examples: ClassVar = (('headwater pause flights --reason "source is down"', "and say why"),)

    async def execute(self, console: Console) -> Exit:
        """Send the command."""
        return await self._send(console, "pause", "paused")


class Resume(_Change):
    """Let runs of a pipeline start again."""

    examples: ClassVar = (("headwater resume flights", "after a pause"),)

    async def execute(self, console: Console) -> Exit:
        """Send the command."""
        return await self._send(console, "resume", "active")


class Retire(_Change):
    """Take a pipeline out of use. Its history stays; applying a file of its name revives it."""

    examples: ClassVar = (("headwater retire flights", "no run of it starts any more"),)

    async def execute(self, console: Console) -> Exit:
        """Send the command."""
        return await self._send(console, "retire", "retired")
