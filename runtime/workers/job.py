"""One attempt of a step in a worker's hands."""

from uuid import UUID

import anyio
from msgspec import Struct

from commands.ports import LeaseState, Task, TaskDelivery
from commands.steps.work import Assignment, StepWork
from domain.errors import TimedOut, Unavailable
from runtime.workers.heartbeat import HeldLease, Holder

Key = tuple[UUID, str, int]
"""Run, step, attempt."""


def key_of(task: Task) -> Key:
    """What all deliveries of a task have in common."""
    return (task.run, task.step, task.attempt)


class Stint(Struct, frozen=True, kw_only=True):
    """How much longer a worker may go on with what its reports make ready."""

    end: float
    """On the monotonic clock, in seconds."""
    takes_left: int

    def lasts(self, now: float) -> bool:
        """Whether one more step may be taken."""
        return self.takes_left > 0 and now < self.end

    def after(self, taken: int) -> "Stint":
        """What is left when some were taken."""
        return Stint(end=self.end, takes_left=self.takes_left - taken)


class Job(Holder):
    """With every delivery of its task; without any where it came with a command's reply."""

    def __init__(self, task: Task, stint: Stint, *deliveries: TaskDelivery) -> None:
        self.task = task
        self.stint = stint
        self.deliveries = list(deliveries)
        self.given: tuple[UUID, StepWork] | None = None
        """Work whose lease is held already, and the command that gave it."""
        self.held: HeldLease | None = None
        """While it is in work."""
        self.doing: Assignment | None = None
        """What works on it; from the beginning where that was begun ahead."""
        self.assigned: StepWork | None = None
        """All that this was given."""
        self.following: Job | None = None
        """What this worker does next in its place."""
        self.is_settled = False
        """Nothing is to be handed back: done, or in another worker's hands."""
        self.is_lost = False
        self.is_cancelled = False
        self.work_scope = anyio.CancelScope()
        self.report_scope = anyio.CancelScope()

    def begin(self) -> None:
        """Another lease."""
        self.is_lost = self.is_cancelled = False
        self.work_scope, self.report_scope = anyio.CancelScope(), anyio.CancelScope()

    def lose(self) -> None:
        """The lease counts no more: whatever is done for it is ended, and left to others."""
        self.is_lost = self.is_settled = True
        self.work_scope.cancel()
        self.report_scope.cancel()

    def cancel(self) -> None:
        """End the work; that is what shall be reported then."""
        self.is_cancelled = True
        self.work_scope.cancel()

    async def keep_alive(self) -> None:
        for delivery in tuple(self.deliveries):
            await delivery.keep_alive()

    def heed(self, state: LeaseState) -> None:
        """Be told how the lease is."""
        if not state.open:
            self.lose()
        elif state.cancelling:
            self.cancel()

    async def finish(self) -> None:
        """Take the task out of the queue; where that fails, its next delivery is refused."""
        self.is_settled = True
        try:
            for delivery in self.deliveries:
                await delivery.finish()
        except (Unavailable, TimedOut):
            return

    async def give_back(self, seconds: float) -> None:
        self.is_settled = True
        try:
            for delivery in self.deliveries:
                await delivery.give_back(seconds)
        except (Unavailable, TimedOut):
            return
