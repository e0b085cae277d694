"""A service in this process: with every role, or with some beside others elsewhere."""

import gc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import UUID

import anyio

from adapters.jetstream.tasks import JetStreamTaskQueue
from adapters.readmodels.open_steps import ViewOpenSteps
from commands.ports import Clock, OpenSteps
from runtime.datadir import Held
from runtime.health import health_of
from runtime.roles import ROLES, Role
from runtime.session import Service
from runtime.settings import Settings
from runtime.supervisor import Part, Supervisor, SupervisorLimits, open_supervisor
from runtime.wiring.doors import Visits, command_endpoints, lookup_endpoints, query_endpoints
from runtime.wiring.parts import (
    collection,
    door,
    heeding,
    on_dispatch,
    policy,
    presence,
    relay,
    step_worker,
)
from runtime.wiring.readside import ReadSide, read_side
from runtime.wiring.site import Site, needed, open_site, views_of
from runtime.wiring.writeside import WriteSide
from runtime.workers import PolicyPart, ProjectionPart

quiet_seconds = 0.1
"""Without a request for so long nobody is attached: whoever follows a run asks again at once."""

first_visit_seconds_max = 10.0
"""For the client for whom a service was started."""

collector_objects_min = 10_000
"""New objects before the garbage collector looks for circles among them."""

open_steps_max = 500
"""Open steps read at once."""


class HostedService(Service):
    """What the command line sees of a service in its own process."""

    def __init__(
        self, url: str, resumed: Sequence[UUID], supervisor: Supervisor, idle: "Idleness | None"
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
        if self._idle is None:
            await anyio.sleep_forever()  # what others need of one role, it cannot know
        else:
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


@asynccontextmanager
async def open_service(
    settings: Settings, held: Held, roles: Sequence[Role] = ROLES
) -> AsyncIterator[Service]:
    """The roles' parts in this process, ready; drained and stopped at the end of the block."""
    limits = SupervisorLimits(drain_seconds_max=settings.drain_timeout.seconds)
    async with open_site(settings, held, roles) as site, AsyncExitStack() as stack:
        # Opened last, so that all parts are stopped while what they stand on is still there.
        supervisor = await stack.enter_async_context(open_supervisor(limits))
        service = await _Composition(site, supervisor).start(stack)
        _relieve_collector()
        yield service


def _relieve_collector() -> None:
    """What is loaded stays, and is not looked through again and again by the garbage collector;
    nearly all that commands leave behind goes without it."""
    gc.freeze()
    gc.set_threshold(collector_objects_min)


class _Composition:
    """Puts the parts of a site's roles together."""

    def __init__(self, site: Site, supervisor: Supervisor) -> None:
        self._site = site
        self._supervisor = supervisor
        self._visits = Visits()
        self._policy = policy(site) if site.has("policies") else None
        self._write_side: WriteSide | None = None
        if site.has("commands"):
            self._write_side = WriteSide(
                site.events, needed(site.pool), site.settings, supervisor.spawn
            )
        self._worker = step_worker(site, self._write_side) if site.has("steps") else None
        if self._write_side is not None and self._worker is not None:
            self._write_side.dispatcher.employ(self._worker)
        self._views = self._read_side() if site.has("projections", "policies") else None

    async def start(self, stack: AsyncExitStack) -> Service:
        """Start everything, in order: views first, so that the queue is filled from what is true.

        Raises what a part cannot start for.
        """
        site, resumed = self._site, tuple[UUID, ...]()
        for view in self._views.workers if self._views else ():
            await self._supervisor.start(ProjectionPart(view))
        if self._policy is not None:
            resumed = await self._resume(stack, self._policy)
        if self._worker is not None and self._views is None:
            await stack.enter_async_context(heeding(site, self._worker))
        for part in self._parts():
            await self._supervisor.start(part)
        return HostedService(site.url, resumed, self._supervisor, self._idleness())

    async def _resume(self, stack: AsyncExitStack, dispatching: PolicyPart) -> tuple[UUID, ...]:
        site = self._site
        if not site.settings.nats:
            # Whoever worked on the tasks in there is gone: all that is open is given out anew.
            await JetStreamTaskQueue(site.connections["work"], site.topology).purge()
        stack.enter_context(site.connections["work"].waking(dispatching.reconnected))
        return await _open_runs(ViewOpenSteps(needed(site.tables)))

    def _parts(self) -> Sequence[Part]:
        site, views = self._site, self._views
        parts: list[Part | None] = [relay(site) if site.has("relay") else None]
        parts += [self._policy, self._worker, *self._doors()]
        if views is not None and site.has("projections"):
            parts.append(collection(site, views))
        elif self._worker is not None and site.settings.datasets:
            parts.append(collection(site, None))  # its data directory may be its own
        return [part for part in parts if part is not None]

    def _doors(self) -> Sequence[Part]:
        site, connection = self._site, self._site.connections["doors"]
        topology, visits = site.topology, self._visits
        doors: list[Part] = []
        if (writing := self._write_side) is not None:
            commands = command_endpoints(writing.dispatcher, topology, visits)
            doors.append(door(connection, "commands", commands, self._unwell("commands", "lookup")))
            lookups = lookup_endpoints(writing.lookup, topology)
            doors.append(door(connection, "lookup", lookups, self._unwell("lookup")))
        if (views := self._views) is not None and site.has("projections"):
            queries = query_endpoints(views, topology, visits)
            of_views = [f"projection {worker.name}" for worker in views.workers]
            doors.append(door(connection, "queries", queries, self._unwell("queries", *of_views)))
        return doors + [
            presence(site, role, self._unwell(*names))
            for role, names in self._silent().items()
            if site.has(role)
        ]

    def _silent(self) -> dict[Role, Sequence[str]]:
        """Roles that answer no requests, with the names of their parts."""
        return {
            "relay": ["relay"],
            "policies": ["dispatch", "projection dispatch"],
            "steps": [self._worker.name] if self._worker else [],
        }

    def _unwell(self, *parts: str) -> Callable[[], str]:
        return lambda: health_of(self._supervisor, parts).reason

    def _read_side(self) -> ReadSide:
        site = self._site
        return read_side(
            site.events,
            needed(site.tables),
            needed(site.feeds),
            {"dispatch": on_dispatch(self._policy, self._worker)},
            views_of(site.roles),
        )

    def _idleness(self) -> Idleness | None:
        site = self._site
        if not site.is_alone or self._views is None:
            return None
        return Idleness(self._visits, ViewOpenSteps(needed(site.tables)), self._views, site.clock)


async def _open_runs(steps: OpenSteps) -> tuple[UUID, ...]:
    """Every run that has a step to be done."""
    runs: dict[UUID, None] = {}
    after: tuple[str, str] | None = None
    while True:
        page = await steps.open(after, open_steps_max)
        runs |= dict.fromkeys(step.task.run for step in page)
        if len(page) < open_steps_max:
            return tuple(runs)
        after = (str(page[-1].task.run), page[-1].task.step)
