"""A store that sometimes does not answer, with the events written or not."""

from collections.abc import Sequence

from adapters.memory.eventstore import MemoryEventStore
from commands.ports import Envelope, EventStore
from domain.errors import StorageFull, Unavailable
from domain.ids import Position, StreamId, Version
from tests.simulation.chance import Chance


class DoubtfulStore(EventStore):
    """The writing side of a store under faults; the log is read from the inner store itself."""

    def __init__(self, inner: MemoryEventStore, chance: Chance) -> None:
        self.inner = inner
        self._chance = chance

    async def load(self, stream: StreamId, after: Version = 0) -> Sequence[Envelope]:
        """Raises `Unavailable` now and then."""
        if self._chance.is_bad_luck():
            raise Unavailable("the store cannot be read")
        return await self.inner.load(stream, after)

    async def append(
        self, stream: StreamId, expected: Version, envelopes: Sequence[Envelope]
    ) -> Sequence[Position]:
        """Raises now and then, before or after it has written."""
        if self._chance.is_bad_luck():
            raise StorageFull("no space left on the device")
        positions = await self.inner.append(stream, expected, envelopes)
        if self._chance.is_bad_luck():
            raise Unavailable("the store did not answer")
        return positions
