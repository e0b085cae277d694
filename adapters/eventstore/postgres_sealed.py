"""Sealed events in a PostgreSQL database, and reading them together with the others.

Segments are rows of a table: whoever reaches the database has them, and so has every backup of it.
Sealing moves events in one transaction; whoever reads looks at both tables in one moment. Segments
never change and are never removed, so they can be read after it.
"""

from collections.abc import Sequence
from functools import partial
from heapq import merge
from itertools import islice
from typing import Any
from uuid import UUID

from anyio import to_thread

from adapters.postgres import Session
from domain.chain import StoredRow
from domain.ids import Position, Version
from domain.sealing import Segment

page_max = 1_000
"""Events that are read at once where some of them are sealed: 64 MiB at most."""

contents_max = 2
"""Segments whose bytes are remembered: whoever folds events reads each in several pages."""


class PostgresSealed:
    """The segments of one database.

    Every method raises `Unavailable`, with its name, where a segment is not as it was written.
    """

    def __init__(self) -> None:
        self._contents: dict[str, bytes] = {}

    async def behind(self, session: Session, after: Position, limit: int) -> list[StoredRow]:
        """Events behind `after`, sealed or not, at most `limit`, or as many as are read at once."""
        limit = min(limit, page_max)
        async with session.transaction(isolation="repeatable_read", readonly=True):
            rows: list[StoredRow] = [
                tuple(row) for row in await session.fetch(SELECT_ROWS, after, limit)
            ]
            segments = await segments_behind(session, after)
        return await self.merged(session, rows, segments, (after, limit))

    async def merged(
        self,
        session: Session,
        rows: list[StoredRow],
        segments: Sequence[Segment],
        page: tuple[Position, int],
    ) -> list[StoredRow]:
        """Rows of the table with those of segments, in order: behind a position, up to a number."""
        after, limit = page
        for segment in segments:
            if len(rows) >= limit and segment.first > rows[limit - 1][0]:
                break  # and so do all behind it
            sealed = await self._read(session, segment, (after, segment.last), limit)
            rows = list(islice(merge(rows, sealed), limit))
        return rows

    async def at(self, session: Session, position: Position) -> StoredRow | None:
        """The sealed event at a position, if there is one."""
        found = await session.fetchrow(_SELECT_AT, position)
        if found is None:
            return None
        rows = await self._read(session, _segment(found), (position - 1, position), 1)
        return rows[0] if rows else None

    async def stream(self, session: Session, stream: UUID, after: Version) -> list[StoredRow]:
        """Sealed events of a stream behind version `after`."""
        found = await session.fetchrow(_SELECT_OF, stream, after)
        if found is None:
            return []
        span = (found["stream_first"] - 1, found["stream_last"])
        rows = await self._read(session, _segment(found), span, None)
        return [row for row in rows if row[1] == stream.hex and row[2] > after]

    async def _read(
        self,
        session: Session,
        segment: Segment,
        span: tuple[Position, Position],
        limit: int | None,
    ) -> list[StoredRow]:
        # Arrow is loaded by those who have sealed events, and when they are read.
        from adapters.eventstore.segments import rows_of_content

        content = self._contents.get(segment.name) or await session.fetchval(
            "SELECT content FROM sealed_segments WHERE name = $1", segment.name
        )
        content = content or b""
        rows = await to_thread.run_sync(partial(rows_of_content, segment, content, span, limit))
        self._contents[segment.name] = content
        if len(self._contents) > contents_max:
            del self._contents[next(iter(self._contents))]
        return rows


async def segments_behind(session: Session, after: Position) -> list[Segment]:
    """Segments with events behind `after`, in order of their first positions."""
    return [_segment(row) for row in await session.fetch(_SELECT_BEHIND, after)]


async def sealed_positions(session: Session, segment: Segment, after: Position) -> list[Position]:
    """Positions of a segment's events behind another one."""
    stretches = await session.fetch(_SELECT_RANGES, segment.name, after)
    return [
        position for first, last in stretches for position in range(max(first, after + 1), last + 1)
    ]


def _segment(row: Any) -> Segment:
    return Segment(
        name=row["name"],
        sha256=row["sha256"],
        first=row["first_position"],
        last=row["last_position"],
        events=row["events"],
    )


SELECT_ROWS = """
SELECT notification_id, replace(originator_id::text, '-', ''), originator_version,
       coalesce(topic, ''), coalesce(state, '')
FROM stored_events WHERE notification_id > $1 ORDER BY notification_id LIMIT $2
"""

_SELECT_BEHIND = """
SELECT name, sha256, first_position, last_position, events
FROM sealed_segments WHERE last_position > $1 ORDER BY first_position
"""

_SELECT_AT = """
SELECT name, sha256, first_position, last_position, events FROM sealed_segments
WHERE segment = (
    SELECT segment FROM (SELECT * FROM sealed_ranges WHERE first_position <= $1
                         ORDER BY first_position DESC LIMIT 1) AS range
    WHERE last_position >= $1
)
"""

_SELECT_RANGES = """
SELECT sealed_ranges.first_position, sealed_ranges.last_position
FROM sealed_ranges JOIN sealed_segments USING (segment)
WHERE name = $1 AND sealed_ranges.last_position > $2
"""

_SELECT_OF = """
SELECT name, sha256, segments.first_position, segments.last_position, events,
       streams.first_position AS stream_first, streams.last_position AS stream_last
FROM sealed_streams AS streams JOIN sealed_segments AS segments USING (segment)
WHERE originator_id = $1 AND last_version > $2
"""
