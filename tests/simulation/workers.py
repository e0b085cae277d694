"""Workers that fail, lose their children, freeze past their lease, and die."""

import hashlib
import random
from collections import Counter
from collections.abc import Sequence
from uuid import UUID

import anyio

from commands.ports import Task, TaskDelivery, TaskSource
from commands.steps.work import ChildLost, StepRunner, StepWork
from domain.data.dataset import DatasetVersion
from domain.errors import Unavailable
from domain.run.commands import Failed, Reused, StepResult, Succeeded
from domain.run.events import StepError, StepOutcome
from runtime.supervisor import SupervisorLimits, open_supervisor
from runtime.workers import StepPart, StepPorts
from runtime.workers.step import StepLimits
from tests.simulation.core import Lasting, Processes
from tests.simulation.crew import Crew
from tests.simulation.wire import Wire, WorkerWire

LeaseKey = tuple[UUID, str, int]


day_seconds = 30.0
"""How long the world outside stays as it is: steps without inputs read it."""


class SeededRunner(Crew):
    """Takes its time and fails as the seed and the lease say, reuses what was done before on the
    same content, and counts what it did. What is kept under a key outlives every process."""

    def __init__(self, seed: int, is_wild: bool) -> None:
        self._seed = seed
        self._is_wild = is_wild
        self._kept: dict[str, tuple[UUID, StepOutcome]] = {}
        self.begun: Counter[LeaseKey] = Counter()
        """Work under a lease."""
        self.made: dict[tuple[UUID, str], list[StepOutcome]] = {}
        """What each run has kept for each step."""

    async def carry_out(self, work: StepWork, *, ahead: bool) -> StepResult:
        """As the seed says."""
        if not ahead:
            self.begun[(work.run, work.step, work.lease)] += 1
        dice = random.Random(f"{self._seed} {work.run} {work.step} {work.lease}")
        key = _key(work)
        if key in self._kept:
            run, outcome = self._kept[key]
            if run == work.run:
                return Succeeded(outcome=outcome)
            if not work.fresh:
                return Reused(from_run=run, outcome=outcome)
        await anyio.sleep(dice.choice((0.001, 0.05, 0.5, 2.0, 12.0)))
        luck = dice.random() if self._is_wild else 1.0
        if luck < 0.05:
            raise ChildLost
        if luck < 0.15:
            return Failed(error=StepError(code="sql_error", message="bad luck", retryable=True))
        if luck < 0.18:
            return Failed(error=StepError(code="check_failed", message="worse luck"))
        result = self._keep(work, key)
        if luck > 0.97 and self._is_wild:
            raise ChildLost
        return result

    def _keep(self, work: StepWork, key: str) -> Succeeded:
        version = DatasetVersion(
            dataset=f"{work.pipeline}.{work.step}",
            fingerprint=hashlib.sha256(key.encode()).hexdigest(),
            rows=1,
            bytes=len(key),
        )
        outcome = StepOutcome(key=key, output=version, rows_out=1)
        if key not in self._kept or work.fresh:
            self._kept[key] = (work.run, outcome)
            self.made.setdefault((work.run, work.step), []).append(outcome)
        return Succeeded(outcome=outcome)


def _key(work: StepWork) -> str:
    """What the step is and what it works on: its inputs, or the day."""
    read = [one.version.fingerprint for one in work.inputs]
    outside = [] if read else [str(anyio.current_time() // day_seconds)]
    return " ".join((work.pipeline, work.step, *read, *outside))


class Gate:
    """Whether a worker moves: it may be frozen for a while, or dead."""

    def __init__(self) -> None:
        self.frozen_until = 0.0
        self.is_dead = False

    async def passed(self) -> None:
        """Return when the worker moves. Raises `Unavailable` where it never will."""
        while anyio.current_time() < self.frozen_until:  # noqa: ASYNC110  # virtual time
            await anyio.sleep(self.frozen_until - anyio.current_time())
        if self.is_dead:
            raise Unavailable("dead")


class GatedDelivery(TaskDelivery):
    """A delivery in the hands of a worker that may be frozen."""

    def __init__(self, inner: TaskDelivery, gate: Gate) -> None:
        self._inner = inner
        self._gate = gate

    @property
    def task(self) -> Task:
        """What is to be done."""
        return self._inner.task

    async def keep_alive(self) -> None:
        """As promised by the port."""
        await self._gate.passed()
        await self._inner.keep_alive()

    async def finish(self) -> None:
        """As promised by the port."""
        await self._gate.passed()
        await self._inner.finish()

    async def give_back(self, seconds: float) -> None:
        """As promised by the port."""
        await self._gate.passed()
        await self._inner.give_back(seconds)


class GatedSource(TaskSource):
    """A source for a worker that may be frozen."""

    def __init__(self, inner: TaskSource, gate: Gate) -> None:
        self._inner = inner
        self._gate = gate

    async def next(self, limit: int, seconds: float) -> Sequence[TaskDelivery]:
        """As promised by the port."""
        await self._gate.passed()
        return [GatedDelivery(one, self._gate) for one in await self._inner.next(limit, seconds)]


class Worker:
    """A worker process, replaced by a new one after each death."""

    def __init__(self, name: str, lasting: Lasting, processes: Processes, wire: Wire) -> None:
        self._name = name
        self._lasting = lasting
        self._processes = processes
        self._wire = wire
        self._gate = Gate()
        self._life = anyio.CancelScope()
        self.defects: list[str] = []

    async def run(self, runner: StepRunner) -> None:
        """Live, again and again, until cancelled."""
        dice = self._lasting.chance.dice
        lives = 0
        while True:
            lives += 1
            gate = self._gate = Gate()
            ends = WorkerWire(self._wire, self._processes)
            ports = StepPorts(
                source=GatedSource(self._lasting.bus.source(), gate),
                sender=ends,
                leases=ends,
                definitions=ends,
                runner=runner,
                clock=self._lasting.clock,
            )
            limits = StepLimits(steps_max=dice.choice((1, 3)))
            with anyio.CancelScope() as self._life:
                async with open_supervisor(SupervisorLimits(drain_seconds_max=0)) as supervisor:
                    try:
                        part = StepPart(f"{self._name}.{lives}", ports, limits)
                        await supervisor.start(part)
                        await anyio.sleep_forever()
                    finally:
                        self.defects += supervisor.crashes
            await anyio.sleep(dice.choice((0.0, 1.0)))

    def freeze(self, seconds: float) -> None:
        """Let it do nothing, not even a heartbeat, for so long."""
        self._gate.frozen_until = anyio.current_time() + seconds

    def die(self) -> None:
        """At once."""
        self._gate.is_dead = True
        self._life.cancel()
