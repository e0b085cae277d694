"""A service of its own for a measurement, and a foreign client that knows only the protocol."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import nats
from nats.aio.client import Client

HEADWATER = Path(sys.executable).with_name("headwater")

NOOP_STEPS = "def noop(**inputs):\n    return next(iter(inputs.values()))\n"


def noop_pipeline(steps: int, *, chain: bool) -> dict[str, Any]:
    """A one-row ingest and `steps` Python steps that hand it on: in a row, or side by side."""
    plan: list[dict[str, Any]] = [{"id": "raw", "kind": "ingest", "source": "one"}]
    for number in range(steps):
        before = f"s{number - 1}" if chain and number else "raw"
        plan.append(
            {"id": f"s{number}", "kind": "transform", "input": before, "python": "steps:noop"}
        )
    return {
        "pipeline": f"noop_{'chain' if chain else 'wide'}_{steps}",
        "sources": {"one": {"kind": "csv", "path": "one.csv", "columns": {"n": "integer"}}},
        "steps": plan,
    }


def make_project(folder: Path) -> None:
    """The files that no-op pipelines need."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "one.csv").write_text("n\n1\n")
    (folder / "steps.py").write_text(NOOP_STEPS)
    for steps, chain in ((4, True), (199, False)):
        spec = noop_pipeline(steps, chain=chain)
        (folder / f"{spec['pipeline']}.json").write_text(json.dumps(spec))


def environment() -> dict[str, str]:
    """The caller's environment, with byte code kept so that a cold start is a user's cold start."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


@contextmanager
def service(folder: Path, *options: str, **more: str) -> Iterator[int]:
    """`headwater up` in `folder`; yields its process id once it answers. `more` joins its
    environment."""
    given = {**environment(), **more}
    process = subprocess.Popen(
        [HEADWATER, "up", "--quiet", *options], cwd=folder, env=given, stdin=subprocess.DEVNULL
    )
    try:
        while subprocess.run(
            [HEADWATER, "services", "--json"],
            cwd=folder,
            env=given,
            capture_output=True,
            check=False,
        ).returncode:
            if process.poll() is not None:
                raise RuntimeError(f"`headwater up` ended with {process.returncode}")
            time.sleep(0.1)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@asynccontextmanager
async def client(folder: Path) -> AsyncIterator[Client]:
    """A plain NATS connection made from `connection.json`."""
    known = json.loads((folder / ".headwater/nats/connection.json").read_text())
    connection = await nats.connect(known["url"], token=known["token"])
    try:
        yield connection
    finally:
        await connection.close()


async def command(connection: Client, name: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Send a command; its accepted reply."""
    message = await connection.request(
        f"headwater.command.{name}", json.dumps(payload).encode(), timeout=30
    )
    reply: dict[str, Any] = json.loads(message.data)
    if reply.get("status") != "accepted":
        raise RuntimeError(reply)
    return reply


async def run_once(connection: Client, pipeline: str) -> float:
    """Start a run and wait for its end on the event subject; seconds from command to event."""
    done = anyio.Event()
    ends: set[str] = set()
    wanted: list[str] = []

    async def ended(message: Any) -> None:
        ends.add(message.subject.split(".")[3])
        if wanted and wanted[0] in ends:
            done.set()

    subscription = await connection.subscribe("headwater.event.run.*.completed", cb=ended)
    await connection.flush()
    start = time.perf_counter()
    reply = await command(connection, "run.start", {"pipeline": pipeline, "no_cache": True})
    wanted.append(reply["stream"].split("/")[1])
    if wanted[0] not in ends:
        with anyio.fail_after(120):
            await done.wait()
    seconds = time.perf_counter() - start
    await subscription.unsubscribe()
    return seconds
