"""How cost grows with steps in a run, runs in the store, and workers."""

import asyncio
import shutil
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import anyio

from benchmarks import queries, refold
from benchmarks.noop import Runs, runs
from benchmarks.report import Figure, Part, Plot
from benchmarks.service import make_project, service

Line = list[tuple[float, float]]

aim_events = 1_000_000
"""In the store, for the aim of every query."""


async def _each_step(folder: Path, sizes: Sequence[int]) -> Line:
    line = []
    async with runs(folder) as started:
        for size in sizes:
            wide = await started.register(size, chain=False)
            if size <= 100:
                await started.once(wide)
            seconds = [await started.once(wide) for _ in range(3 if size <= 1_000 else 1)]
            line.append((float(size), statistics.median(seconds) / size * 1000))
    return line


def steps(folder: Path, sizes: Sequence[int] = (1, 10, 100, 1_000, 9_999)) -> Part:
    """Milliseconds for each step of runs of some sizes."""
    make_project(folder)
    with service(folder):
        line = asyncio.run(_each_step(folder, sizes))
    each = dict(line)
    few, most = float(100), line[-1][0]
    figure = Figure(
        what=f"each of {most:,.0f} independent steps in one run",
        value=each[most],
        unit="ms",
        reach="as in a run of 100",
        baseline=f"each of {few:,.0f}: {each[few]:.2f} ms",
        ratio=each[most] / each[few],
        method="no-op steps side by side; SQLite FULL",
    )
    plot = Plot(
        name="growth-steps",
        title="Time for each step, by the steps of a run",
        x="independent steps in the run",
        y="ms for each step",
        lines={"no-op steps": line},
    )
    return Part(figures=[figure], plots=[plot])


async def _beside(started: Runs, small: str, large: str) -> tuple[list[float], list[float], float]:
    """Seconds of small runs alone, and beside a large one; and of that."""
    for _ in range(5):
        await started.once(small)
    alone = [await started.once(small) for _ in range(40)]
    going = asyncio.create_task(started.once(large))
    await asyncio.sleep(1)
    beside: list[float] = []
    while not going.done() and len(beside) < 200:
        beside.append(await started.once(small))
    return alone, beside, await going


async def _measure_beside(folder: Path, steps_large: int) -> tuple[list[float], list[float], float]:
    async with runs(folder) as started:
        small = await started.register(4, chain=True)
        large = await started.register(steps_large, chain=False)
        return await _beside(started, small, large)


def beside(folder: Path, steps_large: int = 9_999) -> Part:
    """Whether a large run keeps small ones waiting."""
    make_project(folder)
    with service(folder):
        alone, found, large = asyncio.run(_measure_beside(folder, steps_large))
    base = statistics.median(alone)
    figure = Figure(
        what=f"5-step run beside a run of {steps_large + 1:,} steps, p50",
        value=statistics.median(found) * 1000,
        unit="ms",
        reach="not delayed: both have half of the machine",
        baseline=f"alone {base * 1000:.1f} ms",
        ratio=statistics.median(found) / base,
        method=f"{len(found)} small runs, the slowest {max(found) * 1000:.0f} ms; "
        f"the large one took {large:.1f} s",
    )
    return Part(figures=[figure])


async def _with_runs(folder: Path) -> dict[str, list[float]]:
    async with queries.opened(folder / ".headwater") as (asked, _):
        known = await queries.known_of(asked)
    async with runs(folder) as started:
        chain = await started.register(4, chain=True)
        for _ in range(5):
            await started.once(chain)
        listed = [await started.asked("monitoring.runs", {"limit": 50}) for _ in range(100)]
        shown = [
            await started.asked("monitoring.run", {"run": known.runs[turn % len(known.runs)]})
            for turn in range(100)
        ]
        begun = [await started.once(chain) for _ in range(30)]
    return {"runs": listed, "show": shown, "a 5-step run": begun}


def _p99(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]


def stored_runs(folder: Path, sizes: Sequence[int] = (1, 1_000, 10_000, 100_000)) -> Part:
    """What a list, a look and a run take by the runs that are in the store."""
    lines: dict[str, Line] = {}
    for size in sizes:
        place = folder / str(size)
        make_project(place)
        shutil.rmtree(place / ".headwater", ignore_errors=True)
        (place / ".headwater").mkdir()
        anyio.run(refold.build, place / ".headwater", size * refold.run_events)
        with service(place):
            found = asyncio.run(_with_runs(place))
        for name, values in found.items():
            lines.setdefault(f"{name}, p50", []).append((size, statistics.median(values) * 1000))
            lines.setdefault(f"{name}, p99", []).append((size, _p99(values) * 1000))
        shutil.rmtree(place)
    figures = [
        Figure(
            what=f"{name} with {sizes[-1]:,} runs in the store",
            value=line[-1][1],
            unit="ms",
            reach="≤ 50 ms" if "5-step" not in name else "",
            baseline=f"with {sizes[0]:,}: {line[0][1]:.2f} ms",
            ratio=line[-1][1] / line[0][1],
            method="over NATS",
        )
        for name, line in lines.items()
    ]
    plot = Plot(
        name="growth-runs",
        title="Looking and running, by the runs in the store",
        x="runs in the store",
        y="ms",
        lines=lines,
    )
    return Part(figures=figures, plots=[plot])


def events(folder: Path, most: int = 10_000_000) -> Part:
    """How quickly views are built, and the slowest query, by the events in the store."""
    sizes = [size for size in (10_000, 100_000, 1_000_000, 10_000_000) if size <= most]
    rates: dict[str, Line] = {}
    slowest: Line = []
    figures: list[Figure] = []
    for size in sizes:
        place = folder / str(size)
        place.mkdir(parents=True)
        for name, seconds in anyio.run(refold.build, place, size).items():
            rates.setdefault(name, []).append((size, size / seconds))
        worst = [one for one in anyio.run(queries.measure, place, 100) if one.name != queries.PROOF]
        slowest.append((size, worst[0].p99 * 1000))
        if size >= min(most, aim_events):
            figures += [_slow(one, size) for one in worst[:8]]
        shutil.rmtree(place)
    axis = "events in the store"
    return Part(
        figures=figures,
        plots=[
            Plot(
                name="growth-rebuild",
                title="Rebuilding views, by events",
                x=axis,
                y="events/s",
                lines=rates,
            ),
            Plot(
                name="growth-queries",
                title="The slowest query, by events",
                x=axis,
                y="ms, p99",
                lines={"slowest of all": slowest},
            ),
        ],
    )


def _slow(one: queries.Asked, size: int) -> Figure:
    return Figure(
        what=f"{one.name} {one.given}".strip() + f", p99 at {size:,} events",
        value=one.p99 * 1000,
        unit="ms",
        reach="≤ 50 ms" if size <= aim_events else "",
        method=f"p50 {one.p50 * 1000:.2f} ms; answers of up to {one.bytes / 1024:,.0f} KiB",
    )


async def _rate(folder: Path, seconds: float) -> float:
    async with runs(folder) as started:
        chain = await started.register(4, chain=True)
        await started.at_once(chain, 8, 1)
        return await started.at_once(chain, 8, seconds)


def workers(folder: Path, counts: Sequence[int] = (1, 2, 4, 8), seconds: float = 5) -> Part:
    """Runs a second by the number of step processes."""
    line: Line = []
    for count in counts:
        place = folder / str(count)
        make_project(place)
        with service(place, "--set", f"workers={count}"):
            time.sleep(1)  # so that every child is warm
            line.append((count, asyncio.run(_rate(place, seconds))))
    figure = Figure(
        what=f"runs of 5 steps a second with {counts[-1]} workers",
        value=line[-1][1],
        unit="/s",
        baseline=f"with {counts[0]}: {line[0][1]:.0f}/s",
        ratio=line[-1][1] / line[0][1],
        method="8 runs at once; workers share the cores with everything else",
    )
    plot = Plot(
        name="growth-workers",
        title="Runs a second, by workers",
        x="step processes",
        y="runs/s, 8 at once",
        lines={"runs of 5 no-op steps": line},
    )
    return Part(figures=[figure], plots=[plot])
