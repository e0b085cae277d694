"""R16: an event in the store that nobody can read.

Views that need it halt before it and say so, and commands go on; once it is mended so do the views.
"""

import json
import random
import re
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial

from tests.faults.campaign.kills import struck
from tests.faults.campaign.room import Counted, Room, Session
from tests.faults.campaign.systems import Embedded, embedded

halt_seconds_max = 60.0

READERS = frozenset({"dispatch", "monitoring"})
"""Views that need what is poisoned; others pass by what they would not read."""

Poison = Callable[[str, bytes], tuple[str, bytes]]
"""Topic and state of an event to what shall stand in their place."""


_deep = b"[" * 10_000 + b"]" * 10_000 + b","

POISONS: Mapping[str, Poison] = {
    "bytes that are no JSON": lambda topic, _state: (topic, b"\xff\x00 nonsense"),
    "an unknown type": lambda _topic, state: ("run.teleported.v1", state),
    "a version of the future": lambda topic, state: (f"{topic.rpartition('.')[0]}.v999", state),
    "a string that is no text": lambda topic, state: (
        topic,
        state.replace(b'"step":"', b'"step":"\xff', 1),
    ),
    "10,000 levels": lambda topic, state: (
        topic,
        state.replace(b'"data":{', b'"data":{"a":' + _deep, 1),
    ),
    "the end is missing": lambda topic, state: (topic, state[: len(state) // 2]),
}


def store(room: Room, seed: int, strikes: int) -> Counted:
    """R16: in `events.db`, below views that are made anew."""
    with embedded(room.folder) as system:
        return struck(system, partial(_poisoned, system), seed, strikes)


def _poisoned(system: Embedded, chance: random.Random) -> str:
    name = chance.choice(sorted(POISONS))
    system.kill(everything=True)
    path = system.data / "events.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        # Not the beginning of a stream: whoever loads it would be refused, and a pipeline is loaded
        # by each of its runs.
        position, topic, state = chance.choice(
            connection.execute(
                "SELECT rowid, topic, state FROM stored_events WHERE topic LIKE 'run.step%'"
            ).fetchall()
        )
        bad = POISONS[name](topic, state)
        _put(connection, position, *bad)
    for file in system.data.glob("views.db*"):
        file.unlink()
    system.start()
    system.project.until(lambda: _halted(system).keys() >= READERS, halt_seconds_max)
    told = _halted(system)
    assert set(told.values()) == {position - 1}, f"R16: {name} at {position}: {told}"
    answer = system.project.json(
        "send", "headwater.command.pipeline.pause", json.dumps({"pipeline": "p0"})
    )
    assert answer["status"] == "accepted", f"R16: nobody decides beside {name}: {answer}"
    system.kill(everything=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        _put(connection, position, topic, state)
    system.start()
    return f"{name} at position {position}"


def _put(connection: sqlite3.Connection, position: int, topic: str, state: bytes) -> None:
    connection.execute(
        "UPDATE stored_events SET topic = ?, state = ? WHERE rowid = ?", (topic, state, position)
    )


def _halted(system: Embedded) -> dict[str, int]:
    """Halted views, and the last position that each has applied, as `services` tells it."""
    asked = system.project.run("services", "--json")
    found = re.findall(r"projection (\w+) halted: after position (\d+):", asked.stdout)
    return {view: int(position) for view, position in found}


SESSIONS: dict[str, Session] = {"R16 poison in the store": store}
