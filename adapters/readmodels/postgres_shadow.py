"""A fold of the store beside a live view, in temporary tables of a session of its own.

Nobody else sees them, nothing of them is logged, and they end with the session, however that ends.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg
from anyio import CancelScope
from asyncpg.transaction import Transaction

from adapters.postgres import PATIENT, Database, Session
from adapters.readmodels import difference
from adapters.readmodels.dialect import POSTGRES
from adapters.readmodels.known import View, place_of
from adapters.readmodels.postgres_tables import (
    SET_PLACE,
    WHAT,
    alone,
    columns_of,
    in_schema,
    known_view,
    live,
    replace_tables,
    with_any_text,
    write,
)
from adapters.readmodels.statements import BulkStatements, Statements
from domain.errors import Conflict, Unavailable
from projections.ports import Bulk, Checkpoint, Difference, Shadow

SCHEMA = "pg_temp"

pin_tries_max = 10
"""A table may be taken away between the look at it and the lock on it."""

own = Statements(SCHEMA, POSTGRES)
"""SQL on the tables of the fold."""


@asynccontextmanager
async def open_shadow(database: Database, view: View) -> AsyncIterator[Shadow]:
    """Empty tables of a view's shape, gone at the end of the block. Raises `Unavailable`."""
    settings = {**in_schema, "temp_buffers": "32MB"}
    async with (
        database.sessions(WHAT, 1, waits=PATIENT, settings=settings) as sessions,
        sessions.session() as session,
    ):
        for table in view.tables:
            await session.execute(own.create_table(table))
        shadow = PostgresShadow(session, view)
        try:
            yield shadow
        finally:
            if not session.is_closed():
                with CancelScope(shield=True):
                    await shadow.unpin()


class PostgresShadow(Shadow):
    """Folds into temporary tables; pinned, its session sees the live ones as they were then."""

    def __init__(self, session: Session, view: View) -> None:
        self._session = session
        self._view = view
        self._statements = BulkStatements(view.tables, SCHEMA, POSTGRES)
        self._pinned: Checkpoint | None = None
        self._moment: Transaction | None = None

    async def pin(self) -> Checkpoint | None:
        for _ in range(pin_tries_max):
            await self.unpin()
            there = [t for t in self._view.tables if await columns_of(self._session, t)]
            self._moment = self._session.transaction(isolation="repeatable_read")
            await self._moment.start()
            try:
                # Whoever replaced a table would take its rows from a snapshot, too.
                for table in there:
                    await self._session.execute(
                        f"LOCK TABLE {live.named(table.name)} IN ACCESS SHARE MODE"
                    )
            except asyncpg.UndefinedTableError:
                continue
            self._pinned = await self._live_checkpoint()
            return self._pinned
        raise Unavailable(f"the tables of view {self._view.name} are being replaced")

    async def apply(self, changes: Sequence[Bulk]) -> None:
        async def work(rows: Sequence[Bulk]) -> None:
            async with self._session.transaction():
                await write(self._session, self._statements, rows)

        await with_any_text(work, changes)

    async def rows(self) -> int:
        counts = [await self._session.fetchval(own.count(t)) for t in self._view.tables]
        return sum(counts)

    async def differences(self, limit: int) -> Sequence[Difference]:
        found: list[Difference] = []
        for table in sorted(self._view.tables, key=lambda table: table.name):
            shape = difference.of_shape(table, await columns_of(self._session, table))
            if shape is not None:
                found.append(shape)
                continue
            await self._session.execute(f"ANALYZE {own.named(table.name)}")
            unlike = own.compare(table, live, limit - len(found))
            found += [
                difference.of_row(table, tuple(row)) for row in await self._session.fetch(unlike)
            ]
        return found

    async def swap(self, checkpoint: Checkpoint) -> None:
        await self.unpin()
        async with self._session.transaction():
            await alone(self._session)
            at = await self._live_checkpoint(locked=True)
            if at is not None and at != self._pinned and at.position > checkpoint.position:
                raise Conflict(f"view {self._view.name}", checkpoint.position)
            await replace_tables(self._session, self._view, SCHEMA)
            await self._session.execute(SET_PLACE, self._view.name, *place_of(checkpoint))

    async def unpin(self) -> None:
        """Look at the live view as it goes on. The fold is kept."""
        moment, self._moment = self._moment, None
        if moment is not None:
            await moment.commit()

    async def _live_checkpoint(self, *, locked: bool = False) -> Checkpoint | None:
        known = await known_view(self._session, self._view.name, locked=locked)
        return known.checkpoint if known and known.version == self._view.version else None
