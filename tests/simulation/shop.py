"""One worker over a write side and a queue, without faults but those of the test."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import anyio
from msgspec import Struct

from adapters.memory.bus import MemoryBus
from commands.dispatcher import DirectSender
from commands.ports import CommandContext, CommandSender, EventStore, Task, TaskDelivery, TaskSource
from commands.steps.work import StepWork
from domain.errors import TimedOut, Unavailable
from domain.run.commands import StepResult, Succeeded
from domain.run.events import StepOutcome
from runtime.supervisor import SupervisorLimits, open_supervisor
from runtime.workers import StepPart, StepPorts
from tests.commands.stage import Stage, open_stage
from tests.simulation.chance import VirtualClock
from tests.simulation.crew import Crew

Life = Callable[[StepWork], Awaitable[StepResult]]


async def at_once(work: StepWork) -> Succeeded:
    """No work."""
    return Succeeded(outcome=StepOutcome())


async def never(work: StepWork) -> Succeeded:
    """Endless work."""
    await anyio.sleep_forever()
    raise AssertionError


async def long(work: StepWork) -> Succeeded:
    """Longer than a task is lent for."""
    await anyio.sleep(60)
    return Succeeded(outcome=StepOutcome())


class ScriptedRunner(Crew):
    """Works as the test has written, the last way again and again."""

    def __init__(self, *lives: Life) -> None:
        self._lives = list(lives)
        self.works: list[StepWork] = []
        self.cancelled = 0

    async def carry_out(self, work: StepWork, *, ahead: bool) -> StepResult:
        self.works.append(work)
        life = self._lives.pop(0) if len(self._lives) > 1 else self._lives[0]
        try:
            return await life(work)
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise


class ShakySender(CommandSender):
    """Loses what the test says, before or after it was carried out."""

    def __init__(self, inner: CommandSender) -> None:
        self._inner = inner
        self.lose_before: list[str] = []
        self.lose_after: list[str] = []
        self.sent: list[str] = []
        self.seconds: Mapping[str, float] = {}
        """How long a command is on its way."""
        self.drops: Collection[str] = ()
        """Fields that whoever decides does not know."""

    async def send(
        self, command: str, payload: Mapping[str, Any] | Struct, context: CommandContext
    ) -> Mapping[str, Any]:
        self.sent.append(command)
        if self.drops and isinstance(payload, Mapping):
            payload = {name: said for name, said in payload.items() if name not in self.drops}
        await anyio.sleep(self.seconds.get(command, 0))
        if command in self.lose_before:
            self.lose_before.remove(command)
            raise Unavailable("nobody answers")
        reply = await self._inner.send(command, payload, context)
        if command in self.lose_after:
            self.lose_after.remove(command)
            raise TimedOut("no answer in time")
        return reply


class ShakySource(TaskSource):
    """A source that is away as often as the test says."""

    def __init__(self, inner: TaskSource) -> None:
        self._inner = inner
        self.refusals = 0

    async def next(self, limit: int, seconds: float) -> Sequence[TaskDelivery]:
        if self.refusals:
            self.refusals -= 1
            raise Unavailable("the bus does not answer")
        return await self._inner.next(limit, seconds)


class Shop:
    """A write side, a queue, and one worker with a scripted runner."""

    def __init__(self, stage: Stage, runner: ScriptedRunner) -> None:
        self.clock = VirtualClock(0)
        self.stage = stage
        self.runner = runner
        runner.spawn = stage.spawn
        self.bus = MemoryBus(self.clock)
        self.sender = ShakySender(DirectSender(stage.dispatcher))
        self.source = ShakySource(self.bus.source())
        ports = StepPorts(
            source=self.source,
            sender=self.sender,
            leases=stage.lookup,
            definitions=stage.lookup,
            runner=runner,
            clock=self.clock,
        )
        self.part = StepPart("w1", ports)

    async def put(self, run: str, step: str = "a", attempt: int = 1) -> None:
        """A task into the queue."""
        await self.bus.queue().ensure(Task(run=UUID(run), step=step, attempt=attempt))

    async def is_queue_empty(self) -> bool:
        """Whether nobody would get a task any more, however long it waits."""
        return not await self.bus.source().next(9, 60)

    async def tags(self, run: str) -> list[str]:
        """What has happened in a run, without its beginning."""
        return [one.tag for one in await self.stage.history(f"run/{run}")][3:]


@asynccontextmanager
async def open_shop(
    *lives: Life, drain: float = 1000.0, store: EventStore | None = None
) -> AsyncIterator[Shop]:
    """A shop whose worker is at work until the end of the block."""
    async with open_stage(store) as stage:
        shop = Shop(stage, ScriptedRunner(*lives))
        async with open_supervisor(SupervisorLimits(drain_seconds_max=drain)) as supervisor:
            await supervisor.start(shop.part)
            yield shop
        assert supervisor.crashes == ()
