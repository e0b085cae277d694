"""Read models in SQLite: a file with a writing and a reading connection, or private memory.

    apply_once ─► writing connection ─► views.db (WAL) ◄─ reading connection ◄─ query
                                            ▲ snapshot
                          beside ─► third connection ─► views.db.shadow-N, deleted at the end

Views that have something to apply at the same time share a transaction: whoever's turn it is takes
along what waits.

A comparison looks at a snapshot of the live tables and folds into a file of its own, so it
neither waits for the writer nor makes it wait.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from functools import partial
from itertools import count
from pathlib import Path

from anyio import CancelScope, Lock, to_thread

from adapters.readmodels import named, shadow, views
from adapters.readmodels.dialect import SQLITE, quote
from adapters.readmodels.known import View
from adapters.readmodels.moves import Move, move_all
from adapters.readmodels.thread import Inline, Runner, own_thread
from domain.errors import Conflict, Defect
from projections.ports import (
    Bulk,
    Checkpoint,
    Difference,
    ReadModels,
    Row,
    Shadow,
    Table,
    Value,
)

ShadowOpener = Callable[[View], AbstractAsyncContextManager[Shadow]]


class SqliteReadModels(ReadModels):
    """Tables of views in one SQLite database."""

    def __init__(self, writer: Runner, reader: Runner, open_shadow: ShadowOpener) -> None:
        self._writer = writer
        self._reader = reader
        self._open_shadow = open_shadow
        self._queries = named.load(SQLITE)
        self._tables: dict[str, views.Writer] = {}
        self._waiting: list[Move] = []
        self._turn = Lock()

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path) -> AsyncIterator["SqliteReadModels"]:
        """Open or make the file `path`, whose folder must be there.

        A file that is no database is replaced: views are made again from the store. Raises
        `Unavailable` where it cannot be opened.
        """
        _forget_shadows(path)
        await to_thread.run_sync(_forget_garbage, path)
        async with own_thread(path) as writer, own_thread(path, read_only=True) as reader:
            await writer.run(views.prepare)
            numbers = count(1)
            yield cls(
                writer,
                reader,
                lambda view: _file_shadow(path, next(numbers), writer, view),
            )

    @classmethod
    @asynccontextmanager
    async def open_in_memory(cls, *, inline: bool = False) -> AsyncIterator["SqliteReadModels"]:
        """Private to this object, gone at the end.

        `inline` runs on the caller's thread, under any event loop: for virtual time.
        """
        async with _inline() if inline else own_thread(":memory:") as runner:
            await runner.run(views.prepare)
            numbers = count(1)
            yield cls(runner, runner, lambda view: _memory_shadow(runner, next(numbers), view))

    async def checkpoint(self, view: str, version: int) -> Checkpoint | None:
        known = await self._writer.run(lambda raw: views.whole_view(raw, view, version))
        if known is None:
            return None
        self._tables[view] = views.Writer(known.tables)
        return known.checkpoint

    async def create(
        self,
        view: str,
        version: int,
        tables: Sequence[Table],
        expected: Checkpoint | None = None,
    ) -> None:
        def work(connection: sqlite3.Connection) -> None:
            with views.transaction(connection):
                known = views.whole_view(connection, view, version)
                if (known.checkpoint if known else None) != expected:
                    raise Conflict(f"view {view}", expected.position if expected else 0)
                views.create(connection, view, version, tables)

        await self._writer.run(work)
        self._tables[view] = views.Writer(tables)

    async def apply_once(
        self,
        view: str,
        expected: Checkpoint | None,
        changes: Sequence[Bulk],
        checkpoint: Checkpoint,
    ) -> None:
        writer = self._tables.get(view)
        if writer is None:
            raise Defect(f"view {view} was neither created nor asked for its checkpoint")
        move = Move(view, writer, expected, changes, checkpoint)
        self._waiting.append(move)
        try:
            async with self._turn:
                if not move.is_done:
                    await self._move(move)
        finally:
            if move in self._waiting:
                self._waiting.remove(move)
        move.settle()

    async def _move(self, move: Move) -> None:
        """Make a move with all that wait. One that somebody has taken along, and was cancelled
        with, is begun already: then this waits for it."""
        moves = [move]
        if move in self._waiting:
            moves, self._waiting = self._waiting, []
        await self._writer.run(partial(move_all, moves=moves))

    async def query(self, name: str, arguments: Mapping[str, Value]) -> Sequence[Row]:
        text = self._queries.text(name)

        def work(connection: sqlite3.Connection) -> list[Row]:
            cursor = connection.execute(text, arguments)
            columns = [column[0] for column in cursor.description]
            return [dict(zip(columns, row, strict=True)) for row in cursor]

        return await self._reader.run(work)

    def beside(
        self, view: str, version: int, tables: Sequence[Table]
    ) -> AbstractAsyncContextManager[Shadow]:
        return self._open_shadow(View(view, version, tuple(tables)))


def _forget_shadows(path: Path) -> None:
    for leftover in path.parent.glob(f"{path.name}.shadow-*"):
        leftover.unlink()


def _forget_garbage(path: Path) -> None:
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.OperationalError:
        return  # locked, or not to be opened: whoever opens it next is told
    except sqlite3.DatabaseError:
        for ending in ("", "-wal", "-shm"):
            path.with_name(path.name + ending).unlink(missing_ok=True)


@asynccontextmanager
async def _inline() -> AsyncIterator[Runner]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        yield Inline(connection)


class _SqliteShadow(Shadow):
    """What both kinds of shadow do alike. The runner's connection has the schema `shadow`, and
    the pinned live tables in the schema `live`."""

    def __init__(self, runner: Runner, view: View, live: str, shadow_schema: str) -> None:
        self._runner = runner
        self._view = view
        self._live = live
        self._schema = shadow_schema
        self._writer = views.Writer(view.tables, shadow_schema)
        self._pinned: Checkpoint | None = None

    async def apply(self, changes: Sequence[Bulk]) -> None:
        await self._runner.run(lambda connection: self._writer.apply(connection, changes))

    async def rows(self) -> int:
        return await self._runner.run(lambda raw: shadow.rows(raw, self._view, self._schema))

    async def differences(self, limit: int) -> Sequence[Difference]:
        schemas = (self._schema, self._live)
        return await self._runner.run(
            lambda connection: shadow.differences(connection, self._view, schemas, limit)
        )


class _FileShadow(_SqliteShadow):
    """Folds into a file of its own, over a read transaction on the live one."""

    def __init__(self, runner: Runner, view: View, writer: Runner, path: Path) -> None:
        super().__init__(runner, view, "main", "shadow")
        self._live_writer = writer
        self._path = path

    async def pin(self) -> Checkpoint | None:
        def work(connection: sqlite3.Connection) -> Checkpoint | None:
            connection.execute("COMMIT")
            connection.execute("BEGIN")
            # The first read of a transaction fixes what all others of it see.
            return shadow.live_checkpoint(connection, self._view, self._live)

        self._pinned = await self._runner.run(work)
        return self._pinned

    async def swap(self, checkpoint: Checkpoint) -> None:
        def commit(connection: sqlite3.Connection) -> None:
            connection.execute("COMMIT")
            connection.execute("BEGIN")

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("ATTACH ? AS shadow", (str(self._path),))
            try:
                shadow.replace_live(connection, self._view, self._schema, self._pinned, checkpoint)
            finally:
                connection.execute("DETACH shadow")

        await self._runner.run(commit)
        await self._live_writer.run(work)


@asynccontextmanager
async def _file_shadow(
    path: Path, number: int, writer: Runner, view: View
) -> AsyncIterator[Shadow]:
    own = path.with_name(f"{path.name}.shadow-{number}")

    def prepare(connection: sqlite3.Connection) -> None:
        connection.execute("ATTACH ? AS shadow", (str(own),))
        connection.execute("PRAGMA shadow.journal_mode = OFF")
        connection.execute("PRAGMA shadow.synchronous = OFF")
        connection.execute("BEGIN")
        shadow.make(connection, view, "shadow")

    try:
        async with own_thread(path) as runner:
            await runner.run(prepare)
            yield _FileShadow(runner, view, writer, own)
    finally:
        with CancelScope(shield=True):
            await writer.run(lambda _: own.unlink(missing_ok=True))


class _MemoryShadow(_SqliteShadow):
    """Folds into a second database in memory; a third one holds the pinned copy."""

    async def pin(self) -> Checkpoint | None:
        def work(connection: sqlite3.Connection) -> Checkpoint | None:
            shadow.copy_live(connection, self._view, self._live)
            return shadow.live_checkpoint(connection, self._view, self._live)

        self._pinned = await self._runner.run(work)
        return self._pinned

    async def swap(self, checkpoint: Checkpoint) -> None:
        await self._runner.run(
            lambda raw: shadow.replace_live(raw, self._view, self._schema, self._pinned, checkpoint)
        )


@asynccontextmanager
async def _memory_shadow(runner: Runner, number: int, view: View) -> AsyncIterator[Shadow]:
    own, pinned = f"shadow_{number}", f"pinned_{number}"

    def prepare(connection: sqlite3.Connection) -> None:
        for schema in (own, pinned):
            connection.execute(f"ATTACH ':memory:' AS {quote(schema)}")
        shadow.make(connection, view, own)

    def forget(connection: sqlite3.Connection) -> None:
        for schema in (own, pinned):
            connection.execute(f"DETACH {quote(schema)}")

    await runner.run(prepare)
    try:
        yield _MemoryShadow(runner, view, pinned, own)
    finally:
        with CancelScope(shield=True):
            await runner.run(forget)
