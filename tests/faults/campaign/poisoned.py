"""R16: messages that nobody can read or that lie, and steps that take their process along.

Whoever asked is told, the rest is dropped with a word, and the work beside it goes on.
"""

import json
import random
from collections.abc import Callable, Mapping
from functools import partial
from uuid import UUID

import anyio
import nats
import nats.errors
from nats.aio.client import Client

from tests.faults.campaign.invariants import BROKEN
from tests.faults.campaign.kills import struck
from tests.faults.campaign.load import Way, id_of
from tests.faults.campaign.room import Counted, Room, Session
from tests.faults.campaign.systems import Cluster, Embedded, cluster, embedded

messages = 50
"""Of one strike."""

answer_seconds_max = 10.0

_deep = b"[" * 10_000 + b"]" * 10_000

BODIES: Mapping[str, Callable[[random.Random], bytes]] = {
    "nothing": lambda _: b"",
    "noise": lambda chance: chance.randbytes(chance.randint(1, 2_000)),
    "no text": lambda _: b'{"pipeline":"\xff"}',
    "another shape": lambda _: b'{"pipeline":7,"run":[],"command_id":{}}',
    "half": lambda _: b'{"pipeline":"p0","command_id":"0195',
    "10,000 levels": lambda _: b'{"pipeline":"p0","params":' + _deep + b"}",
    "a number without end": lambda _: (
        b'{"pipeline":"p0","params":{"factor":' + b"9" * 9_999 + b"}}"
    ),
}

ASKED = (
    "headwater.command.run.start",
    "headwater.command.run.report",
    "headwater.command.pipeline.pause",
    "headwater.command.pipeline.register",
    "headwater.query.monitoring.runs",
    "headwater.query.lineage.graph",
)


def on_bus(room: Room, seed: int, strikes: int) -> Counted:
    """Requests, tasks and events of an outsider, on the bus of roles as processes."""
    with cluster(room.folder, room.postgres(), room.free_port()) as system:
        return struck(system, partial(_spoil, system), seed, strikes)


def _spoil(system: Cluster, chance: random.Random) -> str:
    anyio.run(_send_all, system.way(), chance, system.last_position())
    return f"{messages} messages"


async def _send_all(way: Way, chance: random.Random, last: int) -> None:
    client = await nats.connect(way.url)
    try:
        for _ in range(messages):
            name = chance.choice(sorted(BODIES))
            body = BODIES[name](chance)
            kind = chance.choice(("asked", "task", "event"))
            if kind == "asked":
                await _asked(client, chance.choice(ASKED), name, body)
            elif kind == "task":
                await client.publish(
                    f"headwater.task.duckdb.{id_of(chance)}.a.1", _task(chance, body)
                )
            else:
                headers = chance.choice((None, {"Headwater-Position": "x"}, _forged(last)))
                await client.publish(
                    f"headwater.event.run.{id_of(chance)}.x", body, headers=headers
                )
        await client.flush()
    finally:
        await client.close()


async def _asked(client: Client, subject: str, name: str, body: bytes) -> None:
    answer = await client.request(subject, body, timeout=answer_seconds_max)
    headers = answer.headers or {}
    if name == "nothing" and subject.endswith("runs"):
        return  # a query without a word is a good one
    refused = headers.get("Nats-Service-Error") or json.loads(answer.data).get("code")
    assert refused, f"R16: {name} to {subject} was taken: {answer.data[:200]!r}"


def _task(chance: random.Random, body: bytes) -> bytes:
    """Such a body, or the task of a run that is not there."""
    if chance.random() < 0.5:
        return body
    return json.dumps({"run": id_of(chance), "step": "a", "attempt": 1}).encode()


def _forged(last: int) -> dict[str, str]:
    """As if it were the event behind the last one."""
    return {
        "Headwater-Stream": f"run-{UUID(int=7)}",
        "Headwater-Position": str(last + 1),
        "Headwater-Previous": str(last),
        "Headwater-Event-Id": str(UUID(int=8)),
        "Headwater-Version": "1",
        "Headwater-Tag": "run.teleported.v1",
    }


STEPS = '''\
"""Steps that nobody should write."""
import ctypes
import os
import sys


def throws(raw):
    raise ZeroDivisionError("on purpose")


def crashes(raw):
    ctypes.string_at(0)


def leaves(raw):
    os._exit(3)


def hoards(raw):
    return [bytes(2**20) for _ in range(10**6)]


def never_ends(raw):
    while True:
        pass


def falls(raw):
    sys.setrecursionlimit(10**9)
    return falls(raw)
'''

CODES: Mapping[str, frozenset[str]] = {
    "throws": frozenset({"python_error"}),
    "crashes": frozenset({"worker_lost"}),
    "leaves": frozenset({"worker_lost"}),
    "hoards": frozenset({"memory_exceeded"}),
    "never_ends": frozenset({"timeout"}),
    "falls": frozenset({"worker_lost", "memory_exceeded", "python_error"}),
}
"""What a run of each ends with."""

_timeouts = {"never_ends": "3s"}

run_seconds_max = 300.0
"""Behind all that the load has begun."""


def in_steps(room: Room, seed: int, strikes: int) -> Counted:
    """Steps that throw, crash, leave, take all memory or all time."""
    with embedded(room.folder) as system:
        (system.project.folder / "badly.py").write_text(STEPS)
        return struck(system, partial(_bad_step, system), seed, strikes)


def _bad_step(system: Embedded, chance: random.Random) -> str:
    name = chance.choice(sorted(CODES))
    step = {"id": "bad", "kind": "transform", "input": "raw", "python": f"badly:{name}"}
    spec = {
        "pipeline": f"{BROKEN}_{name}",
        "sources": {"numbers": {"kind": "csv", "path": "numbers.csv", "columns": {"n": "integer"}}},
        "steps": [
            {"id": "raw", "kind": "ingest", "source": "numbers"},
            {**step, "timeout": _timeouts.get(name, "60s"), "memory": "512MiB"},
        ],
    }
    file = system.project.folder / f"{name}.json"
    file.write_text(json.dumps(spec))
    run = str(system.project.json("run", file.name, "--detach")["run"])
    system.project.until(lambda: system.project.status(run) == "failed", run_seconds_max)
    code = system.project.json("show", run)["error"]["code"]
    assert code in CODES[name], f"R16: {name} ended with {code}"
    return name


SESSIONS: dict[str, Session] = {
    "R16 poison on the bus (cluster)": on_bus,
    "R16 poison in steps": in_steps,
}
