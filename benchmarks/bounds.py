"""What the aims are bound by: the processor time of what is done, and the least it can take.

A floor is a loop of plain calls to the libraries that a step cannot do without: the engine that
reads a file into another one, Arrow that hands a table to a function and takes one back.
"""

import asyncio
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from time import perf_counter

import anyio
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from adapters.eventstore.sqlite import SqliteEventStore
from benchmarks import commands, noop, refold
from benchmarks.load import caller
from benchmarks.report import Figure, Part, median_seconds
from benchmarks.service import make_project, service
from benchmarks.usage import usage
from projections.limits import log_events_max
from projections.ports import Checkpoint
from projections.projection import Fold, Projection

load_seconds = 5.0

floor_times = 300

cores = 2
"""As many as the aims are for."""


def bounds(folder: Path, events: int = 200_000) -> Part:
    """Runs, commands and rebuilds taken apart."""
    make_project(folder)
    with service(folder) as pid:
        run = asyncio.run(_runs(folder, pid))
        command = _commands(folder, pid)
    return Part(
        figures=[
            run,
            *_step_floors(folder),
            command,
            *anyio.run(_folds, folder, events),
        ]
    )


async def _runs(folder: Path, pid: int) -> Figure:
    async with noop.runs(folder) as started:
        chain = await started.register(4, chain=True)
        for _ in range(20):
            await started.once(chain)
        before, begin = usage(pid), perf_counter()
        rate = await started.at_once(chain, 8, load_seconds)
        each = usage(pid).each(before, rate * (perf_counter() - begin))
    return Figure(
        what="processor time of a 5-step run, 8 at once, SQLite",
        value=each.total * 1000,
        unit="ms",
        reach=f"≤ {cores * 1000 / 250:.0f} ms for 250/s on {cores} cores",
        baseline=f"{cores} cores: at most {cores / each.total:,.0f}/s; measured {rate:,.0f}/s",
        method=each.told(1000, "ms"),
    )


def _commands(folder: Path, pid: int) -> Figure:
    asyncio.run(commands.register(folder))
    with closing(caller(folder)) as connection:
        load = partial(connection.load, commands.callers, request=commands.pause_and_resume)
        load(commands.warm_seconds)
        before, begin = usage(pid), perf_counter()
        found = load(load_seconds)
        each = usage(pid).each(before, found.per_second * (perf_counter() - begin))
    return Figure(
        what=f"processor time of a command, {commands.callers} callers, SQLite FULL",
        value=each.total * 1e6,
        unit="µs",
        reach=f"≤ {1e6 / 15_000:.0f} µs of the event loop for 15,000/s",
        baseline=f"the loop is one thread: at most {1 / each.loop:,.0f}/s; "
        f"measured {found.per_second:,.0f}/s",
        method=each.told(1e6, "µs"),
    )


def _step_floors(folder: Path) -> list[Figure]:
    source, target = folder / "one.csv", folder / "floor.parquet"
    with duckdb.connect(config={"threads": cores}) as engine:
        copy = (
            f"copy (select n from read_csv('{source}', columns = {{'n': 'BIGINT'}}, "  # noqa: S608  # our own paths
            f"auto_detect = false, header = false, skip = 1)) to '{target}' "
            "(format parquet, compression lz4_raw)"
        )

        def ingest() -> None:
            with engine.cursor() as own:
                own.execute(copy).fetchall()

        read = _floor("the engine reads a one-row CSV file into Parquet", ingest)

    def hand_on() -> None:
        table = pq.ParquetFile(pa.BufferReader(target.read_bytes())).read(use_threads=False)
        whole = pa.BufferOutputStream()
        pq.write_table(table, whole, compression="lz4")
        target.write_bytes(memoryview(whole.getvalue()))

    return [read, _floor("Arrow reads a one-row Parquet file and writes it", hand_on)]


def _floor(what: str, work: Callable[[], None]) -> Figure:
    for _ in range(floor_times // 10):
        work()
    taken = median_seconds(work, floor_times)
    return Figure(
        what=f"floor of a step: {what}",
        value=taken * 1000,
        unit="ms",
        method=f"median of {floor_times} in a loop, nothing else around",
    )


async def _folds(folder: Path, events: int) -> list[Figure]:
    await refold.fill(folder / "events.db", events)
    return [await _fold(folder, view, events) for view in refold.VIEWS[:2]]


async def _fold(folder: Path, projection: Projection, events: int) -> Figure:
    """Whole, and without writing, and with nothing but reading the columns."""
    async with SqliteEventStore.open(folder / "events.db") as store:
        at = Checkpoint(store_id=store.store_id, position=0, event_id=None)
        reading = folding = 0.0
        while True:
            begin = perf_counter()
            stretch = await store.stretch(at.position, log_events_max)
            middle = perf_counter()
            if not stretch:
                break
            fold = Fold(projection, at)
            assert fold.add(stretch) is None
            fold.drain()
            at = fold.checkpoint
            reading += middle - begin
            folding += perf_counter() - middle
    whole = await refold.rebuild(folder, projection)
    return Figure(
        what=f"rebuild of {projection.name}, for each event",
        value=whole / events * 1e6,
        unit="µs",
        reach=f"≤ {1e6 / 300_000:.1f} µs for 300,000/s",
        baseline=f"read and folded, nothing written: {(reading + folding) / events * 1e6:.1f} µs",
        ratio=whole / (reading + folding),
        method=f"reading {reading / events * 1e6:.1f} µs, folding {folding / events * 1e6:.1f} µs; "
        f"{events:,} events, one thread of Python",
    )
