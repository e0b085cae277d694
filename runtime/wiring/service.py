"""A whole service in this process: every role, with nats-server and step processes as children."""

import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from uuid import UUID

import anyio
from msgspec import Struct

from adapters.clock import SystemClock
from adapters.eventstore.sqlite import SqliteEventStore
from adapters.jetstream.connection import Connection, connect
from adapters.jetstream.endpoints import Endpoint, Endpoints, ServiceIdentity
from adapters.jetstream.feed import open_feeds
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
from commands.ports import Clock, OpenSteps
from projections.ports import EventFeed
from projections.stretch import Stretch
from projections.worker import Applied
from runtime.datadir import Held
from runtime.health import health_of
from runtime.session import Service
from runtime.settings import DATA_FOLDER, Settings
from runtime.supervisor import Part, Signals, Supervisor, SupervisorLimits, open_supervisor
from runtime.wiring.collection import Sweep, collect, is_beyond, used_seconds_min
from runtime.wiring.doors import Visits, command_endpoints, lookup_endpoints, query_endpoints
from runtime.wiring.readside import (
    PROJECTIONS,
    ReadSide,
    StoredEvents,
    open_tables,
    read_side,
)
from runtime.wiring.traced import traced_feed
from runtime.wiring.writeside import WriteSide
from runtime.workers import (
    CollectionPart,
    PolicyPart,
    ProjectionPart,
    RelayPart,
    StepPart,
    StepPorts,
)
from runtime.workers.step import StepLimits

quiet_seconds = 0.1
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

    def __init__(self, visits: Visits, steps: OpenSteps, views: ReadSide, clock: Clock) -> None:
        self._clock = clock
        self._visits = visits
        self._steps = steps
        self._views = views

    async def wait(self) -> None:
        """Return when no run is open and nobody is attached."""
        with anyio.move_on_after(first_visit_seconds_max):
            await self._visits.first.wait()
        while self._visits.open or self._visits.quiet < quiet_seconds or await self._is_at_work():
            await self._clock.sleep(quiet_seconds / 2)

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


class _Ground(Struct, frozen=True, kw_only=True):
    """What all parts stand on."""

    settings: Settings
    topology: Topology
    store: StoredEvents
    tables: SqliteReadModels
    pool: ChildPool
    supervisor: Supervisor
    clock: Clock


@asynccontextmanager
async def open_service(settings: Settings, held: Held) -> AsyncIterator[Service]:
    """Everything in this process, ready; drained and stopped at the end of the block."""
    async with AsyncExitStack() as stack:
        ground, url, token = await stack.enter_async_context(_ground(settings, held))
        doors, relaying, feeding, working = [
            await stack.enter_async_context(connect(url, token, name=f"headwater {role}"))
            for role in ("doors", "relay", "feeds", "work")
        ]
        write_side = WriteSide(ground.store, ground.pool, settings, ground.supervisor.spawn)
        steps = ViewOpenSteps(ground.tables)
        queue = JetStreamTaskQueue(working, ground.topology)
        source = await stack.enter_async_context(JetStreamTaskSource.open(working, ground.topology))
        policy = PolicyPart(DispatchPolicy(steps, queue, ground.clock), ground.clock)
        worker = _step_worker(ground, write_side, source)
        feeds = await stack.enter_async_context(_feeds(ground.store, feeding, ground.topology))
        views = read_side(
            ground.store, ground.tables, feeds, {"dispatch": _on_dispatch(policy, worker)}
        )
        # Views first, so that the queue is filled from what is true.
        for view in views.workers:
            await ground.supervisor.start(ProjectionPart(view))
        if not settings.nats:
            # Whoever worked on the tasks in there is gone: all that is open is given out anew.
            await queue.purge()
        resumed = await _open_runs(steps)
        stack.enter_context(working.waking(policy.reconnected))
        visits = Visits()
        for part in (
            _relay(ground, relaying),
            policy,
            worker,
            *_doors(ground, doors, write_side, views, visits),
            _collection(ground, held, views),
        ):
            await ground.supervisor.start(part)
        yield EmbeddedService(
            url, resumed, ground.supervisor, Idleness(visits, steps, views, ground.clock)
        )


@asynccontextmanager
async def _ground(settings: Settings, held: Held) -> AsyncIterator[tuple[_Ground, str, str | None]]:
    """Children, bus, storage and supervisor; with the bus's URL and token."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(ChildPool.open(_pool_options(settings, held)))
        url, token = await stack.enter_async_context(_bus(settings, held))
        store, tables = await stack.enter_async_context(_storage(settings, held))
        limits = SupervisorLimits(drain_seconds_max=settings.drain_timeout.seconds)
        ground = _Ground(
            settings=settings,
            topology=Topology(
                prefix=settings.prefix,
                window_bytes=settings.events_window.bytes,
                ack_seconds=settings.task_timeout.seconds,
            ),
            store=store,
            tables=tables,
            pool=pool,
            supervisor=await stack.enter_async_context(open_supervisor(limits)),
            clock=SystemClock(),
        )
        yield ground, url, token


@asynccontextmanager
async def _storage(
    settings: Settings, held: Held
) -> AsyncIterator[tuple[StoredEvents, SqliteReadModels]]:
    """Events and views: in files, or in memory and gone at the end."""
    async with AsyncExitStack() as stack:
        if settings.store == "memory":
            tables = await stack.enter_async_context(open_tables(None))
            yield MemoryEventStore(), tables
            return
        store = await stack.enter_async_context(SqliteEventStore.open(held.directory.events))
        yield store, await stack.enter_async_context(open_tables(held.directory.views))


@asynccontextmanager
async def _feeds(
    store: StoredEvents, connection: Connection, topology: Topology
) -> AsyncIterator[Callable[[str], EventFeed]]:
    """A feed for each view, by its name: from the store itself where nobody else appends to it,
    and else all from one consumer on the bus."""
    if isinstance(store, SqliteEventStore):
        yield lambda view: traced_feed(view, store.feed())
        return
    names = [projection.name for projection in PROJECTIONS]
    async with open_feeds(connection, topology, len(names)) as feeds:
        by_name = {name: traced_feed(name, feed) for name, feed in zip(names, feeds, strict=True)}
        yield by_name.__getitem__


def _relay(ground: _Ground, connection: Connection) -> RelayPart:
    publisher = JetStreamPublisher(connection, ground.topology)
    store = ground.store
    log = store.followed() if isinstance(store, SqliteEventStore) else store
    return RelayPart(OutboxRelay(log, publisher, ground.clock), log, ground.clock)


def _step_worker(ground: _Ground, write_side: WriteSide, source: JetStreamTaskSource) -> StepPart:
    settings = ground.settings
    return StepPart(
        f"{socket.gethostname()}:{os.getpid()}",
        StepPorts(
            source=source,
            sender=DirectSender(write_side.dispatcher),
            leases=write_side.lookup,
            definitions=write_side.lookup,
            runner=ground.pool,
            clock=ground.clock,
        ),
        StepLimits(steps_max=settings.workers, heartbeat_seconds=settings.heartbeat.seconds),
    )


def _collection(ground: _Ground, held: Held, views: ReadSide) -> CollectionPart:
    bytes_max = ground.settings.datasets_bytes_max.bytes
    sweep = Sweep(bytes_max=bytes_max, rest_seconds=used_seconds_min)

    async def collected() -> None:
        if await is_beyond(held.directory, bytes_max):
            await collect(views.queries.answer, held.directory, sweep)

    return CollectionPart(collected, ground.clock)


def _on_dispatch(policy: PolicyPart, worker: StepPart) -> Applied:
    """Whoever gives out steps hears of each change; whoever works on them of requests to stop."""

    def applied(stretch: Stretch) -> None:
        policy.wake()
        for stream, tag in zip(stretch.streams, stretch.tags, strict=True):
            if tag == "run.cancel_requested.v1":
                worker.nudge(UUID(stream))

    return applied


def _doors(
    ground: _Ground,
    connection: Connection,
    write_side: WriteSide,
    views: ReadSide,
    visits: Visits,
) -> Sequence[EndpointsPart]:
    topology = ground.topology
    offered = {
        "commands": command_endpoints(write_side.dispatcher, topology, visits),
        "queries": query_endpoints(views, topology, visits),
        "lookup": lookup_endpoints(write_side.lookup, topology),
    }
    return [
        EndpointsPart(role, _maker(connection, role, endpoints, ground.supervisor))
        for role, endpoints in offered.items()
    ]


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
        roots=tuple(dict.fromkeys((*settings.roots, *project, str(Path.cwd())))),
        timezone=settings.timezone,
        size=settings.workers,
        prestart=settings.workers,
        seconds=settings.step_timeout.seconds,
        memory_bytes=settings.memory.bytes // settings.workers,
        pass_fds=(held.descriptor,),
        command=(sys.executable, "-P", "-m", "runtime.child"),
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
