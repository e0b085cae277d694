"""A whole service in this process: every role, with nats-server and step processes as children."""

import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from uuid import UUID

import anyio

from adapters.clock import SystemClock
from adapters.eventstore.sqlite import SqliteEventStore
from adapters.jetstream.connection import Connection, connect
from adapters.jetstream.endpoints import Endpoint, Endpoints, ServiceIdentity
from adapters.jetstream.feed import JetStreamFeed
from adapters.jetstream.publisher import JetStreamPublisher
from adapters.jetstream.server import NatsServer
from adapters.jetstream.tasks import JetStreamTaskQueue, JetStreamTaskSource
from adapters.jetstream.topology import Topology
from adapters.memory.eventstore import MemoryEventStore
from adapters.processes.pool import ChildPool, PoolOptions
from adapters.readmodels.open_steps import ViewOpenSteps
from adapters.readmodels.sqlite import SqliteReadModels
from commands.dispatch import DispatchPolicy
from commands.dispatcher import DirectSender
from commands.outbox import OutboxRelay
from commands.ports import OpenSteps
from domain.ids import Position
from domain.record import Recorded
from runtime.datadir import Held
from runtime.health import health_of
from runtime.session import Service
from runtime.settings import DATA_FOLDER, Settings
from runtime.supervisor import Part, Signals, Supervisor, SupervisorLimits, open_supervisor
from runtime.wiring.doors import Visits, command_endpoints, lookup_endpoints, query_endpoints
from runtime.wiring.readside import PROJECTIONS, ReadSide, open_tables, read_side
from runtime.wiring.traced import traced_feed
from runtime.wiring.writeside import WriteSide
from runtime.workers import PolicyPart, ProjectionPart, RelayPart, StepPart, StepPorts
from runtime.workers.step import StepLimits

quiet_seconds = 0.05
"""Without a request for so long nobody is attached: whoever follows a run asks again at once."""

first_visit_seconds_max = 10.0
"""For the client for whom a service was started."""

open_steps_max = 500
"""Open steps read at once."""


class EmbeddedService(Service):
    """What the command line sees of a service in its own process."""

    def __init__(
        self, url: str, resumed: Sequence[UUID], supervisor: Supervisor, idle: "Idleness"
    ) -> None:
        self._url = url
        self._resumed = resumed
        self._supervisor = supervisor
        self._idle = idle

    @property
    def url(self) -> str:
        return self._url

    @property
    def resumed(self) -> Sequence[UUID]:
        return self._resumed

    async def idle(self) -> None:
        await self._idle.wait()

    async def failed(self) -> str:
        return await self._supervisor.failed()


class Idleness:
    """Whether anybody still needs the service."""

    def __init__(self, visits: Visits, steps: OpenSteps, views: ReadSide) -> None:
        self._visits = visits
        self._steps = steps
        self._views = views

    async def wait(self) -> None:
        """Return when no run is open and nobody is attached."""
        with anyio.move_on_after(first_visit_seconds_max):
            await self._visits.first.wait()
        while self._visits.open or self._visits.quiet < quiet_seconds or await self._is_at_work():
            await anyio.sleep(quiet_seconds / 2)

    async def _is_at_work(self) -> bool:
        head = await self._views.log.head()
        if any(worker.position < head and not worker.halted for worker in self._views.workers):
            return True
        return bool(await self._steps.open(None, 1))


class EndpointsPart(Part):
    """A micro service on the bus, as one of the supervisor's parts."""

    def __init__(self, name: str, make: Callable[[], Endpoints]) -> None:
        """`make` gives new endpoints for each life of the part."""
        self._name = name
        self._make = make

    @property
    def name(self) -> str:
        return self._name

    async def run(self, signals: Signals) -> None:
        """Serve until draining. Raises `Unavailable`."""
        endpoints = self._make()
        async with anyio.create_task_group() as group:
            await group.start(endpoints.run)
            signals.ready()
            with signals.interruptible():
                await anyio.sleep_forever()
            endpoints.stop()


@asynccontextmanager
async def open_service(settings: Settings, held: Held) -> AsyncIterator[Service]:
    """Everything in this process, ready; drained and stopped at the end of the block."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(ChildPool.open(_pool_options(settings, held)))
        url, token = await stack.enter_async_context(_bus(settings, held))
        topology = Topology(
            prefix=settings.prefix,
            window_bytes=settings.events_window.bytes,
            ack_seconds=settings.task_timeout.seconds,
        )
        in_memory = settings.store == "memory"
        store = (
            MemoryEventStore()
            if in_memory
            else await stack.enter_async_context(SqliteEventStore.open(held.directory.events))
        )
        tables = await stack.enter_async_context(
            open_tables(None if in_memory else held.directory.views)
        )
        limits = SupervisorLimits(drain_seconds_max=settings.drain_timeout.seconds)
        supervisor = await stack.enter_async_context(open_supervisor(limits))
        connections = [
            await stack.enter_async_context(connect(url, token, name=f"headwater {role}"))
            for role in ("doors", "relay", "feeds", "work")
        ]
        parts = await stack.enter_async_context(
            _parts(settings, store, tables, pool, supervisor, connections, topology)
        )
        yield await parts.start(url, owns_bus=not settings.nats)


class _Parts:
    """Everything that the supervisor starts, in the order in which it can start."""

    def __init__(
        self,
        settings: Settings,
        supervisor: Supervisor,
        write_side: WriteSide,
        views: ReadSide,
        steps: OpenSteps,
        queue: JetStreamTaskQueue,
    ) -> None:
        self.supervisor = supervisor
        self.write_side = write_side
        self.views = views
        self.steps = steps
        self.queue = queue
        self.visits = Visits()
        self.before_doors: list[Part] = []
        self.doors: list[Part] = []

    async def start(self, url: str, *, owns_bus: bool) -> Service:
        """Views first, so that the queue is filled from what is true; the doors last."""
        for worker in self.views.workers:
            await self.supervisor.start(ProjectionPart(worker))
        if owns_bus:
            # Whoever worked on the tasks in there is gone: all that is open is given out anew.
            await self.queue.purge()
        resumed = await _open_runs(self.steps)
        for part in (*self.before_doors, *self.doors):
            await self.supervisor.start(part)
        idle = Idleness(self.visits, self.steps, self.views)
        return EmbeddedService(url, resumed, self.supervisor, idle)


@asynccontextmanager
async def _parts(  # noqa: PLR0917  # this is the one place where all of it meets
    settings: Settings,
    store: SqliteEventStore | MemoryEventStore,
    tables: SqliteReadModels,
    pool: ChildPool,
    supervisor: Supervisor,
    connections: Sequence[Connection],
    topology: Topology,
) -> AsyncIterator[_Parts]:
    doors, relaying, feeding, working = connections
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        feeds = {
            projection.name: traced_feed(
                projection.name,
                await stack.enter_async_context(JetStreamFeed.open(feeding, topology)),
            )
            for projection in PROJECTIONS
        }
        source = await stack.enter_async_context(JetStreamTaskSource.open(working, topology))
        queue = JetStreamTaskQueue(working, topology)
        write_side = WriteSide(store, pool, settings, supervisor.spawn)
        steps = ViewOpenSteps(tables)
        policy = PolicyPart(DispatchPolicy(steps, queue, clock), clock)
        worker = StepPart(
            f"{socket.gethostname()}:{os.getpid()}",
            StepPorts(
                source=source,
                sender=DirectSender(write_side.dispatcher),
                leases=write_side.lookup,
                definitions=write_side.lookup,
                runner=pool,
                clock=clock,
            ),
            StepLimits(steps_max=settings.workers, heartbeat_seconds=settings.heartbeat.seconds),
        )

        def dispatched(_position: Position, records: Sequence[Recorded]) -> None:
            policy.wake()
            for record in records:
                if record.tag == "run.cancel_requested.v1":
                    worker.nudge(record.stream.id)

        views = read_side(store, tables, feeds.__getitem__, {"dispatch": dispatched})
        parts = _Parts(settings, supervisor, write_side, views, steps, queue)
        publisher = JetStreamPublisher(relaying, topology)
        parts.before_doors = [
            RelayPart(OutboxRelay(store, publisher, clock), store, clock),
            policy,
            worker,
        ]
        parts.doors = [
            EndpointsPart(name, _maker(doors, name, endpoints, supervisor))
            for name, endpoints in (
                ("commands", command_endpoints(write_side.dispatcher, topology, parts.visits)),
                ("queries", query_endpoints(views, topology, parts.visits)),
                ("lookup", lookup_endpoints(write_side.lookup, topology)),
            )
        ]
        with working.waking(policy.reconnected):
            yield parts


def _maker(
    connection: Connection, role: str, endpoints: Sequence[Endpoint], supervisor: Supervisor
) -> Callable[[], Endpoints]:
    identity = ServiceIdentity(name=f"headwater-{role}", version=version("headwater"), role=role)
    return lambda: Endpoints(connection, identity, endpoints, lambda: health_of(supervisor).healthy)


@asynccontextmanager
async def _bus(settings: Settings, held: Held) -> AsyncIterator[tuple[str, str | None]]:
    """URL and token of the server that was named, or of one of our own."""
    if settings.nats:
        yield settings.nats, settings.nats_token or None
        return
    async with NatsServer.start(
        held.directory.nats,
        binary=settings.nats_server or None,
        pass_fds=(held.descriptor,),
        on_spawn=lambda pid: held.record(pid, "nats-server"),
        on_end=held.forget,
    ) as server:
        yield server.url, server.token


def _pool_options(settings: Settings, held: Held) -> PoolOptions:
    path = held.directory.path
    project = (str(path.parent),) if path.name == DATA_FOLDER else ()
    return PoolOptions(
        data=path,
        roots=(*settings.roots, *project, str(Path.cwd())),
        timezone=settings.timezone,
        size=settings.workers,
        prestart=settings.workers,
        seconds=settings.step_timeout.seconds,
        memory_bytes=settings.memory.bytes,
        pass_fds=(held.descriptor,),
        on_born=lambda pid: held.record(pid, "step"),
        on_gone=held.forget,
    )


async def _open_runs(steps: OpenSteps) -> Sequence[UUID]:
    """Every run that has a step to be done."""
    runs: dict[UUID, None] = {}
    after: tuple[str, str] | None = None
    while True:
        page = await steps.open(after, open_steps_max)
        runs |= dict.fromkeys(step.task.run for step in page)
        if len(page) < open_steps_max:
            return tuple(runs)
        after = (str(page[-1].task.run), page[-1].task.step)
