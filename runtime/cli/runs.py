"""runs, show."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from runtime.cli import words
from runtime.cli.console import Console
from runtime.cli.exits import Exit
from runtime.cli.following import print_run
from runtime.cli.latest import resolve_run
from runtime.cli.output import print_list
from runtime.cli.parsing import Argument, Command, Listing, Option
from runtime.cli.sessions import Way
from runtime.cli.table import Column, key
from runtime.session import whole_run


def _steps(item: Mapping[str, Any]) -> str:
    steps = item.get("steps") or {}
    if not steps:
        return ""
    done = sum(steps.get(name) or 0 for name in ("succeeded", "reused"))
    return str(steps["total"]) if done == steps["total"] else f"{done}/{steps['total']}"


COLUMNS = (
    Column(title="run", text=key("run")),
    Column(title="pipeline", text=key("pipeline"), gives_way=True),
    Column(title="status", text=key("status"), is_status=True),
    Column(title="started", text=lambda item: _short(item.get("requested_at")), style="dim"),
    Column(title="steps", text=_steps, right=True),
    Column(title="time", text=lambda item: words.seconds(item.get("seconds")), right=True),
)


class Runs(Listing):
    """List runs, newest first."""

    examples: ClassVar = (
        ("headwater runs", "the newest"),
        ("headwater runs --pipeline flights --status failed", "what went wrong with one"),
        ("headwater runs -o csv > runs.csv", "for a spreadsheet"),
    )

    pipeline: Annotated[str, Option("only runs of this one", "NAME")] = ""
    status: Annotated[
        Literal["running", "completed", "failed", "cancelled", ""],
        Option("only runs that are running, completed, failed or cancelled", "STATUS"),
    ] = ""
    limit: Annotated[int, Meta(ge=1, le=1000), Option("at most so many", "N")] = 20

    async def execute(self, console: Console) -> Exit:
        """Ask the monitoring view."""
        asked: dict[str, Any] = {"limit": self.limit}
        if self.pipeline:
            asked["pipeline"] = self.pipeline
        if self.status:
            asked["status"] = self.status
        async with Way(self).reading() as session:
            found = await session.query("monitoring.runs", asked)
        nothing = (
            "No such runs." if len(asked) > 1 else "No runs yet. Start one: headwater run FILE"
        )
        print_list(console, self.form, found, COLUMNS, nothing=nothing)
        return Exit.DONE


class Show(Command):
    """Show a run with all its steps."""

    examples: ClassVar = (
        ("headwater show", "the newest run"),
        ("headwater show RUN --json | jq '.steps[] | .id, .rows_out'", "rows of each step"),
    )

    run: Annotated[str, Argument("RUN", "id of the run; the newest one if left out")] = ""

    async def execute(self, console: Console) -> Exit:
        """Ask the monitoring view."""
        async with Way(self).reading() as session:
            run = await resolve_run(session, self.run)
            found = await whole_run(session, run)
        print_run(console, found, json=self.json, rules=True)
        return Exit.DONE


def _short(value: str | None) -> str:
    """Without the year and the seconds: a line has only so much room."""
    return words.moment(value)[5:16]
