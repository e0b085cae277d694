"""The parts of each role, put together from what their site has."""

import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from uuid import UUID

import anyio

from adapters.jetstream.client import NatsClient, NatsLookup
from adapters.jetstream.connection import Connection
from adapters.jetstream.endpoints import Endpoint, Endpoints, ServiceIdentity
from adapters.jetstream.message import Message
from adapters.jetstream.publisher import JetStreamPublisher
from adapters.jetstream.tasks import JetStreamTaskQueue
from adapters.readmodels.open_steps import ViewOpenSteps
from commands.dispatch import DispatchPolicy
from commands.dispatcher import DirectSender
from commands.outbox import OutboxRelay
from projections.stretch import Stretch
from projections.worker import Applied
from runtime.roles import Role
from runtime.supervisor import Part, Signals
from runtime.wiring.collection import Sweep, collect, is_beyond, used_seconds_min
from runtime.wiring.readside import ReadSide
from runtime.wiring.site import Site, needed
from runtime.wiring.writeside import WriteSide
from runtime.workers import CollectionPart, PolicyPart, RelayPart, StepPart, StepPorts
from runtime.workers.step import StepLimits


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


def door(
    connection: Connection,
    role: str,
    endpoints: Sequence[Endpoint],
    unwell: Callable[[], str],
) -> EndpointsPart:
    """A micro service; `unwell` says why it is not healthy, nothing where it is."""
    identity = ServiceIdentity(name=f"headwater-{role}", version=version("headwater"), role=role)
    return EndpointsPart(role, lambda: Endpoints(connection, identity, endpoints, unwell))


def presence(site: Site, role: Role, unwell: Callable[[], str]) -> EndpointsPart:
    """Tells that a role is there which answers no requests otherwise."""

    async def status(_subject: str, _payload: bytes, _headers: dict[str, str]) -> bytes:
        return unwell().encode()

    subject = f"{site.topology.prefix}.status.{role}"
    return door(site.connections["doors"], role, [Endpoint("status", subject, status)], unwell)


def relay(site: Site) -> RelayPart:
    """From the store to the bus."""
    publisher = JetStreamPublisher(site.connections["relay"], site.topology)
    log = site.events.followed()
    return RelayPart(OutboxRelay(log, publisher, site.clock), log, site.clock)


def policy(site: Site) -> PolicyPart:
    """From the view of open steps to the work queue."""
    queue = JetStreamTaskQueue(site.connections["work"], site.topology)
    steps = ViewOpenSteps(needed(site.tables))
    return PolicyPart(DispatchPolicy(steps, queue, site.clock), site.clock)


def step_worker(site: Site, write_side: WriteSide | None) -> StepPart:
    """Works on steps; it claims and reports in this process where commands are handled here."""
    settings, connection = site.settings, site.connections["work"]
    lookup = write_side.lookup if write_side else NatsLookup(connection, site.topology)
    return StepPart(
        f"{socket.gethostname()}:{os.getpid()}",
        StepPorts(
            source=needed(site.source),
            sender=DirectSender(write_side.dispatcher)
            if write_side
            else NatsClient(connection, site.topology),
            leases=lookup,
            definitions=lookup,
            runner=needed(site.pool),
            clock=site.clock,
        ),
        StepLimits(steps_max=settings.workers, heartbeat_seconds=settings.heartbeat.seconds),
    )


@asynccontextmanager
async def heeding(site: Site, worker: StepPart) -> AsyncIterator[None]:
    """Have a worker hear of requests to cancel from the bus, until the block ends."""

    def asked(message: Message) -> None:
        worker.nudge(UUID(message.subject.split(".")[-2]))

    connection = site.connections["work"]
    subject = f"{site.topology.prefix}.event.run.*.cancel_requested"
    subscription = await connection.subscribe(subject, asked)
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await connection.unsubscribe(subscription)


def collection(site: Site, views: ReadSide | None) -> CollectionPart:
    """Drops what is kept beyond its bound; without views, of a bucket's cache."""
    directory = site.held.directory
    bytes_max = site.settings.datasets_bytes_max.bytes
    sweep = Sweep(bytes_max=bytes_max, rest_seconds=used_seconds_min)

    async def collected() -> None:
        if await is_beyond(directory, bytes_max):
            await collect(views.queries.answer if views else None, directory, sweep)

    return CollectionPart(collected, site.clock)


def on_dispatch(policy: PolicyPart | None, worker: StepPart | None) -> Applied:
    """Whoever gives out steps hears of each change; whoever works on them of requests to stop."""
    return partial(_dispatched, policy, worker)


def _dispatched(policy: PolicyPart | None, worker: StepPart | None, stretch: Stretch) -> None:
    if policy is not None and any(tag.startswith("run.") for tag in stretch.tags):
        policy.wake()
    if worker is not None:
        for stream, tag in zip(stretch.streams, stretch.tags, strict=True):
            if tag == "run.cancel_requested.v1":
                worker.nudge(UUID(stream))
