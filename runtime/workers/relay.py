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
        while True:
            published = await self._relay.step()
            if signals.is_draining and not published:
                return
            if not published:
                await self._rest(signals)

    async def _rest(self, signals: Signals) -> None:
        position = self._relay.position
        with signals.interruptible():
            if await self._log.head() > position:
                await self._clock.sleep(_contended_seconds)
            await self._log.wait(position, backstop_seconds)
