"""The owner of all tasks: parts are started, become ready, are drained and stopped by it.

    starting ─► ready ─► draining ─► stopped
       ▲          │
       └ restarting ◄─ a failure of the world (again and again), or a crash (a few times)
                  └──► failed, once it has crashed too often

It is the only place that catches every exception: a crash of a part is shown, never hidden.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Literal, Protocol

import anyio
from anyio.abc import TaskGroup
from msgspec import Struct

from domain.errors import Failure, HeadwaterError, TimedOut, Unavailable

log = logging.getLogger("headwater.supervisor")

State = Literal["starting", "ready", "halted", "restarting", "draining", "stopped", "failed"]


class SupervisorLimits(Struct, frozen=True, kw_only=True):
    """How patient the supervisor is."""

    start_seconds_max: float = 30.0
    drain_seconds_max: float = 10.0
    """For all parts together; what is not done then is cancelled."""
    restarts_max: int = 5
    """Crashes in a row before a part is given up."""
    backoff_seconds_min: float = 0.05
    backoff_seconds_max: float = 1.0
    steady_seconds: float = 60.0
    """Crashes further apart are not in a row."""
    crashes_kept_max: int = 32


class PartReport(Struct, frozen=True, kw_only=True):
    """How a part is."""

    name: str
    state: State
    restarts: int = 0
    reason: str | None = None
    """Why it is not ready, or why it was restarted last."""


class Signals:
    """What the supervisor and a part tell each other."""

    def __init__(self, part: "_Entry", crashed: Callable[[str, BaseException], None]) -> None:
        self._part = part
        self._crashed = crashed
        self._waits: set[anyio.CancelScope] = set()

    @property
    def is_draining(self) -> bool:
        """Whether the part shall finish what it has and return."""
        return self._part.is_draining

    def ready(self) -> None:
        """To be called when the part does its work; again to take back a halt."""
        if self._part.state in ("starting", "restarting", "halted"):
            self._part.state = "ready"
            self._part.is_ready.set()

    def halt(self, reason: str) -> None:
        """The part lives but cannot go on; a person must look."""
        self._part.state, self._part.reason = "halted", reason
        self._part.is_ready.set()

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """A block that is left at once when draining begins: for waiting, not for working."""
        with anyio.CancelScope() as scope:
            if self._part.is_draining:
                scope.cancel()
            self._waits.add(scope)
            try:
                yield
            finally:
                self._waits.discard(scope)

    def interrupt(self) -> None:
        """End every wait."""
        for scope in self._waits:
            scope.cancel()

    async def guard(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do one piece of work whose crash shall be seen and not take others along."""
        try:
            await work()
        except Exception as error:  # noqa: BLE001  # shown, whatever it is
            self._crashed(name, error)


class Part(Protocol):
    """Something that runs as long as the service does."""

    @property
    def name(self) -> str:
        """For reports."""
        ...

    async def run(self, signals: Signals) -> None:
        """Work until `signals.is_draining`. Whatever is raised makes the supervisor run it
        again; so it begins by finding out where it is."""
        ...


class _Entry:
    def __init__(self, part: Part) -> None:
        self.part = part
        self.state: State = "starting"
        self.restarts = 0
        self.reason: str | None = None
        self.is_draining = False
        self.is_ready = anyio.Event()
        self.ended = anyio.Event()
        self.drained = anyio.Event()
        self.scope = anyio.CancelScope()
        self.signals: Signals | None = None

    def drain(self) -> None:
        self.is_draining = True
        if self.state not in ("stopped", "failed"):
            self.state = "draining"
        self.drained.set()
        if self.signals is not None:
            self.signals.interrupt()


class Supervisor:
    """Owns a task group and everything that runs in it. Made by `open_supervisor`."""

    def __init__(self, tasks: TaskGroup, limits: SupervisorLimits) -> None:
        self._tasks = tasks
        self._limits = limits
        self._entries: list[_Entry] = []
        self._crashes: list[str] = []
        self._given_up = anyio.Event()
        self._reason = ""

    @property
    def crashes(self) -> Sequence[str]:
        """The last crashes of all, newest last."""
        return tuple(self._crashes)

    def report(self) -> Sequence[PartReport]:
        """How every part is, in the order in which they were started."""
        return [
            PartReport(
                name=entry.part.name,
                state=entry.state,
                restarts=entry.restarts,
                reason=entry.reason,
            )
            for entry in self._entries
        ]

    async def start(self, part: Part) -> None:
        """Run a part from now on; returns when it is ready.

        Raises `Unavailable` where it was given up, `TimedOut` where it takes too long.
        """
        entry = _Entry(part)
        self._entries.append(entry)
        self._tasks.start_soon(self._keep, entry, name=part.name)
        with anyio.move_on_after(self._limits.start_seconds_max):
            await entry.is_ready.wait()
            if entry.state == "failed":
                raise Unavailable(f"{part.name} cannot start: {entry.reason}")
            return
        raise TimedOut(f"{part.name} does not become ready: {entry.reason or 'no reason known'}")

    def spawn(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run a short piece of work in a task of its own; its crash is noted."""
        self._tasks.start_soon(self._once, name, work)

    async def failed(self) -> str:
        """Wait until a part is given up; returns which one and why."""
        await self._given_up.wait()
        return self._reason

    async def stop(self) -> None:
        """Drain and stop all parts, the last started first. Twice is fine."""
        with anyio.move_on_after(self._limits.drain_seconds_max):
            for entry in reversed(self._entries):
                entry.drain()
                await entry.ended.wait()
        for entry in self._entries:
            entry.drain()
            entry.scope.cancel()
        for entry in self._entries:
            await entry.ended.wait()

    async def _once(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001  # shown, whatever it is
            self._crashed(name, error)

    def _crashed(self, name: str, error: BaseException) -> None:
        log.error("%s has crashed", name, exc_info=error)
        self._crashes.append(f"{name}: {told(error)}")
        del self._crashes[: -self._limits.crashes_kept_max]

    async def _keep(self, entry: _Entry) -> None:
        in_a_row = 0
        try:
            with entry.scope:
                while True:
                    began = anyio.current_time()
                    error = await self._run(entry)
                    if entry.is_draining:
                        break
                    lasted = anyio.current_time() - began
                    in_a_row = 1 if lasted > self._limits.steady_seconds else in_a_row + 1
                    if not _is_failure(error) and in_a_row > self._limits.restarts_max:
                        self._give_up(entry)
                        return
                    await self._back_off(entry, in_a_row)
            entry.state = "stopped"
        finally:
            entry.ended.set()

    async def _run(self, entry: _Entry) -> BaseException | None:
        """One life of a part; returns what it died of."""
        signals = entry.signals = Signals(entry, self._crashed)
        try:
            await entry.part.run(signals)
        except Exception as error:  # noqa: BLE001  # shown, whatever it is
            entry.reason = told(error)
            if not _is_failure(error):
                self._crashed(entry.part.name, error)
            return error
        entry.reason = "it ended by itself"
        return None

    async def _back_off(self, entry: _Entry, in_a_row: int) -> None:
        entry.state = "restarting"
        entry.restarts += 1
        limits = self._limits
        grown = limits.backoff_seconds_min * 2 ** min(in_a_row - 1, 16)
        seconds = min(limits.backoff_seconds_max, grown)
        with anyio.move_on_after(seconds):
            await entry.drained.wait()

    def _give_up(self, entry: _Entry) -> None:
        entry.state = "failed"
        self._reason = self._reason or f"{entry.part.name}: {entry.reason}"
        entry.is_ready.set()
        self._given_up.set()


@asynccontextmanager
async def open_supervisor(limits: SupervisorLimits | None = None) -> AsyncIterator[Supervisor]:
    """A supervisor; at the end of the block all parts are drained and stopped.

    What the block raises leaves it as it is, not in a group.
    """
    raised: Exception | None = None
    async with anyio.create_task_group() as tasks:
        supervisor = Supervisor(tasks, limits or SupervisorLimits())
        try:
            yield supervisor
        except Exception as error:  # noqa: BLE001  # raised again behind the task group
            raised = error
        finally:
            with anyio.CancelScope(shield=True):
                await supervisor.stop()
            tasks.cancel_scope.cancel()
    if raised is not None:
        raise raised


def told(error: BaseException) -> str:
    """What happened, in one line: the first cause where there are several."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, HeadwaterError):
        return error.in_one_line
    return f"{type(error).__name__}: {error}"


def _is_failure(error: BaseException | None) -> bool:
    """Whether the world is to blame, in every part of it."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_failure(one) for one in error.exceptions)
    return isinstance(error, Failure)
