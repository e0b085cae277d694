"""The relay from the event store to the bus.

The store is the truth and the bus a carrier, so the relay keeps no place of its own: it reads back
how far the bus has come. A bus that does not know the store's events is filled anew under a new
epoch, because it may remember the message ids of the old one.
"""

from collections.abc import Sequence
from contextlib import suppress

from commands.ports import Clock, EventLog, EventPublisher
from domain.errors import Conflict
from domain.ids import Position
from domain.record import Recorded

batch_events_max = 256
"""Events published by one step, so that a long way to go does not hold much memory."""

refill_events_max = 1_000
"""Events before the head with which an empty bus starts: it is a window, not an archive."""


rivals_max = 3
"""Conflicts in one step: whoever loses so often leaves the work to the winner for now."""


class OutboxRelay:
    """Publishes what is new in the log, in order; several relays fence each other.

    Call `step` whenever the log may have grown and at least every second. It is safe to lose it at
    any moment.
    """

    def __init__(self, log: EventLog, publisher: EventPublisher, clock: Clock) -> None:
        self._log = log
        self._publisher = publisher
        self._clock = clock
        self._epoch: str | None = None
        self._sequence = 0
        self._position: Position = 0

    @property
    def position(self) -> Position:
        """How far the bus has come as far as is known."""
        return self._position

    @property
    def epoch(self) -> str | None:
        """The current filling of the bus; None until settled."""
        return self._epoch

    async def settle(self) -> None:
        """Find the place on the bus, or fill it anew. Raises `Unavailable`."""
        self._epoch = None
        sequence, carried = await self._publisher.tail()
        if carried is not None:
            known = await self._log.event_id_at(carried.position)
            if known == carried.event_id:
                self._place(carried.epoch, sequence, carried.position)
                return
        head = await self._log.head()
        sequence = await self._publisher.purge()
        self._place(self._clock.new_id().hex, sequence, max(0, head - refill_events_max))

    async def step(self) -> int:
        """Publish the next batch; returns how many events, 0 where nothing is new.

        Where another relay or a wiped bus is in the way it settles and goes on from there. Raises
        `Unavailable`, after which the next step settles first.
        """
        for _ in range(rivals_max):
            if self._epoch is None:
                await self.settle()
            events = await self._log.read(self._position, batch_events_max)
            if not events:
                return 0
            with suppress(Conflict):
                return await self._publish(events)
        return 0

    async def _publish(self, events: Sequence[Recorded]) -> int:
        epoch, self._epoch = self._epoch or "", None  # unknown, should this be interrupted
        sequence = await self._publisher.publish(events, epoch, self._sequence)
        self._place(epoch, sequence, events[-1].position)
        return len(events)

    def _place(self, epoch: str, sequence: int, position: Position) -> None:
        self._epoch, self._sequence, self._position = epoch, sequence, position
