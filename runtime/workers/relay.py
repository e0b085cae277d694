"""Keeps the bus filled from the store."""

from commands.outbox import OutboxRelay
from commands.ports import Clock, EventLog
from runtime.supervisor import Part, Signals

backstop_seconds = 1.0
"""How long a lost wake-up goes unnoticed."""

_contended_seconds = 0.1
"""Pause where another relay is at work, so that two do not chase each other."""


class RelayPart(Part):
    """Publishes as soon as the store has grown."""

    def __init__(self, relay: OutboxRelay, log: EventLog, clock: Clock) -> None:
        self._relay = relay
        self._log = log
        self._clock = clock

    @property
    def name(self) -> str:
        """For reports."""
        return "relay"

    async def run(self, signals: Signals) -> None:
        """Publish to the last event, even when draining. Raises `Unavailable`."""
        await self._relay.settle()
        signals.ready()
        is_behind = False
        while True:
            published = await self._relay.step()
            if published:
                is_behind = False
            elif signals.is_draining:
                return
            else:
                is_behind = await self._rest(signals, is_behind)

    async def _rest(self, signals: Signals, is_behind: bool) -> bool:
        """Wait for news; whether there are some. Who could not publish any has met a rival."""
        position = head = self._relay.position
        with signals.interruptible():
            if is_behind:
                await self._clock.sleep(_contended_seconds)
            head = await self._log.wait(position, backstop_seconds)
        return head > position
