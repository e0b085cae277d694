"""Spans around what ports do, where somebody wants them; nothing at all where nobody does."""

from collections.abc import Sequence

from adapters import telemetry
from commands.ports import Envelope, EventStore
from domain.ids import Position, StreamId, Version
from domain.record import Recorded, read_state
from projections.ports import EventFeed


def traced_store(store: EventStore) -> EventStore:
    """The store, with a span for each append where spans are recorded."""
    return TracedStore(store) if telemetry.is_recording() else store


def traced_feed(view: str, feed: EventFeed) -> EventFeed:
    """The feed, with a span for each batch that `view` applies where spans are recorded."""
    return TracedFeed(view, feed) if telemetry.is_recording() else feed


class TracedStore(EventStore):
    """Appends as spans under the trace of the command."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def load(self, stream: StreamId, after: Version = 0) -> Sequence[Envelope]:
        return await self._store.load(stream, after)

    async def append(
        self, stream: StreamId, expected: Version, envelopes: Sequence[Envelope]
    ) -> Sequence[Position]:
        parent = envelopes[0].metadata.traceparent if envelopes else None
        with telemetry.append(str(stream), len(envelopes), parent=parent):
            return await self._store.append(stream, expected, envelopes)


class TracedFeed(EventFeed):
    """What a view does with a batch, as a span linked to the traces of the events.

    A view asks for the next batch as soon as it has applied the one before: from one return to
    the next call is the time that it took.
    """

    def __init__(self, view: str, feed: EventFeed) -> None:
        self._view = view
        self._feed = feed
        self._applying: telemetry.Span | None = None

    async def next(self, limit: int, seconds: float) -> Sequence[Recorded]:
        if self._applying is not None:
            self._applying.__exit__(None, None, None)
            self._applying = None
        records = await self._feed.next(limit, seconds)
        if records:
            self._applying = telemetry.apply(self._view, traceparents(records), len(records))
        return records


def traceparents(events: Sequence[Recorded]) -> list[str]:
    """The traces of events, each once."""
    found = (read_state(event.state).traceparent for event in events)
    return list(dict.fromkeys(one for one in found if one is not None))
