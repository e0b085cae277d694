"""The hash chain in a PostgreSQL database, read beside the events."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Self
from uuid import UUID

from adapters.eventstore.postgres_sealed import (
    SELECT_ROWS,
    PostgresSealed,
    sealed_positions,
    segments_behind,
)
from adapters.postgres import Database, Sessions
from domain.chain import Link, StoredRow, link_bytes
from domain.errors import Unavailable
from domain.ids import Position
from projections.ports import ChainPage, EventChain


class PostgresEventChain(EventChain):
    """Events and links of one database, whoever writes to it."""

    def __init__(self, store_id: UUID, reading: Sessions, *, is_sealed: bool) -> None:
        self._store_id = store_id
        self._reading = reading
        self._is_sealed = is_sealed
        self._sealed = PostgresSealed()

    @classmethod
    @asynccontextmanager
    async def open(cls, database: Database) -> AsyncIterator[Self]:
        """Open the store of a database, which must be there. Raises `Unavailable`."""
        settings = {"default_transaction_read_only": "on"}
        async with database.sessions("the event store", 1, settings=settings) as reading:
            async with reading.session() as session:
                if await session.fetchval("SELECT to_regclass('store_identity') IS NULL"):
                    raise Unavailable(f"there is no event store in {database}")
                store_id = UUID(str(await session.fetchval("SELECT store_id FROM store_identity")))
                # An older layout knows of no segments, and is brought up to date by others.
                is_sealed = await session.fetchval(
                    "SELECT to_regclass('sealed_segments') IS NOT NULL"
                )
            yield cls(store_id, reading, is_sealed=is_sealed)

    @property
    def store_id(self) -> UUID:
        """Made once with the tables."""
        return self._store_id

    async def page(self, after: Position, limit: int) -> ChainPage:
        """Events and links behind `after`, of one moment."""
        async with self._reading.session() as session:
            async with session.transaction(isolation="repeatable_read", readonly=True):
                rows = [tuple(row) for row in await session.fetch(SELECT_ROWS, after, limit)]
                # Each has one link or more, and the first one may end at `after`.
                linked = await session.fetch(_SELECT_LINKS, after, limit + 1)
                segments = await segments_behind(session, after) if self._is_sealed else []
            unreadable: dict[Position, str] = {}
            for segment in segments:
                try:
                    rows = await self._sealed.merged(session, rows, [segment], (after, limit))
                except Unavailable as error:
                    positions = await sealed_positions(session, segment, after)
                    unreadable |= dict.fromkeys(positions, error.message)
        links = [
            (first + place, links[place * link_bytes : (place + 1) * link_bytes])
            for first, links in linked
            for place in range((len(links) + link_bytes - 1) // link_bytes)
            if first + place > after
        ]
        return _page(rows, links, unreadable, (after, limit))

    async def damage(self) -> Sequence[str]:
        """Nothing: the server tells of it whenever it reads."""
        return ()


def _page(
    rows: Sequence[StoredRow],
    links: Sequence[tuple[Position, Link]],
    unreadable: Mapping[Position, str],
    asked: tuple[Position, int],
) -> ChainPage:
    """It ends where both are complete."""
    after, limit = asked
    ends = [part[limit - 1][0] for part in (rows, links) if len(part) >= limit]
    until = min(ends, default=max([after, *(one[0] for part in (rows, links) for one in part)]))
    return ChainPage(
        rows=[row for row in rows if row[0] <= until],
        links=[one for one in links if one[0] <= until],
        until=until,
        unreadable={p: reason for p, reason in unreadable.items() if p <= until},
        is_last=not ends,
    )


_SELECT_LINKS = """
SELECT first_position, links FROM event_links
WHERE first_position >= coalesce(
    (SELECT max(first_position) FROM event_links WHERE first_position <= $1::bigint + 1), $1)
ORDER BY first_position LIMIT $2
"""
