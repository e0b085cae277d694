"""datasets, data."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from anyio import to_thread
from msgspec import Meta

from domain.errors import NotFound
from runtime.cli import words
from runtime.cli.console import Console
from runtime.cli.exits import Exit
from runtime.cli.latest import resolve_run
from runtime.cli.output import print_list
from runtime.cli.parsing import Argument, Listing, Option
from runtime.cli.rows import kept, print_rows
from runtime.cli.sessions import Way
from runtime.cli.table import Column, key
from runtime.session import Session, whole_run

COLUMNS = (
    Column(title="dataset", text=key("dataset"), gives_way=True),
    Column(title="rows", text=lambda item: words.count(item.get("rows")), right=True),
    Column(title="size", text=lambda item: words.size(item.get("bytes")), right=True),
    Column(title="made", text=lambda item: words.moment(item.get("recorded_at")), style="dim"),
    Column(title="fingerprint", text=lambda item: str(item.get("fingerprint") or "")[:12]),
)


class Datasets(Listing):
    """List datasets with their newest version."""

    examples: ClassVar = (("headwater datasets", "what there is, and how much of it"),)

    limit: Annotated[int, Meta(ge=1, le=1000), Option("at most so many", "N")] = 100

    async def execute(self, console: Console) -> Exit:
        """Ask the lineage view."""
        async with Way(self).reading() as session:
            found = await session.query("lineage.datasets", {"limit": self.limit})
        if self.form == "table":  # what we have made before what we have only read
            found["items"] = sorted(
                found["items"], key=lambda item: item["namespace"] != "headwater"
            )
        nothing = "No datasets yet. Make some: headwater run FILE"
        print_list(console, self.form, found, COLUMNS, nothing=nothing)
        return Exit.DONE


class Data(Listing):
    """Print rows of a dataset.

    SQL sees the rows as the table "data", and nothing else on this machine.
    """

    examples: ClassVar = (
        ("headwater data flights.punctuality", "its first rows"),
        (
            'headwater data flights.punctuality --sql "from data order by arr_delay desc"',
            "asked with SQL",
        ),
        ("headwater data flights.punctuality --limit 100000 -o csv > p.csv", "for a spreadsheet"),
        ("headwater data flights.flown --run RUN", "as one run made it"),
    )

    dataset: Annotated[str, Argument("DATASET", "name such as flights.punctuality")]
    sql: Annotated[str, Option("a query on the table data", "QUERY")] = ""
    run: Annotated[str, Option("the version that this run made or took over", "RUN")] = ""
    limit: Annotated[int, Meta(ge=1, le=10_000_000), Option("at most so many rows", "N")] = 20

    async def execute(self, console: Console) -> Exit:
        """Find the version, then read its file."""
        from runtime.wiring.files import read_rows

        way = Way(self)
        async with way.reading() as session:
            version = await self._version(session)
        path = await kept(way, version)
        rows = await to_thread.run_sync(read_rows, path, self.sql, self.limit)
        print_rows(console, self.form, rows, version, whole=not self.sql)
        return Exit.DONE

    async def _version(self, session: Session) -> Mapping[str, Any]:
        if not self.run:
            found = await session.query("lineage.dataset", {"dataset": self.dataset})
            return {"dataset": self.dataset, **found}
        run = await whole_run(session, await resolve_run(session, self.run))
        for step in run["steps"]:
            output = step.get("output")
            if output and self.dataset in (output["dataset"], step["id"]):
                return {**output, "position": run["position"]}
        raise NotFound(f"run {self.run} has made no dataset {self.dataset!r}")
