"""Keeps what is kept within its bounds."""

from collections.abc import Awaitable, Callable

from commands.ports import Clock
from runtime.supervisor import Part, Signals

round_seconds = 600.0
"""Between two looks: a bound in bytes is held to the disk's comfort, not to the byte."""


class CollectionPart(Part):
    """Collects at the start, and again and again."""

    def __init__(self, collect: Callable[[], Awaitable[None]], clock: Clock) -> None:
        self._collect = collect
        self._clock = clock

    @property
    def name(self) -> str:
        """For reports."""
        return "collection"

    async def run(self, signals: Signals) -> None:
        """A round that is begun is finished, and a service that starts does not wait for one."""
        signals.ready()
        while not signals.is_draining:
            with signals.interruptible():
                await self._collect()
                await self._clock.sleep(round_seconds)
