"""Assignments carried out on virtual time, as a pool of processes carries them out."""

from abc import abstractmethod
from collections.abc import Callable

import anyio

from adapters.processes.assignment import PoolAssignment
from adapters.processes.messages import StepReply
from commands.steps.ahead import made_by, work_behind
from commands.steps.work import Assignment, StepInput, StepRunner, StepWork
from domain.pipeline.events import Definition
from domain.run.commands import StepResult


class Crew(StepRunner):
    """Works on each step as `carry_out` says, in tasks that `spawn` starts."""

    spawn: Callable[..., object]

    @abstractmethod
    async def carry_out(self, work: StepWork, *, ahead: bool) -> StepResult:
        """What comes of one step."""

    def begin(self, work: StepWork, definition: Definition, ahead_seconds: float) -> Assignment:
        """As promised by the port."""
        assert definition.bundle == work.bundle
        given = PoolAssignment(work, ahead_seconds)
        self.spawn(self._serve, given)
        return given

    async def _serve(self, given: PoolAssignment) -> None:
        try:
            with given.scope:
                await self._work_on(given)
        except Exception as error:  # noqa: BLE001  # it is for the assignment's owner to hear
            given.fail(error)
        finally:
            given.end()

    async def _work_on(self, given: PoolAssignment) -> None:
        made: dict[str, StepInput] = {}
        end = anyio.current_time() + given.ahead_seconds
        work: StepWork | None = given.work
        while work is not None:
            result = await self.carry_out(work, ahead=work is not given.work)
            if (output := made_by(work, "transform", result)) is not None:
                made[work.step] = output
            work = work_behind(given.work, work.step, made, ahead=anyio.current_time() < end)
            following = work.step if work is not None else ""
            given.take(StepReply(result=result, resident_bytes=0, following=following))
