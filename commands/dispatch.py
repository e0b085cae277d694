"""The policy that keeps the work queue filled: each open step has its task there once it is due.

The queue may lose what it holds; the view of open steps does not. So a round puts every due task
that was not put before, and a full round puts all of them again, which changes nothing where the
queue still has them. Timers are the due times: nothing else needs to remember them.
"""

from datetime import datetime, timedelta
from uuid import UUID

from commands.ports import Clock, OpenSteps, Task, TaskQueue

page_steps_max = 500
"""Open steps read at once."""

full_round_seconds = 30.0
"""How long a lost task can stay lost."""

taken_seconds = 3.0
"""How long a step is in work without a task: most that are taken with a report end before."""

_Attempt = tuple[UUID, str, int]


class DispatchPolicy:
    """Ensures tasks. It keeps no place, so it may be lost and begun anew at any moment."""

    def __init__(self, steps: OpenSteps, queue: TaskQueue, clock: Clock) -> None:
        self._steps = steps
        self._queue = queue
        self._clock = clock
        self._ensured: set[_Attempt] = set()
        self._taken: dict[_Attempt, datetime] = {}
        """Steps in work for which no task was put, and when they were seen first."""

    async def full_round(self) -> datetime | None:
        """Ensure every due task again: at the start, after a reconnect, and now and then."""
        self._ensured.clear()
        return await self._round(is_full=True)

    async def round(self) -> datetime | None:
        """Ensure due tasks that were not ensured before; returns when the next one is due.

        A step that went to its worker with a report gets its task only when it takes longer: the
        task is for whoever comes after that worker. Raises `Unavailable`; the next round goes on
        from there.
        """
        return await self._round(is_full=False)

    async def _round(self, *, is_full: bool) -> datetime | None:
        now, next_due = self._clock.now(), None
        seen: set[_Attempt] = set()
        taken: dict[_Attempt, datetime] = {}
        after: tuple[str, str] | None = None
        while True:
            steps = await self._steps.open(after, page_steps_max)
            for step in steps:
                attempt = (step.task.run, step.task.step, step.task.attempt)
                due = step.due
                if step.in_work and not is_full and attempt not in self._ensured:
                    taken[attempt] = self._taken.get(attempt, now)
                    due = taken[attempt] + timedelta(seconds=taken_seconds)
                if due is not None and due > now:
                    next_due = min(due, next_due or due)
                else:
                    await self._ensure(attempt, step.task)
                    seen.add(attempt)
            if len(steps) < page_steps_max:
                self._ensured &= seen
                self._taken = taken
                return next_due
            last = steps[-1].task
            after = (str(last.run), last.step)

    async def _ensure(self, attempt: _Attempt, task: Task) -> None:
        if attempt not in self._ensured:
            await self._queue.ensure(task)
            self._ensured.add(attempt)
