"""The event store in memory. What it holds is lost with the process."""

from collections.abc import Sequence
from uuid import UUID, uuid4

import anyio
from anyio.lowlevel import checkpoint

from adapters.log_feed import LogFeed
from commands.ports import Envelope, EventLog, EventStore
from domain.catalog import CATALOG, Catalog
from domain.chain import Link, StoredRow, link_after, start_of
from domain.envelope import check_places
from domain.errors import Conflict
from domain.ids import Position, StreamId, Version
from domain.record import Recorded, bounded_state, from_record
from projections.ports import ChainPage, EventChain, EventFeed
from projections.ports import EventLog as ReadEventLog
from projections.stretch import Stretch, stretch_of


class MemoryEventStore(EventStore, EventLog, ReadEventLog, EventChain):
    """Events as the bytes that other stores keep, so that reading them decodes and upcasts too."""

    def __init__(self, *, store_id: UUID | None = None, catalog: Catalog = CATALOG) -> None:
        self._store_id = store_id or uuid4()
        self._catalog = catalog
        self._records: list[Recorded] = []
        self._links: list[Link] = []
        self._streams: dict[StreamId, list[Recorded]] = {}
        self._grown = anyio.Event()

    @property
    def store_id(self) -> UUID:
        """Made with the object, or given."""
        return self._store_id

    async def append(
        self, stream: StreamId, expected: Version, envelopes: Sequence[Envelope]
    ) -> Sequence[Position]:
        """Append all or none; a caller that is cancelled has appended nothing."""
        check_places(stream, expected, envelopes)
        states = [bounded_state(envelope, self._catalog) for envelope in envelopes]
        await checkpoint()
        history = self._streams.get(stream, [])
        if not envelopes:
            return ()
        if len(history) != expected:
            raise Conflict(str(stream), expected)
        first = len(self._records) + 1
        added = [
            Recorded(
                position=position,
                previous=position - 1,
                event_id=envelope.event_id,
                stream=stream,
                version=envelope.version,
                tag=envelope.tag,
                state=state,
            )
            for position, envelope, state in zip(
                range(first, first + len(states)), envelopes, states, strict=True
            )
        ]
        self._records.extend(added)
        for record in added:
            previous = self._links[-1] if self._links else start_of(self._store_id)
            self._links.append(link_after(previous, _row(record)))
        self._streams.setdefault(stream, []).extend(added)
        self._grown.set()
        self._grown = anyio.Event()
        return range(first, first + len(added))

    async def load(self, stream: StreamId, after: Version = 0) -> Sequence[Envelope]:
        """A stream's events behind `after`, upcast where they are old."""
        await checkpoint()
        return [
            from_record(record, self._catalog) for record in self._streams.get(stream, [])[after:]
        ]

    async def read(self, after: Position, limit: int) -> Sequence[Recorded]:
        """All streams' events behind `after`, undecoded."""
        await checkpoint()
        return self._records[after : after + limit]

    async def stretch(self, after: Position, limit: int) -> Stretch:
        """The same as columns."""
        return stretch_of(await self.read(after, limit))

    async def head(self) -> Position:
        """Position of the newest event."""
        await checkpoint()
        return len(self._records)

    async def event_id_at(self, position: Position) -> UUID | None:
        """The id of the event at `position`."""
        await checkpoint()
        known = 0 < position <= len(self._records)
        return self._records[position - 1].event_id if known else None

    async def page(self, after: Position, limit: int) -> ChainPage:
        """Events and links behind `after`."""
        await checkpoint()
        start = max(after, 0)
        until = min(start + limit, max(len(self._records), len(self._links)))
        return ChainPage(
            rows=[_row(record) for record in self._records[start:until]],
            links=list(enumerate(self._links[start:until], start + 1)),
            until=until,
            given=len(self._links),
            is_last=until == max(len(self._records), len(self._links)),
        )

    async def damage(self) -> Sequence[str]:
        """Nothing: there is no storage that could break."""
        return ()

    def followed(self) -> EventLog:
        """The log itself."""
        return self

    def feed(self) -> EventFeed:
        """What is appended from now on."""
        return LogFeed(self, len(self._records))

    async def wait(self, after: Position, seconds: float) -> Position:
        """Wait for an event behind `after`."""
        await checkpoint()
        with anyio.move_on_after(seconds):
            while len(self._records) <= after:
                await self._grown.wait()
        return len(self._records)


def _row(record: Recorded) -> StoredRow:
    return record.position, record.stream.id.hex, record.version, record.tag, record.state
