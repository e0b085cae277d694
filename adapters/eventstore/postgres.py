"""The event store on PostgreSQL, for several processes at once.

    append ──► groups ──► one statement, one sync ──► stored_events ◄── load, read
                              │                                         sessions of their own
                              └── NOTIFY ──► LISTEN of every process ──► wait

Positions are given by whoever writes, one behind the other, and not by the server's sequence: each
group names the position behind which it wants to stand. Where another process has written, the
group does not fit and is placed anew, under a lock. So an event becomes visible only after all
events before it, which is what readers rely on.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Self
from uuid import UUID

import asyncpg
from eventsourcing.persistence import Notification
from msgspec import Struct

from adapters.eventstore.ear import Ear, channel
from adapters.eventstore.groups import Append, GroupWriter, Outcome, first_versions, placed
from adapters.eventstore.mapper import (
    EnvelopeMapper,
    Row,
    event_id_of,
    records_of,
    stretch_of_columns,
)
from adapters.eventstore.migrations import migrate
from adapters.eventstore.postgres_sealed import PostgresSealed
from adapters.eventstore.tail import FollowedLog, Tail
from adapters.log_feed import LogFeed
from adapters.postgres import PATIENT, Database, Session, Sessions, check_server
from commands.ports import Envelope, EventLog, EventStore
from domain.catalog import CATALOG, Catalog
from domain.chain import Link, links_after, start_of
from domain.errors import Unavailable
from domain.ids import Position, StreamId, Version
from domain.record import Recorded
from projections.ports import EventFeed
from projections.ports import EventLog as ReadEventLog
from projections.stretch import Stretch

WHAT = "the event store"

lock_key = 4_936_107_222
"""Of the advisory lock that is held from the first look at a group's place to its commit."""

readers_max = 4
"""Sessions that read at the same time."""

tries_max = 8
"""Of a group that somebody got in the way of, who takes no lock."""

read_bytes_max = 64 * 1024**2
"""Of events that are read at once, unless the first one alone is larger."""


class Place(Struct, frozen=True):
    """Where the store ends."""

    head: Position
    """The newest event."""
    given: Position
    """The position given last, also where its event was taken away."""
    link: Link
    """The last one of the chain."""


class PostgresEventStore(EventStore, EventLog, ReadEventLog):
    """Events in one PostgreSQL database, which several processes may share."""

    def __init__(
        self,
        *,
        store_id: UUID,
        writing: Sessions,
        reading: Sessions,
        ear: Ear,
        catalog: Catalog,
        head: Position,
    ) -> None:
        self._store_id = store_id
        self._writing = writing
        self._reading = reading
        self._ear = ear
        self._tail = Tail(head)
        self._sealed = PostgresSealed()
        self._mapper = EnvelopeMapper(catalog)
        self._writer = GroupWriter(self._commit, self._grew, catalog)
        self._end: Place | None = None
        """As this process has left it; None where that may not hold any more."""
        self._alone = False
        """Whether nobody else has written between this process's last two groups."""

    @classmethod
    @asynccontextmanager
    async def open(cls, database: Database, catalog: Catalog = CATALOG) -> AsyncIterator[Self]:
        """Open the store of a database until the end of the block, made or brought to the newest
        layout where needed.

        The end waits for appends that have begun. Raises `Unavailable`, `StorageFull`,
        `Malformed`.
        """
        async with (
            database.sessions(WHAT, 1, waits=PATIENT) as opening,
            opening.session() as session,
        ):
            await check_server(session, database)
            store_id = await migrate(session)
            head = await session.fetchval(_SELECT_HEAD)
        async with (
            database.sessions(WHAT, 1) as writing,
            database.sessions(WHAT, readers_max) as reading,
            database.sessions(WHAT, 1) as listening,
        ):
            ear = Ear(listening)
            store = cls(
                store_id=store_id,
                writing=writing,
                reading=reading,
                ear=ear,
                catalog=catalog,
                head=head,
            )
            try:
                yield store
            finally:
                await store._writer.close()
                await ear.close()

    @property
    def store_id(self) -> UUID:
        """Made once with the tables."""
        return self._store_id

    async def append(
        self, stream: StreamId, expected: Version, envelopes: Sequence[Envelope]
    ) -> Sequence[Position]:
        """Append all or none, synced to disk; a caller that gives up may find either."""
        return await self._writer.append(stream, expected, envelopes)

    async def load(self, stream: StreamId, after: Version = 0) -> Sequence[Envelope]:
        """A stream's events behind `after`, upcast where they are old."""
        rows = await self._reading.read(partial(self._stream, stream=stream, after=after))
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
        rows, previous = await self._rows(_SELECT_RECORDS, after, limit)
        return records_of([tuple(row[:5]) for row in rows], previous)

    async def stretch(self, after: Position, limit: int) -> Stretch:
        """The same events as columns."""
        rows, previous = await self._rows(_SELECT_STRETCH, after, limit)
        if not rows:
            return stretch_of_columns(((), (), (), ()), after)
        positions, names, *_versions, tags, states, _, _ = zip(*rows, strict=True)
        return stretch_of_columns((positions, names, tags, states), previous)

    async def head(self) -> Position:
        """Position of the newest event."""
        head: Position = await self._reading.read(lambda session: session.fetchval(_SELECT_HEAD))
        return head

    async def event_id_at(self, position: Position) -> UUID | None:
        """The id of the event at `position`."""
        state = await self._reading.read(partial(self._state, position=position))
        return event_id_of(state) if state is not None else None

    async def wait(self, after: Position, seconds: float) -> Position:
        """Wait for an event behind `after`; appends of other processes wake it, too."""
        return await self._ear.wait(self.head, after, seconds)

    def feed(self) -> EventFeed:
        """What is stored from now on, by whomever; appended here, it is read from memory."""
        return LogFeed(FollowedLog(self, self._tail, self._ear.heard), self._tail.end)

    def followed(self) -> EventLog:
        """The log for whoever comes back for more: appended here, it is read from memory."""
        return FollowedLog(self, self._tail, self.wait)

    def _grew(self, written: Sequence[Recorded]) -> None:
        self._tail.extend(written)
        self._ear.reached(written[-1].position)

    async def _stream(
        self, session: Session, stream: StreamId, after: Version
    ) -> list[tuple[Position, Version, str, bytes]]:
        rows = [tuple(row) for row in await session.fetch(_SELECT_STREAM, stream.id, after)]
        if rows and rows[-1][0] is None:  # there are sealed ones
            sealed = await self._sealed.stream(session, stream.id, after)
            rows = [*((row[0], *row[2:]) for row in sealed), *rows[:-1]]
        return rows

    async def _rows(
        self, query: str, after: Position, limit: int
    ) -> tuple[Sequence[Sequence[Any]], Position]:
        """Events behind a position, and the position before the first of them."""

        async def work(session: Session) -> tuple[Sequence[Sequence[Any]], Position]:
            rows: Sequence[Any] = await session.fetch(query, after, limit, read_bytes_max)
            if not rows:
                return (), after
            previous, last_sealed = rows[0][-2:]
            if last_sealed <= after:
                return rows, previous
            whole = await self._sealed.behind(session, after, limit)
            return [(*row, previous, last_sealed) for row in whole], previous

        return await self._reading.read(work)

    async def _state(self, session: Session, position: Position) -> bytes | None:
        state: bytes | None = await session.fetchval(
            "SELECT state FROM stored_events WHERE notification_id = $1", position
        )
        if state is None and (row := await self._sealed.at(session, position)) is not None:
            return row[-1]
        return state

    async def _commit(self, group: Sequence[Append]) -> Sequence[Outcome]:
        async with self._writing.session() as session:
            end, self._end = self._end, None  # unknown, should this be interrupted
            if end is not None and self._alone:
                versions = first_versions(group)
                outcomes, rows = placed(group, end.given, dict(versions))
                with suppress(asyncpg.UniqueViolationError):
                    self._end = await _insert(session, rows, end, versions)
                if self._end is not None:
                    return outcomes
            for _ in range(tries_max):
                with suppress(asyncpg.UniqueViolationError):
                    placed_anew = await self._commit_under_lock(session, group, end)
                    if placed_anew is not None:
                        return placed_anew
        raise Unavailable(f"{WHAT} is written to by somebody who takes no lock")

    async def _commit_under_lock(
        self, session: Session, group: Sequence[Append], known: Place | None
    ) -> Sequence[Outcome] | None:
        """None where somebody has written all the same."""
        async with session.transaction():
            # The table first, as an INSERT does: two orders of taking locks would be a deadlock.
            await session.execute("LOCK TABLE stored_events IN ROW EXCLUSIVE MODE")
            await session.execute("SELECT pg_advisory_xact_lock($1)", lock_key)
            before, versions = await self._places(session, group)
            outcomes, rows = placed(group, before.given, dict(versions))
            after = await _insert(session, rows, before, versions) if rows else before
        if after is None:
            return None
        self._end, self._alone = after, before == known
        return outcomes

    async def _places(
        self, session: Session, group: Sequence[Append]
    ) -> tuple[Place, dict[str, Version]]:
        """The end of the store, and the version of each stream by its name."""
        rows = await session.fetch(_SELECT_PLACES, [*{append.stream.id for append in group}])
        head, given, link, _, _ = rows[0]
        place = Place(head, max(head, given), link or start_of(self._store_id))
        return place, {row[3].hex: row[4] for row in rows}


_SELECT_STREAM = """
SELECT notification_id, originator_version, topic, state FROM (
    SELECT notification_id, originator_version, topic, state FROM stored_events
    WHERE originator_id = $1 AND originator_version > $2
    UNION ALL
    SELECT NULL, NULL, NULL, NULL FROM sealed_streams
    WHERE originator_id = $1 AND last_version > $2
) AS events ORDER BY originator_version NULLS LAST
"""
"""With a last row of nothing where the stream has sealed events behind that version, too."""

_SELECT_HEAD = "SELECT coalesce(max(notification_id), 0) FROM stored_events"

_SELECT_RECORDS = """
SELECT notification_id, originator_id::text, originator_version, topic, state, (
    SELECT greatest(
        (SELECT max(notification_id) FROM stored_events WHERE notification_id <= $1),
        (SELECT least(last_position, $1) FROM sealed_ranges WHERE first_position <= $1
         ORDER BY first_position DESC LIMIT 1),
        0
    )
), (
    SELECT coalesce(max(last_position), 0) FROM sealed_segments
) FROM (
    SELECT *, sum(octet_length(state)) OVER (ORDER BY notification_id) - octet_length(state) AS size
    FROM stored_events WHERE notification_id > $1 ORDER BY notification_id LIMIT $2
) AS page WHERE size < $3 ORDER BY notification_id
"""

_SELECT_STRETCH = _SELECT_RECORDS.replace("originator_version, ", "")

_SELECT_PLACES = """
SELECT (SELECT coalesce(max(notification_id), 0) FROM stored_events),
       coalesce(first_position + length(links) / 32 - 1, 0),
       substring(links FROM length(links) - 31),
       name,
       coalesce((SELECT max(originator_version) FROM stored_events WHERE originator_id = name),
                (SELECT last_version FROM sealed_streams WHERE originator_id = name), 0)
FROM unnest($1::uuid[]) AS name
LEFT JOIN (SELECT * FROM event_links ORDER BY first_position DESC LIMIT 1) AS last ON true
"""

_INSERT = """
WITH locked AS MATERIALIZED (
    SELECT pg_advisory_xact_lock($9)
), inserted AS (
    INSERT INTO stored_events (notification_id, originator_id, originator_version, topic, state)
    SELECT row.* FROM locked,
        unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::text[], $5::bytea[]) AS row
    WHERE (SELECT coalesce(max(notification_id), 0) FROM stored_events) = $6
        AND NOT EXISTS (
            SELECT FROM unnest($7::uuid[], $8::bigint[]) AS stream (id, version)
            WHERE version <> coalesce(
                (SELECT max(originator_version) FROM stored_events WHERE originator_id = stream.id),
                (SELECT last_version FROM sealed_streams WHERE originator_id = stream.id), 0)
        )
    RETURNING notification_id
), chained AS (
    INSERT INTO event_links SELECT min(notification_id), $10 FROM inserted HAVING count(*) > 0
)
SELECT max(notification_id), pg_notify($11, max(notification_id)::text)
FROM inserted HAVING count(*) > 0
"""
# What is compared here may have been read before the lock was free. That does no harm: whoever
# held it has taken the positions that this statement wants, and it fails.


async def _insert(
    session: Session, rows: Sequence[Row], end: Place, versions: dict[str, Version]
) -> Place | None:
    """Insert rows behind `end`, and their links; returns the new end. None where that is not the
    end, or the streams are not at these versions."""
    links = list(links_after(end.link, rows))
    last = await session.fetchval(
        _INSERT,
        *zip(*rows, strict=True),
        end.head,
        [*versions],
        [*versions.values()],
        lock_key,
        b"".join(links),
        channel,
    )
    return Place(last, last, links[-1]) if last is not None else None
