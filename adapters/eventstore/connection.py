"""Connections to the store's file, each with its own thread; SQLite's errors in our words."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar
from uuid import UUID, uuid4

import aiosqlite
import anyio
import anyio.to_thread

from domain.errors import Malformed, StorageFull, Unavailable

T = TypeVar("T")

lock_seconds_max = 5.0
"""How long a statement waits for another program's write."""

layout = 3
"""The layout of the file that this code writes, kept in `user_version`."""

layout_unchained = 1
"""The one that had no chain of links; that of 2 had no segments."""

_FULL = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_TRUNCATE,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_DIR_FSYNC,
        sqlite3.SQLITE_IOERR_SHMSIZE,
    }
)
"""How a disk without room shows: some file systems tell it only at the sync."""

_TABLES = """
CREATE TABLE IF NOT EXISTS stored_events (
    rowid INTEGER PRIMARY KEY AUTOINCREMENT,
    originator_id TEXT NOT NULL,
    originator_version INTEGER NOT NULL,
    topic TEXT NOT NULL,
    state BLOB NOT NULL,
    UNIQUE (originator_id, originator_version)
);
CREATE TABLE IF NOT EXISTS event_links (
    first_position INTEGER PRIMARY KEY,
    links BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS sealed_segments (
    segment INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    sha256 TEXT NOT NULL,
    first_position INTEGER NOT NULL,
    last_position INTEGER NOT NULL,
    events INTEGER NOT NULL,
    sealed_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS sealed_segments_last ON sealed_segments (last_position);
CREATE TABLE IF NOT EXISTS sealed_streams (
    originator_id TEXT PRIMARY KEY,
    segment INTEGER NOT NULL,
    first_position INTEGER NOT NULL,
    last_position INTEGER NOT NULL,
    last_version INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sealed_ranges (
    first_position INTEGER PRIMARY KEY,
    last_position INTEGER NOT NULL,
    segment INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS store_identity (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    store_id TEXT NOT NULL
);
"""
# AUTOINCREMENT and not the library's bare rowid: the position of a deleted newest row, or of any
# row after VACUUM, must never be given to another event.
# A row of event_links has the links of all events of one commit, one behind the other, also of
# events that are sealed in a segment by now.


class Connection:
    """One SQLite connection, used by one function at a time on its own thread."""

    def __init__(self, connection: aiosqlite.Connection, path: Path) -> None:
        self._connection = connection
        self.path = path
        self._closed = False

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` whole on the connection's thread. Raises `Unavailable`, `StorageFull`."""
        if self._closed:
            raise Unavailable("the event store is closed")
        with translated():
            # aiosqlite offers its thread only statement by statement, at the price of a hop each.
            raw = self._connection._conn
            result: T = await self._connection._execute(work, raw)  # type: ignore[no-untyped-call]  # not typed there
            return result

    async def close(self) -> None:
        """Finish what runs, then end the thread, even where the caller is being cancelled."""
        self._closed = True
        with anyio.CancelScope(shield=True):
            await self._connection.close()


@asynccontextmanager
async def connected(path: Path, *, read_only: bool = False) -> AsyncIterator[Connection]:
    """A connection to the file in WAL mode, synced on each commit. Raises `Unavailable`.

    One that only reads does not make the file where it is missing, and changes nothing in it.
    """
    place = place_of(path, "ro" if read_only else "rwc")
    connection = aiosqlite.connect(place, uri=True, timeout=lock_seconds_max, isolation_level=None)
    with translated():
        try:
            await connection
        except BaseException:
            # Its thread still has a last word for the event loop, which must hear it.
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(connection._thread.join)
            raise
    opened = Connection(connection, path)
    try:
        if not read_only:
            await opened.run(_configure)
        yield opened
    finally:
        await opened.close()


def place_of(path: Path, mode: str) -> str:
    """A file as SQLite's URI: `ro` to read what is there, `rwc` to write and make it."""
    return f"{path.absolute().as_uri()}?mode={mode}"


def _configure(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    # NORMAL, the default of some builds, loses acknowledged events when the power goes.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")


def prepare(connection: sqlite3.Connection) -> UUID:
    """Make the tables where they are missing; returns the store's id. Raises `Malformed`."""
    with transaction(connection):
        found = layout_of(connection)
        for statement in _TABLES.split(";"):
            connection.execute(statement)
        if found != layout_unchained:
            connection.execute(f"PRAGMA user_version = {layout:d}")
        connection.execute(
            "INSERT INTO store_identity VALUES (1, ?) ON CONFLICT DO NOTHING", (str(uuid4()),)
        )
        (store_id,) = connection.execute("SELECT store_id FROM store_identity").fetchone()
    return UUID(store_id)


def layout_of(connection: sqlite3.Connection) -> int:
    """The layout of the file, 0 before there is one. Raises `Malformed` for a newer one."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > layout:
        raise Malformed(
            f"the event store has layout {found}, this Headwater knows {layout}",
            hint="update Headwater",
        )
    return int(found)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """One write transaction: committed at the end, undone by an error, never left open."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        # SQLite itself has rolled back after some errors, such as a full disk, but not after all.
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@contextmanager
def translated() -> Iterator[None]:
    """Turn SQLite's errors into ours, with their cause."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:
        # The second where SQLite names what is damaged, and the name is.
        code = getattr(error, "sqlite_errorcode", None)
        if code in _FULL:
            raise StorageFull(
                f"the event store has no room to write: {error}",
                hint="free space in the data directory, then send the command again",
            ) from error
        raise Unavailable(f"the event store cannot be used: {error}") from error
