"""A service at half of what it can do for a while: nothing that it holds may grow."""

import asyncio
import statistics
import time
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from benchmarks import noop
from benchmarks.memory import tree
from benchmarks.report import Figure, Part, Plot
from benchmarks.service import make_project, service

look_seconds = 2.0
settle_share = 0.3
"""Of the time, at its beginning: caches fill, and the windows that bound them."""


class Look(Struct, frozen=True):
    """One process at one moment."""

    minutes: float
    name: str
    rss_mib: float
    descriptors: int
    threads: int


def _look(pid: int, minutes: float) -> dict[int, Look]:
    found = {}
    for one in tree(pid):
        with suppress(OSError):
            place = Path(f"/proc/{one}")
            status = dict(line.split(":", 1) for line in (place / "status").open())
            found[one] = Look(
                minutes,
                status["Name"].strip(),
                int(status["VmRSS"].split()[0]) / 1024,
                len(list((place / "fd").iterdir())),
                int(status["Threads"]),
            )
    return found


async def _half(folder: Path, pid: int, seconds: float) -> tuple[dict[int, list[Look]], float, int]:
    """Looks at each process while runs are started at half of the rate that was reached."""
    looks: dict[int, list[Look]] = {}
    async with noop.runs(folder) as started:
        chain = await started.register(4, chain=True)
        await started.at_once(chain, 8, 2)
        rate = await started.at_once(chain, 8, 5) / 2
        begin, done = time.perf_counter(), 0

        async def pace() -> None:
            nonlocal done
            due = begin
            while (now := time.perf_counter()) - begin < seconds:
                await asyncio.sleep(max(0.0, due - now))
                await started.once(chain)
                done += 1
                due = max(due + 8 / rate, time.perf_counter() - 1)

        async def watch() -> None:
            while (passed := time.perf_counter() - begin) < seconds:
                for one, look in (await asyncio.to_thread(_look, pid, passed / 60)).items():
                    looks.setdefault(one, []).append(look)
                await asyncio.sleep(look_seconds)

        await asyncio.gather(watch(), *(pace() for _ in range(8)))
    return looks, rate, done


def soak(folder: Path, minutes: float = 10) -> Part:
    """What each process gains a minute."""
    make_project(folder)
    with service(folder) as pid:
        looks, rate, done = asyncio.run(_half(folder, pid, minutes * 60))
    figures, lines = [], {}
    for one, seen in looks.items():
        settled = [look for look in seen if look.minutes >= minutes * settle_share]
        if len(settled) < 3:
            continue  # a child that was replaced
        at = [look.minutes for look in settled]
        name = f"{settled[-1].name} {one}"
        lines[name] = [(max(look.minutes, 0.01), look.rss_mib) for look in seen]
        descriptors = [look.descriptors for look in settled]
        threads = [look.threads for look in settled]
        figures.append(
            Figure(
                what=f"{settled[-1].name}: memory (RSS) gained a minute",
                value=statistics.linear_regression(at, [look.rss_mib for look in settled]).slope,
                unit="MiB",
                reach="0: bounded",
                baseline=f"{settled[0].rss_mib:.0f} MiB, at the end {settled[-1].rss_mib:.0f} MiB",
                method=f"descriptors {min(descriptors)} to {max(descriptors)}, "
                f"threads {min(threads)} to {max(threads)}; {done:,} runs at {rate:.0f}/s in "
                f"{minutes:g} min, the first {settle_share:.0%} left out",
            )
        )
    plot = Plot(
        name="soak", title="Memory at half capacity", x="minutes", y="MiB (RSS)", lines=lines
    )
    return Part(figures=figures, plots=[plot])
