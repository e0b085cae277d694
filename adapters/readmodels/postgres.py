"""Read models in a schema of a PostgreSQL database, for several processes at once.

    apply_once ─► a session ───► headwater_views ◄─ sessions that read ◄─ query
                                       ▲ snapshot
                       beside ─► a session of its own ─► temporary tables

A comparison looks at a snapshot of the live tables and folds into tables that end with its session.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache

from adapters.postgres import PATIENT, Database, Session, Sessions
from adapters.readmodels import named
from adapters.readmodels.dialect import POSTGRES
from adapters.readmodels.known import PREPARE, Known, View, columns_named
from adapters.readmodels.postgres_moves import Move, Moves
from adapters.readmodels.postgres_shadow import open_shadow
from adapters.readmodels.postgres_tables import (
    SCHEMA,
    WHAT,
    alone,
    columns_of,
    in_schema,
    known_view,
    replace_tables,
)
from adapters.readmodels.statements import BulkStatements
from domain.errors import Conflict, Defect
from projections.ports import Bulk, Checkpoint, ReadModels, Row, Shadow, Table, Value

readers_max = 4
"""Queries that are answered at the same time."""

writers_max = 4
"""Views that are written at the same time."""


class PostgresReadModels(ReadModels):
    """Tables of views in one PostgreSQL database."""

    def __init__(self, database: Database, writer: Sessions, reader: Sessions) -> None:
        self._database = database
        self._writer = writer
        self._moves = Moves(writer)
        self._reader = reader
        self._queries = named.load(POSTGRES)
        self._tables: dict[str, BulkStatements] = {}

    @classmethod
    @asynccontextmanager
    async def open(cls, database: Database) -> AsyncIterator["PostgresReadModels"]:
        """Open the views of a database, made where they are missing. Raises `Unavailable`."""
        reading = {
            **in_schema,
            "default_transaction_read_only": "on",
            # Values decide how a query is best answered, not habits.
            "plan_cache_mode": "force_custom_plan",
        }
        async with (
            # A view that is written waits while its tables are exchanged.
            database.sessions(WHAT, writers_max, waits=PATIENT, settings=in_schema) as writer,
            database.sessions(WHAT, readers_max, settings=reading) as reader,
        ):
            async with writer.session() as session:
                await _prepare(session)
            yield cls(database, writer, reader)

    async def checkpoint(self, view: str, version: int) -> Checkpoint | None:
        async with self._writer.session() as session:
            known = await _whole_view(session, view, version)
        if known is None:
            return None
        self._tables[view] = BulkStatements(known.tables, SCHEMA, POSTGRES)
        return known.checkpoint

    async def create(
        self,
        view: str,
        version: int,
        tables: Sequence[Table],
        expected: Checkpoint | None = None,
    ) -> None:
        async with self._writer.session() as session, session.transaction():
            await alone(session)
            known = await _whole_view(session, view, version, locked=True)
            if (known.checkpoint if known else None) != expected:
                raise Conflict(f"view {view}", expected.position if expected else 0)
            await replace_tables(session, View(view, version, tuple(tables)), None)
        self._tables[view] = BulkStatements(tables, SCHEMA, POSTGRES)

    async def apply_once(
        self,
        view: str,
        expected: Checkpoint | None,
        changes: Sequence[Bulk],
        checkpoint: Checkpoint,
    ) -> None:
        statements = self._tables.get(view)
        if statements is None:
            raise Defect(f"view {view} was neither created nor asked for its checkpoint")
        await self._moves.make(Move(view, statements, expected, changes, checkpoint))

    async def query(self, name: str, arguments: Mapping[str, Value]) -> Sequence[Row]:
        text, names = _numbered(self._queries.text(name))
        values = [arguments[one] for one in names]
        rows = await self._reader.read(lambda session: session.fetch(text, *values))
        return [dict(row) for row in rows]

    def beside(
        self, view: str, version: int, tables: Sequence[Table]
    ) -> AbstractAsyncContextManager[Shadow]:
        return open_shadow(self._database, View(view, version, tuple(tables)))


async def _whole_view(
    session: Session, view: str, version: int, *, locked: bool = False
) -> Known | None:
    """What the database knows of a view of this version, if all its tables are there."""
    known = await known_view(session, view, locked=locked)
    if known is None or known.version != version:
        return None
    for table in known.tables:
        if await columns_of(session, table) != columns_named(table):
            return None
    return known


async def _prepare(session: Session) -> None:
    async with session.transaction():
        await alone(session)
        if await session.fetchval("SELECT to_regclass('view_checkpoints') IS NULL"):
            await session.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            await session.execute(PREPARE)


@cache
def _numbered(text: str) -> tuple[str, tuple[str, ...]]:
    """A query whose arguments are numbers, and their names in this order."""
    names = tuple(dict.fromkeys(_ARGUMENT.findall(text)))
    return _ARGUMENT.sub(lambda found: f"${names.index(found[1]) + 1}", text), names


_ARGUMENT = re.compile(r"(?<!:):([a-z_]+)")
