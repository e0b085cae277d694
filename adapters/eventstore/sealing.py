"""Moving the events of ended runs out of the table into segments.

    read ──► held against the chain ──► segment, synced and read back ──► one transaction:
                                                                          rows out, segment in

Before the transaction nobody reads the segment, after it nobody misses the rows. What dies before
it leaves at most a file that no store names.
"""

import fcntl
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Self
from uuid import UUID

import msgspec

from adapters.eventstore.chain import prepared
from adapters.eventstore.connection import Connection, connected, transaction
from adapters.eventstore.sealed import Sealed
from adapters.eventstore.segments import read_segment, segment_of, write_segment
from domain.backup import SEGMENTS
from domain.chain import Link, StoredRow, link_after, link_bytes, start_of
from domain.errors import Conflict, Malformed, Unavailable
from domain.ids import Position, Version, run_stream
from domain.record import read_state
from domain.run.events import ENDS
from domain.sealing import EndedRun, Segment


class SqliteSealing:
    """Sealing in one SQLite file, beside whoever reads and appends."""

    def __init__(self, writing: Connection, store_id: UUID) -> None:
        self._writing = writing
        self._store_id = store_id
        self._folder = Sealed(writing.path).folder

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path) -> AsyncIterator[Self]:
        """Open the store's file, for one at a time. Raises `Unavailable`, `StorageFull`,
        `Malformed`."""
        with _alone(path.parent / SEGMENTS):
            async with connected(path) as writing:
                yield cls(writing, await prepared(writing))

    async def ended(self) -> tuple[Sequence[EndedRun], Position]:
        """Runs in the table that have ended, in the order of their ends, and the store's head."""
        return await self._writing.run(_select_ended)

    async def seal(self, runs: Sequence[EndedRun], now: datetime) -> Segment:
        """Move all events of these runs into one segment; on the disk when this returns.

        Raises `Malformed` where one of them does not fit the chain, `Conflict` where a run has gone
        on meanwhile, `Unavailable`, `StorageFull`; nothing is sealed then.
        """
        rows, links = await self._writing.run(
            partial(_select_proven, runs=runs, start=start_of(self._store_id))
        )
        segment = await self._writing.run(partial(self._write, rows=rows, links=links))
        await self._writing.run(partial(_move, segment=segment, runs=runs, rows=rows, now=now))
        return segment

    async def size(self) -> int:
        """Bytes of the store's file."""
        return self._writing.path.stat().st_size

    async def shrink(self) -> None:
        """Give the room of what was sealed back to the disk; others wait for it.

        Raises `Unavailable` where somebody is reading all the time, `StorageFull` where a copy of
        what stays has no room; all is as before then.
        """
        await self._writing.run(lambda connection: connection.execute("VACUUM"))
        await self._writing.run(lambda raw: raw.execute("PRAGMA wal_checkpoint(TRUNCATE)"))

    def _write(
        self, _connection: sqlite3.Connection, rows: Sequence[StoredRow], links: Sequence[Link]
    ) -> Segment:
        segment, content = segment_of(rows, links)
        write_segment(self._folder, segment, content)
        if read_segment(self._folder, segment, (0, segment.last), None) != rows:
            raise Malformed(f"the segment {segment.name} does not read as it was written")
        return segment


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep others from sealing, and tidy up behind one that died at it."""
    with ExitStack() as stack:
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            lock = stack.enter_context((folder / ".lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in folder.glob(".*.partial"):
                left.unlink()
        except BlockingIOError as error:
            raise Unavailable("runs are being sealed already", hint="wait for it to end") from error
        except OSError as error:
            raise Unavailable(f"{folder} cannot be used: {error.strerror or error}") from error
        yield


def _select_ended(connection: sqlite3.Connection) -> tuple[Sequence[EndedRun], Position]:
    (head,) = connection.execute("SELECT coalesce(max(rowid), 0) FROM stored_events").fetchone()
    ends = connection.execute(_SELECT_ENDS, [f"{fact}.v%" for fact in ENDS])
    return [_ended(connection, *end) for end in ends], head


def _ended(
    connection: sqlite3.Connection, last: Position, name: str, version: int, state: bytes
) -> EndedRun:
    found = connection.execute(_SELECT_SIZE, (name,)).fetchone()
    return ended_run((last, UUID(name), version, state), found)


def ended_run(
    end: tuple[Position, UUID, Version, bytes], found: tuple[int, Version, int]
) -> EndedRun:
    """A run by the event that ended it, and by what is there: events, newest version, bytes.

    Raises `Malformed` where some are missing.
    """
    last, run, version, state = end
    events, newest, size = found
    if newest != version or events != version:
        raise Malformed(f"the events of run {run} are not whole", hint="headwater verify --chain")
    return EndedRun(
        stream=run_stream(run),
        ended_at=read_state(state).recorded_at,
        last=last,
        events=events,
        bytes=size,
    )


def _select_proven(
    connection: sqlite3.Connection, runs: Sequence[EndedRun], start: Link
) -> tuple[list[StoredRow], list[Link]]:
    """All rows of some runs in order of position, each held against its link."""
    names = msgspec.json.encode([run.stream.id.hex for run in runs]).decode()
    rows = connection.execute(_SELECT_RUNS, (names,)).fetchall()
    check_whole(runs, len(rows))
    return rows, proven_links(rows, _links(connection, rows[0][0], rows[-1][0], start))


def proven_links(
    rows: Sequence[StoredRow], chain: Iterable[tuple[Link, Position, Link]]
) -> list[Link]:
    """The links of rows, each of which fits its own. `chain` has the link before a position, the
    position, and its link. Raises `Malformed`."""
    wanted = {row[0]: row for row in rows}
    links: dict[Position, Link] = {}
    for previous, position, link in chain:
        row = wanted.get(position)
        if row is not None and link_after(previous, row) == link:
            links[position] = link
    for row in rows:
        if row[0] not in links:
            raise Malformed(
                f"the event at position {row[0]} does not fit its link, and is not sealed",
                hint="headwater verify --chain",
            )
    return [links[row[0]] for row in rows]


def _links(
    connection: sqlite3.Connection, first: Position, last: Position, start: Link
) -> Iterator[tuple[Link, Position, Link]]:
    """Links from one position to another, each with the link before it."""
    before = connection.execute(_SELECT_LINK_ROWS_BEFORE, (first,)).fetchone()
    previous = before[0][-link_bytes:] if before else start
    for begin, links in connection.execute(_SELECT_LINK_ROWS, (first, last)):
        for place in range(0, len(links), link_bytes):
            link = links[place : place + link_bytes]
            yield previous, begin + place // link_bytes, link
            previous = link


def _move(
    connection: sqlite3.Connection,
    segment: Segment,
    runs: Sequence[EndedRun],
    rows: Sequence[StoredRow],
    now: datetime,
) -> None:
    streams = places_of(rows)
    with transaction(connection):
        number = connection.execute(
            "INSERT INTO sealed_segments VALUES (NULL, ?, ?, ?, ?, ?, ?)",
            (
                segment.name,
                segment.sha256,
                segment.first,
                segment.last,
                segment.events,
                now.isoformat(),
            ),
        ).lastrowid
        connection.executemany(
            "INSERT INTO sealed_streams VALUES (?, ?, ?, ?, ?)",
            [(name, number, *place) for name, place in streams.items()],
        )
        connection.executemany(
            "INSERT INTO sealed_ranges VALUES (?, ?, ?)",
            [(first, last, number) for first, last in ranges([row[0] for row in rows])],
        )
        names = msgspec.json.encode(list(streams)).decode()
        gone = connection.execute(_DELETE_RUNS, (names,)).rowcount
        check_whole(runs, gone)  # undoes all of it where somebody has written meanwhile


def places_of(rows: Sequence[StoredRow]) -> dict[str, tuple[Position, Position, int]]:
    """Each stream's first and last position, and its last version."""
    streams: dict[str, tuple[Position, Position, int]] = {}
    for position, name, version, _, _ in rows:
        streams[name] = (streams.get(name, (position,))[0], position, version)
    return streams


def check_whole(runs: Sequence[EndedRun], rows: int) -> None:
    """Raises `Conflict` where runs have another number of events by now."""
    if rows != sum(run.events for run in runs):
        raise Conflict(f"{runs[0].stream}, or one of the {len(runs) - 1} after it,", runs[0].events)


def ranges(positions: Sequence[Position]) -> Iterator[tuple[Position, Position]]:
    """Stretches of positions that follow each other: the first and the last of each."""
    first = positions[0]
    for before, after in pairwise([*positions, positions[-1] + 2]):
        if after != before + 1:
            yield first, before
            first = after


_SELECT_ENDS = """
SELECT rowid, originator_id, originator_version, state FROM stored_events
WHERE topic LIKE ? OR topic LIKE ? OR topic LIKE ? ORDER BY rowid"""

_SELECT_SIZE = """
SELECT count(*), max(originator_version), sum(length(state))
FROM stored_events WHERE originator_id = ?"""

_SELECT_RUNS = """
SELECT rowid, originator_id, originator_version, topic,
       CASE typeof(state) WHEN 'blob' THEN state ELSE x'' END
FROM stored_events WHERE originator_id IN (SELECT value FROM json_each(?)) ORDER BY rowid"""

_DELETE_RUNS = "DELETE FROM stored_events WHERE originator_id IN (SELECT value FROM json_each(?))"

_SELECT_LINK_ROWS_BEFORE = """
SELECT links FROM event_links
WHERE first_position < (SELECT max(first_position) FROM event_links WHERE first_position <= ?)
ORDER BY first_position DESC LIMIT 1"""

_SELECT_LINK_ROWS = """
SELECT first_position, links FROM event_links
WHERE first_position >= (SELECT max(first_position) FROM event_links WHERE first_position <= ?)
AND first_position <= ? ORDER BY first_position"""
