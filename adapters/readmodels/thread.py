"""Where functions on a SQLite connection run: on the connection's own thread, or right here."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol, TypeVar

import aiosqlite
from anyio import CancelScope
from anyio.lowlevel import checkpoint

from adapters.readmodels.views import translated

T = TypeVar("T")

busy_seconds_max = 10.0
"""How long a statement waits for a lock that another process holds."""


cache_kib_max = 8 * 1024
"""Pages of the database that a connection keeps in memory, in KiB."""

wal_pages_max = 4_000
"""Pages written between two checkpoints (16 MiB): each one waits for the disk."""


class Runner(Protocol):
    """Runs one function at a time on a connection."""

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The function's result. A cancelled caller does not stop a function that has begun."""
        ...


class Inline(Runner):
    """Runs on the caller's thread: for databases in memory, under any event loop."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        await checkpoint()
        with translated():
            return work(self._connection)


class OwnThread(Runner):
    """Runs on the thread that aiosqlite keeps for the connection."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        raw = self._connection._conn
        with translated():
            # One hop to the thread for the whole function instead of one for each statement.
            result: T = await self._connection._execute(work, raw)  # type: ignore[no-untyped-call]  # has no types
        return result


@asynccontextmanager
async def own_thread(path: Path | str, *, read_only: bool = False) -> AsyncIterator[OwnThread]:
    """A connection to a file or `:memory:`, with transactions as written, closed at the end."""
    with translated():
        connection = await aiosqlite.connect(path, isolation_level=None, timeout=busy_seconds_max)
    runner = OwnThread(connection)
    try:
        await runner.run(lambda raw: _configure(raw, read_only))
        yield runner
    finally:
        with CancelScope(shield=True):
            await connection.close()


def _configure(connection: sqlite3.Connection, read_only: bool) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    # Views are made again from the store, so a commit need not wait for the disk.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA cache_size = -{cache_kib_max}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {wal_pages_max}")
    connection.execute(f"PRAGMA query_only = {int(read_only)}")
