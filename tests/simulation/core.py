"""The process that decides: actors, relay, views and policy, over what outlives it."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import anyio
from msgspec import Struct

from adapters.memory.bus import MemoryBus
from adapters.memory.eventstore import MemoryEventStore
from adapters.readmodels.open_steps import ViewOpenSteps
from adapters.readmodels.progress import ViewProgress
from commands.blueprint import Blueprints
from commands.dispatch import DispatchPolicy
from commands.dispatcher import CommandDispatcher
from commands.lookup import Lookup
from commands.outbox import OutboxRelay
from domain.errors import HeadwaterError, Unavailable
from projections.dispatch import DISPATCH
from projections.lineage import LINEAGE
from projections.monitoring import MONITORING
from projections.ports import ReadModels
from projections.projection import Projection
from projections.quality import QUALITY
from projections.worker import ProjectionPorts, ProjectionWorker
from runtime.actor import ActorLimits, StreamActors
from runtime.supervisor import Supervisor, SupervisorLimits, open_supervisor
from runtime.workers import PolicyPart, ProjectionPart, RelayPart
from tests.commands.stage import SketchBinder, read_sketch
from tests.simulation.chance import Chance, VirtualClock
from tests.simulation.store import DoubtfulStore

T = TypeVar("T")

PROJECTIONS: tuple[Projection, ...] = (MONITORING, LINEAGE, QUALITY, DISPATCH)


class Lasting(Struct, frozen=True, kw_only=True):
    """What a death of the process leaves behind."""

    chance: Chance
    clock: VirtualClock
    store: MemoryEventStore
    bus: MemoryBus
    read_models: ReadModels


class Core:
    """One life of the process."""

    def __init__(self, lasting: Lasting, supervisor: Supervisor) -> None:
        store = DoubtfulStore(lasting.store, lasting.chance)
        limits = ActorLimits(actors_max=lasting.chance.dice.choice((1, 2, 100)))
        self.supervisor = supervisor
        self.actors = StreamActors(store, lasting.clock, supervisor.spawn, limits)
        self.lookup = Lookup(self.actors, store)
        self.dispatcher = CommandDispatcher(
            self.actors, store, SketchBinder(), lasting.clock, Blueprints(read_sketch)
        )
        self._lasting = lasting

    async def start(self, exits: AsyncExitStack) -> None:
        """Start every part, views first."""
        lasting = self._lasting
        steps = ViewOpenSteps(lasting.read_models)
        policy = PolicyPart(
            DispatchPolicy(steps, lasting.bus.queue(), lasting.clock), lasting.clock
        )
        for projection in PROJECTIONS:
            feed = lasting.bus.feed()
            exits.callback(feed.close)
            ports = ProjectionPorts(
                log=lasting.store,
                feed=feed,
                read_models=lasting.read_models,
                progress=ViewProgress(),
                ticker=lasting.clock,
            )
            worker = ProjectionWorker(projection, ports, lambda _stretch: policy.wake())
            await self.supervisor.start(ProjectionPart(worker))
        relay = OutboxRelay(lasting.store, lasting.bus.publisher(), lasting.clock)
        self.supervisor.spawn(
            "relay", self._starter(RelayPart(relay, lasting.store, lasting.clock))
        )
        self.supervisor.spawn("policy", self._starter(policy))

    def _starter(self, part: Any) -> Callable[[], Awaitable[None]]:
        async def start() -> None:
            await self.supervisor.start(part)

        return start


class Process:
    """The core as others see it: it may be away, and it may die while it answers."""

    def __init__(self, lasting: Lasting) -> None:
        self._lasting = lasting
        self._core: Core | None = None
        self._life = anyio.CancelScope()
        self.deaths = 0
        self.defects: list[str] = []

    @property
    def core(self) -> Core:
        """The living core. Raises `Unavailable`."""
        if self._core is None:
            raise Unavailable("nobody answers")
        return self._core

    async def run(self) -> None:
        """Live, again and again, until cancelled."""
        while True:
            drain = 0.0 if self._lasting.chance.dice.random() < 0.7 else 5.0
            limits = SupervisorLimits(drain_seconds_max=drain, start_seconds_max=1e6)
            with anyio.CancelScope() as self._life:
                async with AsyncExitStack() as exits, open_supervisor(limits) as supervisor:
                    core = Core(self._lasting, supervisor)
                    try:
                        await core.start(exits)
                        self._core = core
                        await anyio.sleep_forever()
                    finally:
                        self._core = None
                        self.defects += supervisor.crashes
            await anyio.sleep(self._lasting.chance.dice.choice((0.0, 0.5, 5.0)))

    def die(self) -> None:
        """At once; begins anew after a while."""
        self.deaths += 1
        self._life.cancel()

    async def ask(self, question: Callable[[Core], Awaitable[T]]) -> T:
        """Let the core answer in a task of its own. Raises `Unavailable` where it dies."""
        core = self.core
        answers: list[T] = []
        errors: list[HeadwaterError] = []
        done = anyio.Event()

        async def answer() -> None:
            try:
                answers.append(await question(core))
            except HeadwaterError as error:
                errors.append(error)
            finally:
                done.set()

        core.supervisor.spawn("question", answer)
        await done.wait()
        if errors:
            raise errors[0]
        if not answers:
            raise Unavailable("the connection was lost")
        return answers[0]


class Processes:
    """One core, or several that do not know of each other and share store, bus and views."""

    def __init__(self, lasting: Lasting, count: int) -> None:
        self._dice = lasting.chance.dice
        self.all = [Process(lasting) for _ in range(count)]

    async def ask(self, question: Callable[[Core], Awaitable[T]]) -> T:
        """Whoever gets it answers. Raises `Unavailable`."""
        return await self._dice.choice(self.all).ask(question)

    def die(self) -> None:
        """One of them."""
        self._dice.choice(self.all).die()
