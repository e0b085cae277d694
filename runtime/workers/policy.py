"""Keeps the work queue filled."""

from datetime import datetime

import anyio

from commands.dispatch import DispatchPolicy, full_round_seconds
from commands.ports import Clock
from runtime.supervisor import Part, Signals

round_seconds_min = 0.01
"""From one round to the next. What is ready first is put at once; of a run that moves on quickly,
most steps are taken with the report that made them ready, before a round could put them."""


class PolicyPart(Part):
    """Goes round when the view has moved, when a step falls due, and every 30 s in any case."""

    def __init__(self, policy: DispatchPolicy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        self._woken = anyio.Event()
        self._is_full_wanted = True

    @property
    def name(self) -> str:
        """For reports."""
        return "dispatch"

    def wake(self) -> None:
        """The view of open steps has moved."""
        self._woken.set()

    def reconnected(self) -> None:
        """The queue may have lost everything."""
        self._is_full_wanted = True
        self._woken.set()

    async def run(self, signals: Signals) -> None:
        """Raises `Unavailable`; the next life begins with a full round."""
        self._is_full_wanted = True
        full_at = 0.0
        while not signals.is_draining:
            self._woken = anyio.Event()
            if self._is_full_wanted or self._clock.monotonic() >= full_at:
                self._is_full_wanted = False  # before the round: it may be wanted again meanwhile
                next_due = await self._policy.full_round()
                full_at = self._clock.monotonic() + full_round_seconds
                signals.ready()
            else:
                next_due = await self._policy.round()
            earliest = self._clock.monotonic() + round_seconds_min
            with signals.interruptible():
                with anyio.move_on_after(self._rest(full_at, next_due)):
                    await self._woken.wait()
                await self._clock.sleep(max(0.0, earliest - self._clock.monotonic()))

    def _rest(self, full_at: float, next_due: datetime | None) -> float:
        seconds = full_at - self._clock.monotonic()
        if next_due is not None:
            seconds = min(seconds, (next_due - self._clock.now()).total_seconds())
        return max(0.0, seconds)
