"""R20 and R21: what is too large, and who is too slow.

Memory is looked at all the while: what one client does must not grow into it.
"""

import gzip
import json
import random
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial

import anyio
import nats
import nats.errors
import psutil

from adapters.jetstream.directory import payload_bytes_max
from tests.faults.campaign.invariants import BROKEN
from tests.faults.campaign.kills import struck
from tests.faults.campaign.load import Way
from tests.faults.campaign.room import Counted, Room, Session, stay
from tests.faults.campaign.systems import Cluster, Embedded, cluster, embedded, strike

growth_bytes_max = 64 * 2**20
"""Of one process beyond what it had before."""

answer_seconds_max = 30.0


def too_large(room: Room, seed: int, strikes: int) -> Counted:
    """R20: messages around the largest that is allowed, and far above it; data that swells."""
    with embedded(room.folder) as system:
        return struck(system, partial(_large, system), seed, strikes)


def _large(system: Embedded, chance: random.Random) -> str:
    name = chance.choice(sorted(LARGE))
    with _bounded(lambda: [system.below("nats-server")[0], _process(system)]):
        LARGE[name](system, chance)
    return name


def _process(system: Embedded) -> psutil.Process:
    assert system.process is not None
    return psutil.Process(system.process.pid)


def _asks(body: bytes, *, goes_through: bool = True) -> Callable[[Embedded, random.Random], None]:
    """Such a command must be refused, by the service or by the bus."""

    def ask(system: Embedded, _: random.Random) -> None:
        told = anyio.run(_refusal, system.way(), body)
        assert (told is not None) == goes_through, f"R20: {len(body)} bytes: {told}"

    return ask


async def _refusal(way: Way, body: bytes) -> str | None:
    """The code that a command is refused with; None where the bus does not take it."""
    client = await nats.connect(way.url, token=way.token or None)
    try:
        subject = "headwater.command.run.start"
        answer = await client.request(subject, body, timeout=answer_seconds_max)
    except nats.errors.MaxPayloadError:
        return None
    finally:
        await client.close()
    told = json.loads(answer.data)
    assert told.get("code"), f"R20: taken: {told}"
    return str(told["code"])


def _filled(size: int) -> bytes:
    """A command of so many bytes."""
    head, tail = b'{"pipeline":"p0","reason":"', b'"}'
    return head + b"x" * (size - len(head) - len(tail)) + tail


def _declares(size: int, sent: int) -> Callable[[Embedded, random.Random], None]:
    """Whoever announces so much is cut off before it is taken in: what never comes to its end here
    is a time-out."""

    def declare(system: Embedded, chance: random.Random) -> None:
        way = system.way()
        host, _, port = way.url.removeprefix("nats://").partition(":")
        with socket.create_connection((host, int(port)), timeout=answer_seconds_max) as raw:
            connect = json.dumps({"verbose": False, "auth_token": way.token}).encode()
            raw.sendall(b"CONNECT " + connect + b"\r\n")
            with suppress(ConnectionError):
                raw.sendall(b"PUB headwater.command.run.start %d\r\n" % size)
                for _ in range(sent // 2**20):
                    raw.sendall(bytes(2**20))
                while raw.recv(2**16):
                    pass

    return declare


def _many_headers(system: Embedded, _: random.Random) -> None:
    """Ten thousand headers beside a good command: it counts as if they were not there."""

    async def ask(way: Way) -> bytes:
        client = await nats.connect(way.url, token=way.token or None)
        try:
            answer = await client.request(
                "headwater.command.pipeline.pause",
                b'{"pipeline":"p0"}',
                timeout=answer_seconds_max,
                headers={f"X-{number}": "y" * 40 for number in range(10_000)},
            )
        finally:
            await client.close()
        return answer.data

    told = json.loads(anyio.run(ask, system.way()))
    assert told.get("status") == "accepted", f"R20: {told}"


def _bomb(system: Embedded, chance: random.Random) -> None:
    """A file of a megabyte that becomes a gigabyte, in one line."""
    path = system.project.folder / "bomb.csv.gz"
    if not path.exists():
        with gzip.open(path, "wb", compresslevel=1) as file:
            file.write(b"n\n")
            for _ in range(1_024):
                file.write(b"1" * 2**20)
    spec = {
        "pipeline": f"{BROKEN}_bomb",
        "sources": {"bomb": {"kind": "csv", "path": path.name, "columns": {"n": "string"}}},
        "steps": [{"id": "raw", "kind": "ingest", "source": "bomb", "memory": "512MiB"}],
    }
    (system.project.folder / "bomb.json").write_text(json.dumps(spec))
    run = str(system.project.json("run", "bomb.json", "--detach")["run"])
    system.project.until(lambda: system.project.status(run) == "failed", 10 * answer_seconds_max)


LARGE: Mapping[str, Callable[[Embedded, random.Random], None]] = {
    "one byte below the limit": _asks(_filled(payload_bytes_max - 1)),
    "at the limit": _asks(_filled(payload_bytes_max)),
    "one byte above": _asks(_filled(payload_bytes_max + 1), goes_through=False),
    "8 MiB": _declares(8 * 2**20, 8 * 2**20),
    "64 MiB": _declares(64 * 2**20, 64 * 2**20),
    "1 GiB, as it says": _declares(2**30, 2**20),
    "an array of 400,000": _asks(b'{"pipeline":"p0","params":[' + b"1," * 400_000 + b"1]}"),
    "10,000 headers": _many_headers,
    "data that swells": _bomb,
}


def too_slow(room: Room, seed: int, strikes: int) -> Counted:
    """R21: views at a tenth of their speed, and clients that listen to all and read nothing."""
    with cluster(room.folder, room.postgres(), room.free_port()) as system:
        return struck(system, partial(_slow, system), seed, strikes)


rounds = 10
"""Of a second each, of which the views have a tenth."""


def _slow(system: Cluster, chance: random.Random) -> str:
    everybody = [psutil.Process(one.pid) for one in system.processes.values()]
    deaf = [_deaf_client(system.way()) for _ in range(chance.randint(1, 5))]
    try:
        with _bounded(lambda: everybody):
            for _ in range(rounds):
                strike(system.processes["projections"].pid, signal.SIGSTOP)
                stay(0.9)
                strike(system.processes["projections"].pid, signal.SIGCONT)
                stay(0.1)
    finally:
        for one in deaf:
            one.close()
    return f"views at a tenth of their speed, {len(deaf)} deaf clients"


def _deaf_client(way: Way) -> socket.socket:
    host, _, port = way.url.removeprefix("nats://").partition(":")
    raw = socket.create_connection((host, int(port)), timeout=answer_seconds_max)
    raw.sendall(b'CONNECT {"verbose":false}\r\nSUB > 1\r\n')
    return raw


@contextmanager
def _bounded(processes: Callable[[], list[psutil.Process]]) -> Iterator[None]:
    """Raises `AssertionError` where one of them grows beyond its bound in the block."""
    watched = {one: one.memory_info().rss for one in processes()}
    most = dict(watched)
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            for one in watched:
                with suppress(psutil.NoSuchProcess):
                    most[one] = max(most[one], one.memory_info().rss)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    for one, before in watched.items():
        grown = most[one] - before
        assert grown < growth_bytes_max, f"R20: {one} has grown by {grown // 2**20} MiB"


SESSIONS: dict[str, Session] = {
    "R20 oversized": too_large,
    "R21 slow consumers (cluster)": too_slow,
}
