"""Runs that do nothing, so that what is measured is Headwater: over NATS, as any client would."""

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg

from benchmarks.report import Figure
from benchmarks.service import client, command, noop_pipeline

run_seconds_max = 600
"""Until a run that does not end fails the measurement."""


class Runs:
    """Starts runs and sees them end, many at once on one subscription."""

    def __init__(self, connection: Client, folder: Path) -> None:
        self._connection = connection
        self._folder = folder
        self._ended: dict[str, asyncio.Future[None]] = {}

    def _future(self, run: str) -> "asyncio.Future[None]":
        if run not in self._ended:
            self._ended[run] = asyncio.get_running_loop().create_future()
        return self._ended[run]

    async def heard(self, message: Msg) -> None:
        """An end."""
        future = self._future(message.subject.split(".")[3])
        if not future.done():
            future.set_result(None)

    async def register(self, steps: int, *, chain: bool) -> str:
        """A pipeline of an ingest and `steps` no-op steps; its name."""
        spec = noop_pipeline(steps, chain=chain)
        files = {"steps.py": (self._folder / "steps.py").read_text()}
        payload = {"spec": spec, "files": files, "root": str(self._folder)}
        await command(self._connection, "pipeline.register", payload)
        return str(spec["pipeline"])

    async def once(self, pipeline: str) -> float:
        """Seconds from the command to `run.completed` on the bus."""
        start = time.perf_counter()
        payload = {"pipeline": pipeline, "no_cache": True}
        reply = await command(self._connection, "run.start", payload)
        run = reply["stream"].split("/")[1]
        await asyncio.wait_for(self._future(run), run_seconds_max)
        del self._ended[run]
        return time.perf_counter() - start

    async def at_once(self, pipeline: str, callers: int, seconds: float) -> float:
        """Runs a second while each of some callers starts the next when one has ended."""
        begin = time.perf_counter()

        async def repeat() -> int:
            done = 0
            while time.perf_counter() - begin < seconds:
                await self.once(pipeline)
                done += 1
            return done

        done = sum(await asyncio.gather(*(repeat() for _ in range(callers))))
        return done / (time.perf_counter() - begin)

    async def asked(self, name: str, arguments: dict[str, Any]) -> float:
        """Seconds until a query is answered. Raises `RuntimeError` for an error."""
        start = time.perf_counter()
        message = await self._connection.request(
            f"headwater.query.{name}", json.dumps(arguments).encode(), timeout=30
        )
        if message.headers and "Nats-Service-Error" in message.headers:
            raise RuntimeError(message.data)
        return time.perf_counter() - start


@asynccontextmanager
async def runs(folder: Path) -> AsyncIterator[Runs]:
    """Runs in the service of a folder."""
    async with client(folder) as connection:
        found = Runs(connection, folder)
        await connection.subscribe("headwater.event.run.*.completed", cb=found.heard)
        await connection.flush()
        yield found


async def figures(folder: Path, store: str, seconds: float) -> list[Figure]:
    """What small runs take in the service of a folder that keeps its events in `store`."""
    async with runs(folder) as started:
        chain = await started.register(4, chain=True)
        wide = await started.register(199, chain=False)
        for _ in range(5):
            await started.once(chain)
        small = [await started.once(chain) for _ in range(50)]
        await started.once(wide)
        large = [await started.once(wide) for _ in range(3)]
        rate = await started.at_once(chain, 8, seconds)
    return [
        Figure(
            what=f"5-step no-op run, {store}, p50",
            value=statistics.median(small) * 1000,
            unit="ms",
            reach="≤ 10 ms",
            method="50 runs one after another, command to run.completed on the bus",
        ),
        Figure(
            what=f"200 no-op steps, 199 of them independent, {store}",
            value=statistics.median(large),
            unit="s",
            reach="≤ 0.4 s",
            method="median of 3",
        ),
        Figure(
            what=f"runs of 5 steps a second, 8 at once, {store}",
            value=rate,
            unit="/s",
            reach="≥ 250/s",
            method=f"for {seconds:.0f} s",
        ),
    ]
