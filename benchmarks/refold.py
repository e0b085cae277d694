"""Rebuilding views from the event store: `python -m benchmarks.refold [EVENTS]`."""

import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from time import perf_counter

import anyio
from msgspec.structs import replace

from adapters.clock import SystemClock
from adapters.eventstore.sqlite import SqliteEventStore
from adapters.readmodels.progress import ViewProgress
from adapters.readmodels.sqlite import SqliteReadModels
from benchmarks.report import Figure, table
from domain.errors import Defect
from domain.ids import run_stream
from domain.record import Recorded
from projections.dispatch import DISPATCH
from projections.limits import log_events_max
from projections.lineage import LINEAGE
from projections.monitoring import MONITORING
from projections.ports import EventFeed
from projections.projection import Projection
from projections.quality import QUALITY
from projections.replay import verify
from projections.worker import ProjectionPorts, ProjectionWorker
from tests.projections.histories import runs

run_events = 22
"""Of one run in such a log."""

VIEWS = (MONITORING, LINEAGE, QUALITY, DISPATCH)


def realistic(events: int) -> Iterator[Recorded]:
    """The log of whole five-step runs, eight at a time, until there are `events`.

    Blocks of runs as the aggregate decides them, each with ids and fingerprints of its own.
    """
    clock = SystemClock()
    template = list(runs(8))
    yield template[0]
    position = 1
    while position < events:
        streams = {record.stream: run_stream(clock.new_id()) for record in template[1:]}
        marks = {old: old.id.hex[:8].encode() for old in streams}
        for record in template[1:]:
            position += 1
            event_id = clock.new_id()
            stream = streams[record.stream]
            state = record.state.replace(
                str(record.event_id).encode(), str(event_id).encode()
            ).replace(marks[record.stream], stream.id.hex[-8:].encode())
            yield replace(
                record,
                position=position,
                previous=position - 1,
                event_id=event_id,
                stream=stream,
                state=state,
            )


async def fill(path: Path, events: int) -> None:
    """A store with `events` events, written at once."""
    async with SqliteEventStore.open(path):
        pass
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO stored_events (originator_id, originator_version, topic, state)"
            " VALUES (?, ?, ?, ?)",
            (
                (record.stream.id.hex, record.version, record.tag, record.state)
                for record in realistic(events)
            ),
        )
        connection.execute("PRAGMA user_version = 1")  # the layout without links
    async with SqliteEventStore.open(path):
        pass  # which are made now


class Silence(EventFeed):
    """No bus: what is rebuilt comes from the store."""

    async def next(self, limit: int, seconds: float) -> tuple[Recorded, ...]:
        raise Defect(f"nobody asked for {limit} live events in {seconds} s")


async def rebuild(folder: Path, projection: Projection, file: str = "") -> float:
    """Seconds to build one view from nothing, in a file of its own where none is named."""
    views = folder / (file or f"{projection.name}.db")
    async with (
        SqliteEventStore.open(folder / "events.db") as store,
        SqliteReadModels.open(views) as models,
    ):
        ports = ProjectionPorts(
            log=store,
            feed=Silence(),
            read_models=models,
            progress=ViewProgress(),
            ticker=SystemClock(),
        )
        worker = ProjectionWorker(projection, ports)
        start = perf_counter()
        await worker.start()
        seconds = perf_counter() - start
        assert worker.halted is None, worker.halted
        assert worker.position == await store.head()
        return seconds


async def build(folder: Path, events: int) -> dict[str, float]:
    """A store with `events` events and all views of it; seconds for each view."""
    await fill(folder / "events.db", events)
    return {view.name: await rebuild(folder, view, "views.db") for view in VIEWS}


async def prove(folder: Path, projection: Projection) -> float:
    """Seconds to verify it."""
    async with (
        SqliteEventStore.open(folder / "events.db") as store,
        SqliteReadModels.open(folder / f"{projection.name}.db") as models,
    ):
        start = perf_counter()
        report = await verify(store, models, [projection])
        seconds = perf_counter() - start
        assert report.ok
        return seconds


async def read(folder: Path) -> float:
    """Seconds to read the whole log without folding it."""
    async with SqliteEventStore.open(folder / "events.db") as store:
        start, position = perf_counter(), 0
        while records := await store.read(position, log_events_max):
            position = records[-1].position
        return perf_counter() - start


async def figures(folder: Path, events: int) -> list[Figure]:
    """Events a second of each view, built alone."""
    await fill(folder / "events.db", events)
    bare = events / await read(folder)
    found = []
    for projection in VIEWS:
        seconds = await rebuild(folder, projection)
        proven = events / await prove(folder, projection)
        found.append(
            Figure(
                what=f"rebuild of {projection.name}",
                value=events / seconds,
                unit="events/s",
                reach="≥ 300,000/s",
                baseline=f"reading the log alone {bare:,.0f}/s; verify {proven:,.0f}/s",
                method=f"{events:,} events of five-step runs, SQLite store to SQLite view",
            )
        )
    return found


def all_figures(folder: Path, events: int) -> list[Figure]:
    """The figures, made in a folder of their own inside `folder`."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        return anyio.run(figures, Path(name), events)


def main() -> None:
    """Print the figures."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 300_000
    with tempfile.TemporaryDirectory() as name:
        print(table(all_figures(Path(name), events)))


if __name__ == "__main__":
    main()
