"""The event store on SQLite.

append ──► groups ──► events.db ◄── load, read
           one sync                 connections of their own
"""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Self
from uuid import UUID

import msgspec
from eventsourcing.persistence import Notification

from adapters.eventstore.chain import insert_links, prepared
from adapters.eventstore.connection import Connection, connected, transaction
from adapters.eventstore.groups import Append, GroupWriter, Outcome, placed
from adapters.eventstore.mapper import (
    EnvelopeMapper,
    event_id_of,
    records_of,
    stretch_from,
)
from adapters.eventstore.sealed import Sealed, select_previous
from adapters.eventstore.tail import FollowedLog, Tail, TailFeed
from commands.ports import Envelope, EventLog, EventStore
from domain.catalog import CATALOG, Catalog
from domain.chain import Link, start_of
from domain.ids import Position, StreamId, Version
from domain.record import Recorded
from projections.ports import EventFeed
from projections.ports import EventLog as ReadEventLog
from projections.stretch import Stretch

statement_rows_max = 199
"""Events in one INSERT: some builds of SQLite bind no more than 999 values."""

_versions = msgspec.json.Decoder(dict[str, int])


class SqliteEventStore(EventStore, EventLog, ReadEventLog):
    """Events in one SQLite file. Several stores, also of several processes, may share it."""

    def __init__(
        self,
        *,
        store_id: UUID,
        writing: Connection,
        loading: Connection,
        reading: Connection,
        catalog: Catalog,
        head: Position = 0,
    ) -> None:
        self._store_id = store_id
        self._origin = start_of(store_id)
        self._writing = writing
        self._loading = loading
        self._reading = reading
        self._sealed = Sealed(reading.path)
        self._mapper = EnvelopeMapper(catalog)
        self._tail = Tail(head)
        self._writer = GroupWriter(self._commit, self._tail.extend, catalog)

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path | str, catalog: Catalog = CATALOG) -> AsyncIterator[Self]:
        """Open the store's file, made where it is missing, until the end of the block.

        The end waits for appends that have begun. Raises `Unavailable`, `StorageFull`,
        `Malformed`.
        """
        file = Path(path)
        async with (
            connected(file) as writing,
            connected(file) as loading,
            connected(file) as reading,
        ):
            store = cls(
                store_id=await prepared(writing),
                writing=writing,
                loading=loading,
                reading=reading,
                catalog=catalog,
                head=await reading.run(_select_head),
            )
            try:
                yield store
            finally:
                await store._writer.close()

    @property
    def store_id(self) -> UUID:
        """Made once with the file."""
        return self._store_id

    async def append(
        self, stream: StreamId, expected: Version, envelopes: Sequence[Envelope]
    ) -> Sequence[Position]:
        """Append all or none, synced to disk; a caller that gives up may find either."""
        return await self._writer.append(stream, expected, envelopes)

    async def load(self, stream: StreamId, after: Version = 0) -> Sequence[Envelope]:
        """A stream's events behind `after`, upcast where they are old."""
        rows = await self._loading.run(
            partial(_select_stream, sealed=self._sealed, stream=stream, after=after)
        )
        map_event = self._mapper.to_domain_event
        return [
            map_event(
                Notification(
                    id=position,
                    originator_id=stream.id,
                    originator_version=version,
                    topic=tag,
                    state=state,
                )
            ).envelope
            for position, version, tag, state in rows
        ]

    async def read(self, after: Position, limit: int) -> Sequence[Recorded]:
        """All streams' events behind `after`, undecoded; positions become visible in order."""
        return await self._reading.run(
            partial(_select_records, sealed=self._sealed, after=after, limit=limit)
        )

    async def stretch(self, after: Position, limit: int) -> Stretch:
        """The same events as columns."""
        return await self._reading.run(
            partial(_select_stretch, sealed=self._sealed, after=after, limit=limit)
        )

    async def head(self) -> Position:
        """Position of the newest event."""
        return await self._reading.run(_select_head)

    async def event_id_at(self, position: Position) -> UUID | None:
        """The id of the event at `position`."""
        return await self._reading.run(
            partial(_select_event_id, sealed=self._sealed, position=position)
        )

    async def wait(self, after: Position, seconds: float) -> Position:
        """Wait for an event behind `after`; other processes' events are seen at the end."""
        end = self._tail.end
        head = await self.head()
        if head > after:
            return head
        await self._tail.wait(max(after, end), seconds)
        return await self.head()

    def feed(self) -> EventFeed:
        """What is appended here from now on; events of other processes are not heard."""
        return TailFeed(self._tail)

    def followed(self) -> EventLog:
        """The log for whoever comes back for more: appended here, it is read from memory. It waits
        before the feeds do, so that events are on their way to the bus while the views of this
        process take their turn."""
        return FollowedLog(self, self._tail, self._wait_first)

    async def _wait_first(self, after: Position, seconds: float) -> Position:
        await self._tail.wait(after, seconds, first=True)
        return self._tail.end if self._tail.end > after else await self.head()

    async def _commit(self, group: Sequence[Append]) -> Sequence[Outcome]:
        return await self._writing.run(partial(_insert_group, group=group, origin=self._origin))


def _insert_group(
    connection: sqlite3.Connection, group: Sequence[Append], origin: Link
) -> list[Outcome]:
    # Few statements, whatever the size of the group: around each one this thread gives up the
    # interpreter, and waits for it behind a busy event loop.
    with transaction(connection):
        # Nobody else writes from here on, so that what is checked stays true until the commit, and
        # a conflict is found before anything of it is written: the others are not touched.
        last_given, last_link, versions = _select_places(connection, group)
        outcomes, rows = placed(group, last_given, versions)
        for start in range(0, len(rows), statement_rows_max):
            part = rows[start : start + statement_rows_max]
            connection.execute(_insert_sql(len(part)), [value for row in part for value in row])
        insert_links(connection, last_link or origin, rows)
    return outcomes


_SELECT_PLACES = """
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'stored_events'), 0),
       (SELECT substr(links, -32) FROM event_links ORDER BY first_position DESC LIMIT 1),
       json_group_object(value, coalesce((SELECT max(originator_version) FROM stored_events
                                          WHERE originator_id = value),
                                         (SELECT last_version FROM sealed_streams
                                          WHERE originator_id = value), 0))
FROM json_each(?)
"""


def _select_places(
    connection: sqlite3.Connection, group: Sequence[Append]
) -> tuple[Position, Link | None, dict[str, int]]:
    """The position given last, the last link, and the version of each stream of a group, by its
    name."""
    names = msgspec.json.encode(list({append.stream.id.hex for append in group}))
    position, link, versions = connection.execute(_SELECT_PLACES, (names.decode(),)).fetchone()
    return int(position), link, _versions.decode(versions)


def _insert_sql(rows: int) -> str:
    return f"INSERT INTO stored_events VALUES {', '.join(['(?, ?, ?, ?, ?)'] * rows)}"  # noqa: S608  # marks only


def _select_stream(
    connection: sqlite3.Connection, sealed: Sealed, stream: StreamId, after: Version
) -> list[tuple[int, int, str, bytes]]:
    rows = connection.execute(
        "SELECT rowid, originator_version, topic, state FROM stored_events"
        " WHERE originator_id = ? AND originator_version > ? ORDER BY originator_version",
        (stream.id.hex, after),
    ).fetchall()
    if rows and rows[0][1] == after + 1:
        return rows
    first = sealed.stream(connection, stream.id.hex, after)
    return [(row[0], *row[2:]) for row in first] + rows


_SELECT_ROWS = """
SELECT rowid, originator_id, originator_version, topic, state FROM stored_events
WHERE rowid > ? ORDER BY rowid LIMIT ?"""


def _select_records(
    connection: sqlite3.Connection, sealed: Sealed, after: Position, limit: int
) -> list[Recorded]:
    rows = connection.execute(_SELECT_ROWS, (after, limit)).fetchall()
    if not rows:
        return []
    previous, last_sealed = select_previous(connection, rows[0][0])
    if last_sealed > after:
        rows = sealed.select(connection, _SELECT_ROWS, after, limit)
        previous, _ = select_previous(connection, rows[0][0])
    return records_of(rows, previous)


def _select_stretch(
    connection: sqlite3.Connection, sealed: Sealed, after: Position, limit: int
) -> Stretch:
    rows = connection.execute(
        "SELECT rowid, originator_id, topic, state FROM stored_events"
        " WHERE rowid > ? ORDER BY rowid LIMIT ?",
        (after, limit),
    ).fetchall()
    if not rows:
        return stretch_from(rows, after)
    previous, last_sealed = select_previous(connection, rows[0][0])
    if last_sealed > after:
        found = sealed.select(connection, _SELECT_ROWS, after, limit)
        rows = [(row[0], row[1], *row[3:]) for row in found]
        previous, _ = select_previous(connection, rows[0][0])
    return stretch_from(rows, previous)


def _select_head(connection: sqlite3.Connection) -> int:
    # The newest event is never sealed.
    (head,) = connection.execute("SELECT max(rowid) FROM stored_events").fetchone()
    return int(head or 0)


def _select_event_id(
    connection: sqlite3.Connection, sealed: Sealed, position: Position
) -> UUID | None:
    row = connection.execute(
        "SELECT state FROM stored_events WHERE rowid = ?", (position,)
    ).fetchone()
    state = row[0] if row else (sealed.at(connection, position) or [None])[-1]
    return event_id_of(state) if state is not None else None
