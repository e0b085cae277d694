"""R17: many processes write to one store, and one after the other is killed and replaced.

The history of each stream is a list that everybody appends to. Each acknowledged entry must stand
in it once, at the version and position that were told; versions have one winner and no gap; and
what one writer has appended to one stream stands in the order in which it did.
"""

import json
import os
import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore
from msgspec import Struct

from domain.chain import links_after, start_of
from tests.e2e.project import Project
from tests.faults.campaign.room import Counted, Room, Session
from tests.postgres import PASSWORD

writers = 16
acknowledged_min = 40
"""New acknowledgements of all together from one strike to the next."""
seconds_max = 60.0
_REPOSITORY = Path(__file__).parents[3]

Row = tuple[int, UUID, int, str]
"""Position, stream, version, entry."""


class History(Struct):
    """A store that is written to, and how its events are read by others than us."""

    target: str
    rows: Callable[[], Sequence[Row]]
    prove: Callable[[], None]
    """The hash chain. Raises `AssertionError`."""


class Writers:
    """Processes that write, each with a file of what it was told."""

    def __init__(self, folder: Path, target: str, seed: int) -> None:
        self._folder = folder
        self._target = target
        self._seed = seed
        self._running: list[subprocess.Popen[bytes]] = []
        self._begun = 0

    def begin(self) -> None:
        """One more."""
        name = f"w{self._begun}"
        self._begun += 1
        command = [sys.executable, "-m", "tests.faults.campaign.appender"]
        with (self._folder / f"{name}.told").open("wb") as told:
            self._running.append(
                subprocess.Popen(
                    [*command, self._target, name, str(self._seed)],
                    stdout=told,
                    cwd=_REPOSITORY,
                    env={**os.environ, "PGPASSWORD": PASSWORD},
                )
            )

    def kill(self, chance: random.Random) -> None:
        """kill -9 of one."""
        chosen = self._running.pop(chance.randrange(len(self._running)))
        assert chosen.poll() is None, f"a writer has ended by itself with {chosen.returncode}"
        chosen.kill()
        chosen.wait()

    def end(self) -> None:
        """kill -9 of all."""
        for one in self._running:
            one.kill()
        for one in self._running:
            one.wait()
        self._running = []

    def told(self) -> list[dict[str, Any]]:
        """What was acknowledged to any of them."""
        lines = [
            line
            for file in self._folder.glob("*.told")
            for line in file.read_bytes().splitlines(keepends=True)
        ]
        return [json.loads(line) for line in lines if line.endswith(b"\n")]


def _written(history: History, room: Room, seed: int, strikes: int) -> Counted:
    chance = random.Random(f"writers {seed}")
    some, project = Writers(room.folder, history.target, seed), Project(room.folder)
    try:
        for _ in range(writers):
            some.begin()
        for _ in range(strikes):
            enough = len(some.told()) + acknowledged_min
            project.until(partial(_has, some, enough), seconds_max)
            some.kill(chance)
            some.begin()
    finally:
        some.end()
    told, rows = some.told(), history.rows()
    _hold(told, rows)
    history.prove()
    return Counted(strikes=strikes, counts={"acknowledged": len(told), "events": len(rows)})


def _has(some: Writers, enough: int) -> bool:
    return len(some.told()) >= enough


def _hold(told: Sequence[dict[str, Any]], rows: Sequence[Row]) -> None:
    stored = {entry: (position, stream, version) for position, stream, version, entry in rows}
    assert len(stored) == len(rows), "R17: an entry stands in the store twice"
    for one in told:
        said = one["position"], UUID(one["stream"]), one["version"]
        assert stored.get(one["entry"]) == said, (
            f"R17: told {said}, stored {stored.get(one['entry'])}"
        )
    versions: dict[UUID, list[int]] = defaultdict(list)
    orders: dict[tuple[UUID, str], list[int]] = defaultdict(list)
    for _, stream, version, entry in sorted(rows):
        versions[stream].append(version)
        writer, _, number = entry.partition("/")
        orders[stream, writer].append(int(number))
    for stream, found in versions.items():
        assert found == list(range(1, len(found) + 1)), f"R17: {stream} has versions {found}"
    for (stream, writer), numbers in orders.items():
        assert numbers == sorted(numbers), f"R17: {writer} in {stream}: {numbers}"


def _entry(state: bytes) -> str:
    return str(json.loads(state)["data"]["reason"])


def sqlite(room: Room, seed: int, strikes: int) -> Counted:
    """One file."""
    data = room.folder / ".headwater"
    data.mkdir()
    (data / "lock").touch()  # somebody has run here
    path = data / "events.db"

    def rows() -> list[Row]:
        datastore = SQLiteDatastore(str(path))
        try:
            recorder = SQLiteApplicationRecorder(datastore)
            found = recorder.select_notifications(None, 10**9)
            return [
                (one.id, UUID(str(one.originator_id)), one.originator_version, _entry(one.state))
                for one in found
            ]
        finally:
            datastore.close()

    def prove() -> None:
        proof = Project(room.folder).json("verify", "--chain")
        assert proof["ok"] is True, f"I4: {proof}"

    return _written(History(str(path), rows, prove), room, seed, strikes)


def postgres(room: Room, seed: int, strikes: int) -> Counted:
    """One database."""
    server = room.postgres()
    target = server.url(server.take())

    def asked(statement: bytes) -> list[tuple[Any, ...]]:
        with psycopg.connect(target, password=PASSWORD) as connection:
            return connection.execute(statement).fetchall()

    def stored() -> list[tuple[Any, ...]]:
        return asked(
            b"SELECT notification_id, originator_id, originator_version, topic, state"
            b" FROM stored_events ORDER BY notification_id"
        )

    def rows() -> list[Row]:
        return [(row[0], UUID(str(row[1])), row[2], _entry(row[4])) for row in stored()]

    def prove() -> None:
        ((store,),) = asked(b"SELECT store_id FROM store_identity")
        links = b"".join(
            row[0] for row in asked(b"SELECT links FROM event_links ORDER BY first_position")
        )
        chained = ((row[0], UUID(str(row[1])).hex, *row[2:]) for row in stored())
        assert b"".join(links_after(start_of(store), chained)) == links, "I4: a link does not fit"

    return _written(History(target, rows, prove), room, seed, strikes)


SESSIONS: dict[str, Session] = {
    "R17 concurrent writers": sqlite,
    "R17 concurrent writers (PostgreSQL)": postgres,
}
