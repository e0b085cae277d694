"""Spans around what ports do, where somebody wants them; nothing at all where nobody does."""

from collections.abc import Sequence

from adapters import telemetry
from commands.ports import Carried, Envelope, EventPublisher, EventStore
from domain.ids import Position, StreamId, Version
from domain.record import Recorded, read_state


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


class TracedPublisher(EventPublisher):
    """Batches to the bus as spans under the traces of their events."""

    def __init__(self, publisher: EventPublisher, subject: str) -> None:
        self._publisher = publisher
        self._subject = subject

    async def tail(self) -> tuple[int, Carried | None]:
        return await self._publisher.tail()

    async def publish(self, events: Sequence[Recorded], epoch: str, sequence: int) -> int:
        with telemetry.publish(self._subject, traceparents(events), len(events)):
            return await self._publisher.publish(events, epoch, sequence)

    async def purge(self) -> int:
        return await self._publisher.purge()


def traceparents(events: Sequence[Recorded]) -> list[str]:
    """The traces of events, each once."""
    found = (read_state(event.state).traceparent for event in events)
    return list(dict.fromkeys(one for one in found if one is not None))
