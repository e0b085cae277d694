"""The policy that keeps the work queue filled: each open step has its task there once it is due.

The queue may lose what it holds; the view of open steps does not. So a round puts every due task
that was not put before, and a full round puts all of them again, which changes nothing where the
queue still has them. Timers are the due times: nothing else needs to remember them.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from uuid import UUID

from commands.ports import Clock, OpenStep, OpenSteps, TaskQueue
from domain.limits import offered_max

page_steps_max = 500
"""Open steps read at once."""

full_round_seconds = 30.0
"""How long a lost task can stay lost."""

waiting_max = offered_max
"""Tasks of one run that wait in the queue: nobody waits behind more of them."""

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
        async with aclosing(self._runs()) as runs:
            async for steps in runs:
                due_steps: list[OpenStep] = []
                for step in steps:
                    attempt, due = _attempt(step), step.due
                    if step.in_work and not is_full and attempt not in self._ensured:
                        taken[attempt] = self._taken.get(attempt, now)
                        due = taken[attempt] + timedelta(seconds=taken_seconds)
                    if due is not None and due > now:
                        next_due = min(due, next_due or due)
                    else:
                        due_steps.append(step)
                seen |= await self._ensure(due_steps)
        self._ensured &= seen
        self._taken = taken
        return next_due

    async def _runs(self) -> AsyncGenerator[Sequence[OpenStep], None]:
        """The open steps of each run."""
        found: list[OpenStep] = []
        after: tuple[str, str] | None = None
        while True:
            page = await self._steps.open(after, page_steps_max)
            for step in page:
                if found and found[0].task.run != step.task.run:
                    yield found
                    found = []
                found.append(step)
            if len(page) < page_steps_max:
                break
            after = (str(page[-1].task.run), page[-1].task.step)
        if found:
            yield found

    async def _ensure(self, steps: Sequence[OpenStep]) -> set[_Attempt]:
        """See to it that due steps of one run have their tasks, but for those that would wait
        behind too many others of it; returns the attempts that have."""
        waiting = sum(not step.in_work and _attempt(step) in self._ensured for step in steps)
        seen: set[_Attempt] = set()
        for step in steps:
            attempt = _attempt(step)
            if attempt not in self._ensured:
                if not step.in_work and waiting >= waiting_max:
                    continue
                await self._queue.ensure(step.task)
                self._ensured.add(attempt)
                waiting += not step.in_work
            seen.add(attempt)
        return seen


def _attempt(step: OpenStep) -> _Attempt:
    return (step.task.run, step.task.step, step.task.attempt)
