"""What the parts of a service stand on: children, bus, storage, as far as its roles need them."""

import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from adapters.clock import SystemClock
from adapters.jetstream.connection import Connection, connect
from adapters.jetstream.feed import open_feeds
from adapters.jetstream.server import NatsServer
from adapters.jetstream.tasks import JetStreamTaskSource
from adapters.jetstream.topology import Topology
from adapters.processes.pool import ChildPool, PoolOptions
from commands.ports import Clock
from domain.errors import Defect
from projections.ports import EventFeed, ReadModels
from projections.projection import Projection
from runtime.datadir import Held
from runtime.roles import ROLES, Role
from runtime.settings import DATA_FOLDER, Settings
from runtime.wiring.readside import PROJECTIONS
from runtime.wiring.storage import StoredEvents, open_storage
from runtime.wiring.traced import traced_feed

T = TypeVar("T")

_WITH_STORE: frozenset[Role] = frozenset(("commands", "relay", "projections", "policies"))
_WITH_CHILDREN: frozenset[Role] = frozenset(("commands", "steps"))


class Site(Struct, frozen=True, kw_only=True):
    """All that a process has for its roles; None of what they do not need."""

    settings: Settings
    held: Held
    roles: Sequence[Role]
    topology: Topology
    clock: Clock
    url: str
    """Where NATS listens."""
    connections: Mapping[str, Connection]
    """One for each kind of traffic, so that none waits behind another."""
    pool: ChildPool | None = None
    store: StoredEvents | None = None
    tables: ReadModels | None = None
    source: JetStreamTaskSource | None = None
    feeds: Callable[[str], EventFeed] | None = None
    """A view's feed, by its name."""

    @property
    def is_alone(self) -> bool:
        """Whether this process has every role, and so is the only one to write to its store."""
        return set(self.roles) == set(ROLES)

    @property
    def events(self) -> StoredEvents:
        """The store, which its roles need."""
        if self.store is None:
            raise _unopened()
        return self.store

    def has(self, *roles: Role) -> bool:
        """Whether it has one of these roles."""
        return not set(roles).isdisjoint(self.roles)


def needed(thing: T | None) -> T:
    """What a role needs and a site was therefore given."""
    if thing is None:
        raise _unopened()
    return thing


def _unopened() -> Defect:
    return Defect("a role stands on something that its process did not open")


def views_of(roles: Sequence[Role]) -> Sequence[Projection]:
    """The views that a process with these roles keeps: all, or those that policies look at."""
    if "projections" in roles:
        return PROJECTIONS
    return [one for one in PROJECTIONS if one.name == "dispatch" and "policies" in roles]


@asynccontextmanager
async def open_site(settings: Settings, held: Held, roles: Sequence[Role]) -> AsyncIterator[Site]:
    """Opened for the time of the block. Raises `Unavailable`."""
    topology = Topology(
        prefix=settings.prefix,
        window_bytes=settings.events_window.bytes,
        ack_seconds=settings.task_timeout.seconds,
        replicas=settings.nats_replicas,
    )
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        pool = store = tables = source = feeds = None
        if not _WITH_CHILDREN.isdisjoint(roles):
            pool = await enter(ChildPool.open(_pool_options(settings, held)))
        url, token = await enter(_bus(settings, held))
        if not _WITH_STORE.isdisjoint(roles):
            store, tables = await enter(open_storage(settings, held))
        connections = {
            name: await enter(connect(url, token, name=f"headwater {name}"))
            for name in ("doors", "relay", "feeds", "work")
        }
        if "steps" in roles:
            source = await enter(JetStreamTaskSource.open(connections["work"], topology))
        if store is not None and (names := [one.name for one in views_of(roles)]):
            if "commands" in roles:
                feeds = _own_feeds(store)
            else:
                feeds = await enter(_bus_feeds(connections["feeds"], topology, names))
        yield Site(
            settings=settings,
            held=held,
            roles=roles,
            topology=topology,
            clock=SystemClock(),
            url=url,
            connections=connections,
            pool=pool,
            store=store,
            tables=tables,
            source=source,
            feeds=feeds,
        )


def _own_feeds(store: StoredEvents) -> Callable[[str], EventFeed]:
    """A feed for each view, by its name, from the store to which this process appends."""
    return lambda view: traced_feed(view, store.feed())


@asynccontextmanager
async def _bus_feeds(
    connection: Connection, topology: Topology, names: Sequence[str]
) -> AsyncIterator[Callable[[str], EventFeed]]:
    """The same from one consumer on the bus."""
    async with open_feeds(connection, topology, len(names)) as feeds:
        by_name = {name: traced_feed(name, feed) for name, feed in zip(names, feeds, strict=True)}
        yield by_name.__getitem__


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
        datasets=settings.datasets,
        roots=tuple(dict.fromkeys((*settings.roots, *project, str(Path.cwd())))),
        timezone=settings.timezone,
        size=settings.workers,
        spare=True,
        seconds=settings.step_timeout.seconds,
        memory_bytes=settings.memory.bytes // settings.workers,
        pass_fds=(held.descriptor,),
        command=(sys.executable, "-P", "-m", "runtime.child"),
        on_born=lambda pid: held.record(pid, "step"),
        on_gone=held.forget,
    )
