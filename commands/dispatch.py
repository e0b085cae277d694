"""The policy that keeps the work queue filled: each open step has its task there once it is due.

The queue may lose what it holds; the view of open steps does not. So a round puts every due task
that was not put before, and a full round puts all of them again, which changes nothing where the
queue still has them. Timers are the due times: nothing else needs to remember them.
"""

from datetime import datetime
from uuid import UUID

from commands.ports import Clock, OpenSteps, Task, TaskQueue

page_steps_max = 500
"""Open steps read at once."""

full_round_seconds = 30.0
"""How long a lost task can stay lost."""

_Attempt = tuple[UUID, str, int]


class DispatchPolicy:
    """Ensures tasks. It keeps no place, so it may be lost and begun anew at any moment."""

    def __init__(self, steps: OpenSteps, queue: TaskQueue, clock: Clock) -> None:
        self._steps = steps
        self._queue = queue
        self._clock = clock
        self._ensured: set[_Attempt] = set()

    async def full_round(self) -> datetime | None:
        """Ensure every due task again: at the start, after a reconnect, and now and then."""
        self._ensured.clear()
        return await self.round()

    async def round(self) -> datetime | None:
        """Ensure due tasks that were not ensured before; returns when the next one is due.

        Raises `Unavailable`; the next round goes on from there.
        """
        now, next_due = self._clock.now(), None
        seen: set[_Attempt] = set()
        after: tuple[str, str] | None = None
        while True:
            steps = await self._steps.open(after, page_steps_max)
            for step in steps:
                if step.due is not None and step.due > now:
                    next_due = min(step.due, next_due or step.due)
                else:
                    seen.add(await self._ensure(step.task))
            if len(steps) < page_steps_max:
                self._ensured &= seen
                return next_due
            last = steps[-1].task
            after = (str(last.run), last.step)

    async def _ensure(self, task: Task) -> _Attempt:
        attempt = (task.run, task.step, task.attempt)
        if attempt not in self._ensured:
            await self._queue.ensure(task)
            self._ensured.add(attempt)
        return attempt
