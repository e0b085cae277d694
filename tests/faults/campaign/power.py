"""R8: the power goes: every process dies, and with them all that nobody had synced.

A guard of raw writers belongs to it: the same disk must lose rows of SQLite at NORMAL and of
PostgreSQL without synchronous commits, and none of either where they are synced.
"""

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from msgspec import Struct

from runtime.roles import ROLES
from tests.faults.campaign import writer
from tests.faults.campaign.kills import database_seconds_max, starts, struck
from tests.faults.campaign.room import Counted, Room, Session
from tests.faults.campaign.systems import Cluster, Embedded, cluster, embedded
from tests.faults.disk import Disk, disk, why_not
from tests.postgres import PASSWORD, PostgresServer, postgres_server

rows_told = (50, 500)
"""So many before the power of a guard is cut; the seed draws it."""

kept_outside = ("ledger.jsonl", "up.log", *(f"{role}.log" for role in ROLES))
"""What a power cut must not take: what was said, and by whom."""


def outside(folder: Path, kept: Path) -> None:
    """Let what is said be written elsewhere than on the disk that is cut off."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in kept_outside:
        (folder / name).symlink_to(kept / name)


def with_disk(session: Session) -> Session:
    """The session, or a word why it cannot be tried here."""

    def tried(room: Room, seed: int, strikes: int) -> Counted:
        reason = why_not()
        return Counted(strikes=0, skipped=reason) if reason else session(room, seed, strikes)

    return tried


def service(room: Room, seed: int, strikes: int) -> Counted:
    """`headwater up` with all its files: store, views, bus, datasets, sink."""
    with disk(room.folder) as cut_off:
        outside(cut_off.root, room.folder)
        with embedded(cut_off.root) as system:
            cut_off.settle()  # what a user has written long ago
            return struck(system, partial(power, system, cut_off), seed, strikes)


def power(system: Embedded, cut_off: Disk, chance: random.Random) -> str:
    """Kill everything, cut the power, and start again."""
    system.kill(everything=True)
    cut_off.cut()
    system.start()
    return "power"


def roles(room: Room, seed: int, strikes: int) -> Counted:
    """Roles as processes, a nats-server and PostgreSQL, with the files of them all."""
    with database(room) as (server, cut_off):
        place = cut_off.root / "cluster"
        outside(place / "project", room.folder)
        with cluster(place, server, room.free_port()) as system:
            cut_off.settle()
            return struck(system, partial(_outage, server, cut_off, system), seed, strikes)


def _outage(server: PostgresServer, cut_off: Disk, system: Cluster, chance: random.Random) -> str:
    system.kill_all()
    server.crash()
    cut_off.cut()
    system.project.until(partial(starts, server), database_seconds_max)
    system.start_nats()
    system.start()
    return "power"


@contextmanager
def database(room: Room) -> Iterator[tuple[PostgresServer, Disk]]:
    """A server of its own whose files are on a disk that can be cut off."""
    with postgres_server(room.free_port()) as server:
        server.stop()
        place = server.folder.parent / "power"  # where the server's user may go
        place.mkdir()
        with disk(place) as cut_off:
            server.move(cut_off.backing / "data", cut_off.root / "data")
            server.start()
            try:
                yield server, cut_off
            finally:
                server.crash()


class Rows(Struct):
    """Where a guard's rows are."""

    target: str
    cut: Callable[[], None]
    """The power goes and comes back."""
    found: Callable[[], set[int]]
    given: dict[str, str] = {}
    """Variables of the writer's environment."""


def _guarded(rows: Rows, settings: tuple[str, str], seed: int, strikes: int) -> Counted:
    chance = random.Random(f"power {seed}")
    lost: dict[str, int] = {}
    acknowledged = 0
    for setting in settings:
        lost[setting] = 0
        for _ in range(strikes):
            told = writer.told(rows.target, setting, chance.randrange(*rows_told), **rows.given)
            rows.cut()
            lost[setting] += len(told - rows.found())
            acknowledged += len(told)
    safe, unsafe = settings
    assert lost[safe] == 0, f"R8: {lost[safe]} acknowledged rows lost at {safe}"
    assert lost[unsafe] > 0, f"R8: nothing lost at {unsafe}: this disk keeps what it should lose"
    counts = {"acknowledged": acknowledged, "lost": lost[unsafe]}
    return Counted(strikes=strikes, counts=counts)


def sqlite_guard(room: Room, seed: int, strikes: int) -> Counted:
    """A file in WAL mode keeps its rows at FULL and loses some at NORMAL."""
    with disk(room.folder) as cut_off:
        path = cut_off.root / "rows.db"

        def found() -> set[int]:
            with closing(sqlite3.connect(path)) as file:
                assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                return {int(n) for (n,) in file.execute("SELECT n FROM written")}

        return _guarded(Rows(str(path), cut_off.cut, found), ("FULL", "NORMAL"), seed, strikes)


def postgres_guard(room: Room, seed: int, strikes: int) -> Counted:
    """A database keeps its rows at `synchronous_commit = on` and loses some at `off`."""
    with database(room) as (server, cut_off):
        name = server.database()

        def cut() -> None:
            server.crash()
            cut_off.cut()
            server.start()

        def found() -> set[int]:
            return {int(str(n)) for (n,) in server.execute("SELECT n FROM written", name)}

        rows = Rows(server.url(name), cut, found, {"PGPASSWORD": PASSWORD})
        return _guarded(rows, ("on", "off"), seed, strikes)


SESSIONS: dict[str, Session] = {
    "R8 power cut": with_disk(service),
    "R8 power cut (cluster)": with_disk(roles),
    "R8 guard: SQLite": with_disk(sqlite_guard),
    "R8 guard: PostgreSQL": with_disk(postgres_guard),
}
