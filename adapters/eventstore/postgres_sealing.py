"""Moving the events of ended runs out of their table into segments, in a PostgreSQL database.

    read ──► held against the chain ──► read back ──► one transaction: rows out, segment in

What dies before the end of that transaction leaves nothing.
"""

from collections.abc import AsyncIterator, Sequence, Set
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Self
from uuid import UUID

from anyio import to_thread

from adapters.eventstore.migrations import migrate
from adapters.eventstore.postgres import WHAT, lock_key
from adapters.eventstore.sealing import (
    check_whole,
    ended_run,
    places_of,
    proven_links,
    ranges,
)
from adapters.eventstore.segments import rows_of_content, segment_of
from adapters.postgres import PATIENT, Database, Session, translated
from domain.chain import Link, StoredRow, link_bytes, start_of
from domain.errors import Malformed, Unavailable
from domain.ids import Position
from domain.run.events import ENDS
from domain.sealing import EndedRun, Segment

seal_key = 4_936_107_223
"""Of the advisory lock that is held by whoever seals."""

away_seconds_max = 10
"""Appends wait for a seal: the server ends one whose process does not go on for so long."""

links_page = 1_000
"""Commits whose links are read at once."""


class PostgresSealing:
    """Sealing in one database, beside whoever reads and appends."""

    def __init__(self, session: Session, store_id: UUID, database: Database) -> None:
        self._session = session
        self._store_id = store_id
        self._database = database

    @classmethod
    @asynccontextmanager
    async def open(cls, database: Database) -> AsyncIterator[Self]:
        """Open the store of a database, for one at a time. Raises `Unavailable`, `StorageFull`,
        `Malformed`."""
        async with (
            database.sessions(WHAT, 1, waits=PATIENT) as sessions,
            sessions.session() as session,
        ):
            if await session.fetchval("SELECT to_regclass('store_identity') IS NULL"):
                raise Unavailable(f"there is no event store in {database}")
            store_id = await migrate(session)
            if not await session.fetchval("SELECT pg_try_advisory_lock($1)", seal_key):
                raise Unavailable("runs are being sealed already", hint="wait for it to end")
            yield cls(session, store_id, database)

    async def ended(self) -> tuple[Sequence[EndedRun], Position]:
        """Runs in the table that have ended, in the order of their ends, and the store's head."""
        head = await self._session.fetchval(
            "SELECT coalesce(max(notification_id), 0) FROM stored_events"
        )
        rows = await self._session.fetch(_SELECT_ENDS, [f"{fact}.v%" for fact in ENDS])
        return [ended_run(row[:4], row[4:]) for row in map(tuple, rows)], head

    async def seal(self, runs: Sequence[EndedRun], now: datetime) -> Segment:
        """Move all events of these runs into one segment; on the disk when this returns.

        Raises `Malformed` where one of them does not fit the chain, `Conflict` where a run has gone
        on meanwhile, `Unavailable`, `StorageFull`; nothing is sealed then.
        """
        ids = [run.stream.id for run in runs]
        rows = [tuple(row) for row in await self._session.fetch(_SELECT_RUNS, ids)]
        check_whole(runs, len(rows))
        links = proven_links(rows, await self._links({row[0] for row in rows}))
        segment, content = await to_thread.run_sync(_made, rows, links)
        async with self._session.transaction():
            await self._session.execute(
                f"SET LOCAL idle_in_transaction_session_timeout = '{away_seconds_max}s'"
            )
            await self._put(segment, content, rows, now)
            # In the order of an append, which takes the table first; and at the end, so that
            # appends wait for the shortest time.
            await self._session.execute("LOCK TABLE stored_events IN ROW EXCLUSIVE MODE")
            await self._session.execute("SELECT pg_advisory_xact_lock($1)", lock_key)
            gone = await self._session.fetchval(_DELETE_RUNS, ids)
            check_whole(runs, gone)  # undoes all of it where somebody has written meanwhile
        return segment

    async def size(self) -> int:
        """Bytes of the table of events, with its indexes."""
        with translated(WHAT, self._database):
            size: int = await self._session.fetchval(
                "SELECT pg_total_relation_size('stored_events')"
            )
        return size

    async def shrink(self) -> None:
        """Let new events use the room of what was sealed; nobody waits for it. Raises
        `Unavailable`."""
        with translated(WHAT, self._database):
            await self._session.execute("VACUUM stored_events")

    async def _put(
        self, segment: Segment, content: bytes, rows: Sequence[StoredRow], now: datetime
    ) -> None:
        number = await self._session.fetchval(
            _INSERT_SEGMENT,
            segment.name,
            segment.sha256,
            segment.first,
            segment.last,
            segment.events,
            now,
            content,
        )
        await self._session.executemany(
            "INSERT INTO sealed_streams VALUES ($1, $2, $3, $4, $5)",
            [(UUID(name), number, *place) for name, place in places_of(rows).items()],
        )
        await self._session.executemany(
            "INSERT INTO sealed_ranges VALUES ($1, $2, $3)",
            [(first, last, number) for first, last in ranges([row[0] for row in rows])],
        )

    async def _links(self, wanted: Set[Position]) -> list[tuple[Link, Position, Link]]:
        """The links of some positions, each with the link before it."""
        found: list[tuple[Link, Position, Link]] = []
        previous = start_of(self._store_id)
        begin = await self._session.fetchval(_SELECT_LINKS_BEFORE, min(wanted))
        last = max(wanted)
        while page := await self._session.fetch(_SELECT_LINKS, begin, last, links_page):
            for begin, links in page:
                for place in range(0, len(links), link_bytes):
                    link = links[place : place + link_bytes]
                    if begin + place // link_bytes in wanted:
                        found.append((previous, begin + place // link_bytes, link))
                    previous = link
            begin += 1
        return found


def _made(rows: Sequence[StoredRow], links: Sequence[Link]) -> tuple[Segment, bytes]:
    segment, content = segment_of(rows, links)
    made = content.to_pybytes()
    if rows_of_content(segment, made, (0, segment.last), None) != rows:
        raise Malformed(f"the segment {segment.name} does not read as it was written")
    return segment, made


_SELECT_ENDS = """
SELECT ends.notification_id, ends.originator_id, ends.originator_version, ends.state, whole.*
FROM stored_events AS ends CROSS JOIN LATERAL (
    SELECT count(*), max(originator_version), sum(octet_length(state))::bigint
    FROM stored_events WHERE originator_id = ends.originator_id
) AS whole
WHERE topic LIKE ANY($1::text[]) ORDER BY ends.notification_id
"""

_SELECT_RUNS = """
SELECT notification_id, replace(originator_id::text, '-', ''), originator_version,
       coalesce(topic, ''), coalesce(state, '')
FROM stored_events WHERE originator_id = ANY($1::uuid[]) ORDER BY notification_id
"""

_DELETE_RUNS = """
WITH gone AS (DELETE FROM stored_events WHERE originator_id = ANY($1::uuid[]) RETURNING 1)
SELECT count(*) FROM gone
"""

_INSERT_SEGMENT = """
INSERT INTO sealed_segments
    (name, sha256, first_position, last_position, events, sealed_at, content)
VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING segment
"""

_SELECT_LINKS_BEFORE = """
SELECT coalesce(max(first_position), 0) FROM event_links
WHERE first_position < (SELECT max(first_position) FROM event_links WHERE first_position <= $1)
"""
"""The row before the one that has the link of a position: its last link is before that row's."""

_SELECT_LINKS = """
SELECT first_position, links FROM event_links
WHERE first_position >= $1 AND first_position <= $2 ORDER BY first_position LIMIT $3
"""
