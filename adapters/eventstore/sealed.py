"""What the store's file knows of sealed events, and reading them together with the others.

Sealing moves events from the table into a segment in one transaction. Whoever reads looks at both
in one moment; the segments themselves never change, and are read after it.
"""

import sqlite3
from collections.abc import Sequence
from heapq import merge
from itertools import islice
from pathlib import Path

from domain.backup import SEGMENTS
from domain.chain import Link, StoredRow
from domain.ids import Position, Version
from domain.sealing import Segment


class Sealed:
    """The segments beside one store's file, read on the thread of whoever asks.

    Every method raises `Unavailable`, with its name, where a segment is missing or damaged.
    """

    def __init__(self, store: Path) -> None:
        self.folder = store.parent / SEGMENTS
        self._known: dict[str, tuple[int, ...]] = {}

    def select(
        self, connection: sqlite3.Connection, statement: str, after: Position, limit: int
    ) -> list[StoredRow]:
        """Events behind `after`, sealed or not; `statement` selects those of the table."""
        connection.execute("BEGIN")
        try:
            rows = connection.execute(statement, (after, limit)).fetchall()
            segments = segments_behind(connection, after)
        finally:
            connection.execute("ROLLBACK")
        return self.merged(rows, segments, after, limit)

    def merged(
        self, rows: list[StoredRow], segments: Sequence[Segment], after: Position, limit: int
    ) -> list[StoredRow]:
        """Rows of the table with those of segments, in order, at most `limit`."""
        for segment in segments:
            if len(rows) >= limit and segment.first > rows[limit - 1][0]:
                break  # and so do all behind it
            rows = list(
                islice(merge(rows, self._read(segment, (after, segment.last), limit)), limit)
            )
        return rows

    def at(self, connection: sqlite3.Connection, position: Position) -> StoredRow | None:
        """The sealed event at a position, if there is one."""
        found = connection.execute(_SELECT_AT, (position,)).fetchone()
        rows = self._read(_segment(found), (position - 1, position), 1) if found else []
        return rows[0] if rows else None

    def stream(self, connection: sqlite3.Connection, name: str, after: Version) -> list[StoredRow]:
        """Sealed events of a stream behind version `after`."""
        found = connection.execute(_SELECT_OF, (name, after)).fetchone()
        if not found:
            return []
        *segment, first, last = found
        rows = self._read(_segment(segment), (first - 1, last), None)
        return [row for row in rows if row[1] == name and row[2] > after]

    def _read(
        self, segment: Segment, span: tuple[Position, Position], limit: int | None
    ) -> list[StoredRow]:
        # Arrow is loaded by those who have sealed events, and when they are read.
        from adapters.eventstore.segments import check_segment, read_segment

        self._known[segment.name] = check_segment(
            self.folder, segment, self._known.get(segment.name)
        )
        return read_segment(self.folder, segment, span, limit)


def segments_behind(connection: sqlite3.Connection, after: Position) -> list[Segment]:
    """Segments with events behind `after`, in order of their first positions."""
    return [_segment(row) for row in connection.execute(_SELECT_BEHIND, (after,))]


def sealed_positions(
    connection: sqlite3.Connection, segment: Segment, links: Sequence[tuple[Position, Link]]
) -> list[Position]:
    """Those of some linked positions whose events are in a segment."""
    if not links:
        return []
    ranges = connection.execute(_SELECT_RANGES, (segment.name, links[0][0], links[-1][0]))
    inside = [range(first, last + 1) for first, last in ranges]
    return [position for position, _ in links if any(position in one for one in inside)]


def select_previous(
    connection: sqlite3.Connection, position: Position
) -> tuple[Position, Position]:
    """The position before `position`, and the last one that is sealed; 0 where there is none."""
    previous, last = connection.execute(_SELECT_PREVIOUS, (position,)).fetchone()
    return int(previous), int(last)


def _segment(row: Sequence[str | int]) -> Segment:
    name, sha256, first, last, events = row
    return Segment(
        name=str(name), sha256=str(sha256), first=int(first), last=int(last), events=int(events)
    )


_SELECT_BEHIND = """
SELECT name, sha256, first_position, last_position, events
FROM sealed_segments WHERE last_position > ? ORDER BY first_position"""

_SELECT_AT = """
SELECT name, sha256, first_position, last_position, events
FROM sealed_segments
WHERE segment = (SELECT segment FROM sealed_ranges WHERE last_position >= ?1
                 AND first_position = (SELECT max(first_position) FROM sealed_ranges
                                       WHERE first_position <= ?1))"""

_SELECT_OF = """
SELECT name, sha256, segments.first_position, segments.last_position, events,
       streams.first_position, streams.last_position
FROM sealed_streams AS streams JOIN sealed_segments AS segments USING (segment)
WHERE originator_id = ? AND last_version > ?"""

_SELECT_RANGES = """
SELECT sealed_ranges.first_position, sealed_ranges.last_position
FROM sealed_ranges JOIN sealed_segments USING (segment)
WHERE name = ? AND sealed_ranges.last_position >= ? AND sealed_ranges.first_position <= ?"""

_SELECT_PREVIOUS = """
SELECT max(coalesce((SELECT max(rowid) FROM stored_events WHERE rowid < ?1), 0),
           coalesce((SELECT min(last_position, ?1 - 1) FROM sealed_ranges WHERE first_position < ?1
                     ORDER BY first_position DESC LIMIT 1), 0)),
       coalesce((SELECT max(last_position) FROM sealed_segments), 0)"""
