"""Commands a second of many callers, and how soon the views show what they did.

The callers are one lean process. Beside it, in the same run: the same load on an echo, which is
what the bus could do at best, and what SQLite does with one commit for each event.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from benchmarks.echo import SUBJECT
from benchmarks.lag import Lag
from benchmarks.load import Load, caller
from benchmarks.report import Figure
from benchmarks.service import client, command, environment, noop_pipeline

callers = 64
load_seconds = 5.0
warm_seconds = 1.0


async def register(folder: Path) -> None:
    """A pipeline for each caller, whose stream is its own."""
    spec = noop_pipeline(1, chain=True)
    files = {"steps.py": (folder / "steps.py").read_text()}
    async with client(folder) as connection:
        for number in range(callers):
            named = {**spec, "pipeline": f"p{number}"}
            payload = {"spec": named, "files": files, "root": str(folder)}
            await command(connection, "pipeline.register", payload)


def all_figures(folder: Path) -> list[Figure]:
    """Of a service that runs in `folder` and knows the pipelines."""
    with closing(caller(folder)) as connection:
        with _beside("benchmarks.echo", *_address(folder)) as echo:
            assert echo.stdout is not None
            echo.stdout.readline()
            bare = connection.load(callers, warm_seconds, lambda _who, _turn: (_ECHO, b"{}"))
        connection.load(callers, warm_seconds, pause_and_resume)
        seconds = str(load_seconds)
        with _beside("benchmarks.lag", str(folder / ".headwater"), seconds) as watcher:
            load = connection.load(callers, load_seconds, pause_and_resume)
            said, _ = watcher.communicate()
    return _figures(bare, load, msgspec.json.decode(said, type=Lag))


def load_figure(folder: Path, store: str) -> Figure:
    """The load alone, of a service that keeps its events in `store`."""
    with closing(caller(folder)) as connection:
        connection.load(callers, warm_seconds, pause_and_resume)
        load = connection.load(callers, load_seconds, pause_and_resume)
    return Figure(
        what=f"commands/s, {callers} callers, {store}",
        value=load.per_second,
        unit="/s",
        method=f"p50 {load.p50 * 1000:.1f} ms, p99 {load.p99 * 1000:.1f} ms",
    )


_ECHO = SUBJECT.encode()
_PAYLOADS = [json.dumps({"pipeline": f"p{number}"}).encode() for number in range(callers)]
_SUBJECTS = (b"headwater.command.pipeline.pause", b"headwater.command.pipeline.resume")


def pause_and_resume(who: int, turn: int) -> tuple[bytes, bytes]:
    """What a caller asks for next."""
    return _SUBJECTS[turn % 2], _PAYLOADS[who]


def _figures(bare: Load, load: Load, lag: Lag) -> list[Figure]:
    method = f"pause and resume of {callers} pipelines over NATS for {load_seconds:.0f} s"
    ends = f"the callers took {load.cpu:.0%} of a core"
    return [
        Figure(
            what=f"commands/s, {callers} callers, SQLite FULL",
            value=load.per_second,
            unit="/s",
            reach="≥ 15,000/s",
            baseline=f"an echo on the same bus: {bare.per_second:,.0f}/s",
            ratio=load.per_second / bare.per_second,
            method=f"{method}; {ends}",
        ),
        Figure(
            what="the same, until the reply, p50",
            value=load.p50 * 1000,
            unit="ms",
            reach="≤ 5 ms",
            baseline=f"the echo: {bare.p50 * 1000:.1f} ms",
            ratio=load.p50 / bare.p50,
            method=f"p99 {load.p99 * 1000:.1f} ms",
        ),
        Figure(
            what="event → view at that load, p50",
            value=lag.p50 * 1000,
            unit="ms",
            reach="≤ 4 ms",
            method=f"from outside, at both files, for {lag.commits:,} commits",
        ),
        Figure(
            what="event → view at that load, p99",
            value=lag.p99 * 1000,
            unit="ms",
            reach="≤ 12 ms",
            method="the same",
        ),
    ]


def _address(folder: Path) -> tuple[str, str]:
    known = json.loads((folder / ".headwater/nats/connection.json").read_text())
    return known["url"], known["token"]


@contextmanager
def _beside(module: str, *arguments: str) -> "Iterator[subprocess.Popen[str]]":
    """Another program of this package, ended with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)
