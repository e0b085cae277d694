"""The heartbeat of a worker: all its leases are kept alive, and asked whether they still count."""

import math
from typing import Protocol

import anyio

from commands.ports import Leases, LeaseState
from commands.steps.work import StepWork
from domain.errors import TimedOut, Unavailable


class Holder(Protocol):
    """Who works under a lease."""

    async def keep_alive(self) -> None:
        """Tell the queue that the task is in hands. Raises `Unavailable`, `TimedOut`."""
        ...

    def heed(self, state: LeaseState) -> None:
        """Be told how the lease is."""
        ...


class HeldLease:
    """A lease that is being held."""

    def __init__(self, work: StepWork, holder: Holder, due: float) -> None:
        self.work = work
        self.holder = holder
        self.due = due
        """When it is looked at next; never while that is being done."""
        self.is_nudged = False


class Heartbeat:
    """One task for all leases of a worker, so that a lease which is held for a moment costs none.

    `run` must be running for as long as anything is held.
    """

    def __init__(self, leases: Leases, seconds: float) -> None:
        """`seconds` lie between two looks at one lease."""
        self._leases = leases
        self._seconds = seconds
        self._held: set[HeldLease] = set()
        self._earliest = math.inf
        self._woken = anyio.Event()

    def hold(self, work: StepWork, holder: Holder) -> HeldLease:
        """From now on, until it is let go."""
        held = HeldLease(work, holder, anyio.current_time() + self._seconds)
        self._held.add(held)
        if held.due < self._earliest:
            self._woken.set()
        return held

    def let_go(self, held: HeldLease) -> None:
        """The work is done, or lost."""
        self._held.discard(held)

    def nudge(self, held: HeldLease) -> None:
        """Look at it at once."""
        held.is_nudged = True
        if held.due < math.inf:
            held.due = 0.0
            self._woken.set()

    async def run(self) -> None:
        """Look at each when it is due, for ever."""
        async with anyio.create_task_group() as looks:
            while True:
                now = anyio.current_time()
                for held in self._held:
                    if held.due <= now:
                        held.due, held.is_nudged = math.inf, False
                        looks.start_soon(self._look, held)
                self._earliest = min((held.due for held in self._held), default=math.inf)
                self._woken = anyio.Event()
                with anyio.move_on_after(self._earliest - now):
                    await self._woken.wait()

    async def _look(self, held: HeldLease) -> None:
        work = held.work
        try:
            await held.holder.keep_alive()
            state = await self._leases.lease_state(work.run, work.step, work.attempt, work.lease)
        except (Unavailable, TimedOut):
            pass  # it counts until somebody says that it does not
        else:
            if held in self._held:
                held.holder.heed(state)
        held.due = 0.0 if held.is_nudged else anyio.current_time() + self._seconds
        self._woken.set()
