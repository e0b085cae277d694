"""What a worker has of the work that it gave to a pool."""

from collections import deque

import anyio

from adapters.processes.messages import Reply, StepReply, defect
from commands.steps.ahead import steps_of
from commands.steps.work import Assignment, ChildLost, StepWork
from domain.run.commands import DoneAhead, Failed, StepResult


class PoolAssignment(Assignment):
    """A step, and those ahead of it, in a child or on the way to one."""

    def __init__(self, work: StepWork, ahead_seconds: float) -> None:
        self.work = work
        self.ahead_seconds = ahead_seconds
        self.scope = anyio.CancelScope()
        """Around all that the pool does for it."""
        self._steps = deque(steps_of(work))
        self._results: deque[StepResult] = deque()
        self._error: BaseException | None = None
        self._news = anyio.Event()
        self._gone = anyio.Event()

    @property
    def current(self) -> str:
        return self._steps[0] if self._steps else ""

    async def result(self) -> StepResult:
        while not self._results:
            if self._error is not None:
                raise self._error
            self._news = anyio.Event()
            await self._news.wait()
        self._steps.popleft()
        return self._results.popleft()

    def results_there(self) -> tuple[DoneAhead, ...]:
        there = []
        while self._results:
            there.append(DoneAhead(step=self._steps.popleft(), outcome=self._results.popleft()))
        return tuple(there)

    async def close(self) -> None:
        self._steps.clear()
        self._results.clear()
        self.scope.cancel()
        with anyio.CancelScope(shield=True):
            await self._gone.wait()

    def take(self, answer: Reply | Failed) -> str:
        """What came of a step; returns the one that the child goes on with, or nothing."""
        match answer:
            case StepReply(result=result, following=following):
                self._add(result, following)
                return following
            case Failed():
                self._add(answer, "")
                return ""
        raise defect(answer)

    def _add(self, result: StepResult, following: str) -> None:
        self._results.append(result)
        at = len(self._results)
        while len(self._steps) > at and self._steps[at] != following:
            del self._steps[at]
        self._news.set()

    def fail(self, error: BaseException) -> None:
        """There will be no more results, and why."""
        self._error = error
        self._news.set()

    def end(self) -> None:
        """The pool is done with it."""
        self._error = self._error or ChildLost("the work was given up")
        self._news.set()
        self._gone.set()
