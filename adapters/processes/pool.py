"""A pool of warm children that carry out steps and bind definitions."""

import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
from anyio import to_thread
from anyio.abc import TaskGroup

from adapters import telemetry
from adapters.processes.assignment import PoolAssignment
from adapters.processes.child import Child, spawn
from adapters.processes.guard import Guard, Watch
from adapters.processes.leftovers import discard, discard_abandoned
from adapters.processes.limits import LimitBook, Limits
from adapters.processes.messages import (
    BindReply,
    BindRequest,
    DefectReply,
    RefusedReply,
    Reply,
    Room,
    StepReply,
    StepRequest,
    defect,
)
from adapters.processes.output import rescue
from adapters.processes.places import log_name, output_of
from commands.ports import Binder, Bound
from commands.steps.ahead import attempts_of, steps_of
from commands.steps.work import Assignment, ChildLost, StepRunner, StepWork
from domain.errors import Rejection, TimedOut, Unavailable
from domain.pipeline.events import Definition
from domain.run.commands import Failed
from domain.run.events import StepError

_bind_attempts_max = 2
_bind_seconds_max = 60.0
_sweep_seconds = 5.0


def _nothing(_pid: int) -> None:
    pass


class PoolOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a pool's children are started, and what they may take."""

    data: Path
    """The data directory; children find datasets, keys, bundles and logs in it."""
    datasets: str = ""
    """The bucket, `s3://…`, that the data directory is a cache of; empty: it keeps them itself."""
    roots: tuple[str, ...] = ()
    """Folders besides a pipeline's own that its paths may lead to."""
    timezone: str = "UTC"
    size: int = 2
    """Children that work at the same time."""
    spare: bool = False
    """Whether a child is started before it is needed: one with the pool, and another one whenever
    the last one that had nothing to do gets work."""
    threads: int = 0
    """Engine threads of each child; 0: one per processor."""
    seconds: float = 3600.0
    """Longest time of a step that says nothing else."""
    memory_bytes: int = 2 * 2**30
    """Most memory of a step that says nothing else."""
    idle_seconds_max: float = 300.0
    age_seconds_max: float = 3600.0
    retire_bytes: int = 512 * 2**20
    """A child that holds on to more than this after a step is replaced."""
    kept_per_place: int = 2
    """Children that are alive for each that works: pipelines that take turns need not each have
    their Python loaded anew."""
    pass_fds: tuple[int, ...] = ()
    """Descriptors that every child inherits, such as the data directory's lock."""
    command: tuple[str, ...] = (sys.executable, "-m", "runtime.child")
    on_born: Callable[[int], None] = _nothing
    """Told each child's process id."""
    on_gone: Callable[[int], None] = _nothing

    @property
    def kept_max(self) -> int:
        """Children alive at once, working or not."""
        return self.size * self.kept_per_place


class ChildPool(StepRunner, Binder):
    """Hands work to children, starts them as needed and kills what goes beyond its limits."""

    def __init__(self, options: PoolOptions, tasks: TaskGroup) -> None:
        self._options = options
        self._tasks = tasks
        self._slots = anyio.Semaphore(options.size)
        self._binding = anyio.Semaphore(1)
        self._limits = LimitBook(options.seconds, options.memory_bytes)
        self._watch = Watch()
        self._idle: list[Child] = []
        self._children: set[Child] = set()
        self._starting = anyio.Lock()

    @staticmethod
    @asynccontextmanager
    async def open(options: PoolOptions) -> AsyncIterator["ChildPool"]:
        """A pool for the time of the block; at its end no child is left."""
        await to_thread.run_sync(discard_abandoned, options.data)
        try:
            async with anyio.create_task_group() as tasks:
                pool = ChildPool(options, tasks)
                tasks.start_soon(pool._sweep)
                tasks.start_soon(pool._watch.run)
                pool._look_ahead()
                try:
                    yield pool
                finally:
                    tasks.cancel_scope.cancel()
                    await pool._close()
        except BaseExceptionGroup as group:
            if len(group.exceptions) == 1:
                # What the block raised is raised as it was: the tasks are none of its business.
                raise group.exceptions[0] from None
            raise

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the children that are alive."""
        return tuple(child.pid for child in self._children)

    def begin(self, work: StepWork, definition: Definition, ahead_seconds: float) -> Assignment:
        given = PoolAssignment(work, ahead_seconds)
        self._tasks.start_soon(self._serve, given, definition)
        return given

    async def _serve(self, given: PoolAssignment, definition: Definition) -> None:
        try:
            with given.scope:
                await self._carry_out(given, definition)
        except Exception as error:  # noqa: BLE001  # it is for the assignment's owner to hear
            given.fail(error)
        finally:
            given.end()

    async def bind(
        self, spec: Mapping[str, Any], files: Mapping[str, str], root: str
    ) -> tuple[str, Bound]:
        request = BindRequest(
            spec=msgspec.Raw(msgspec.json.encode(spec)), files=dict(files), root=root
        )
        async with self._binding:
            for _ in range(_bind_attempts_max):
                try:
                    return _bound(await self._ask_once(request))
                except ChildLost:
                    continue
        raise Unavailable("the process that checks definitions died", hint="try again")

    async def _ask_once(self, request: BindRequest) -> Reply:
        child = await self._take(None)
        self._look_ahead()
        reply: Reply | None = None
        try:
            with anyio.fail_after(_bind_seconds_max):
                await child.ask(request)
                reply = await child.answer()
        except TimeoutError:
            raise TimedOut("checking the definition takes too long") from None
        finally:
            await self._return(child, reply)
        return reply

    async def _carry_out(self, given: PoolAssignment, definition: Definition) -> None:
        attempts = attempts_of(given.work)
        limits = [self._limits.of(definition, one.step) for one in attempts]
        bundle = definition.bundle if any(one.is_python for one in limits) else None
        async with self._slots:
            child = await self._take(bundle)
            self._look_ahead()
            reply: Reply | None = None
            try:
                child.bundle = bundle or child.bundle
                request = StepRequest(
                    work=given.work,
                    ahead_seconds=given.ahead_seconds,
                    definition=definition if child.learns(definition.bundle) else None,
                    rooms=tuple(map(self._room, attempts, limits)),
                )
                await child.ask(request)
                step = given.work.step
                while step:
                    place, reply = steps_of(given.work).index(step), None
                    answer = await self._answer(child, request.rooms[place], limits[place])
                    reply = None if isinstance(answer, Failed) else answer
                    step = given.take(answer)
            finally:
                await self._return(child, reply)

    def _room(self, attempt: StepWork, limits: Limits) -> Room:
        path = self._options.data / "logs" / log_name(attempt)
        return Room(memory_bytes=limits.memory_bytes, log=str(path))

    async def _answer(self, child: Child, room: Room, limits: Limits) -> Reply | Failed:
        """The child's next answer, or what the step has failed with that it had to be killed in."""
        path = Path(room.log)
        guard = Guard(child, limits.memory_bytes, path)
        reply: Reply | None = None
        lost: ChildLost | None = None
        with anyio.move_on_after(limits.seconds), self._watch.over(guard):
            try:
                reply = await child.answer()
            except ChildLost as error:
                lost = error
        if reply is None:
            child.kill()
            await to_thread.run_sync(rescue, output_of(self._options.data, child.pid), path)
        guard.finish()
        if reply is not None:
            return reply
        log = path.relative_to(self._options.data / "logs").as_posix()
        if guard.exceeded is not None:
            return _exceeded(guard.exceeded, limits, log)
        if lost is not None:
            raise lost
        return _timed_out(limits, log)

    async def _take(self, bundle: str | None) -> Child:
        """An idle child that may work for `bundle` (None: for anybody), or a new one."""
        if (found := self._fitting(bundle)) is not None:
            return found
        async with self._starting:
            if (found := self._fitting(bundle)) is not None:
                return found
            if len(self._children) >= self._options.kept_max and self._idle:
                # They are bound to other bundles: the one idle longest makes room.
                oldest = min(self._idle, key=lambda child: child.idle_since)
                self._idle.remove(oldest)
                await self._end(oldest)
            return await self._start()

    def _fitting(self, bundle: str | None) -> Child | None:
        fitting = [
            child
            for child in self._idle
            if not child.has_ended and (bundle is None or child.bundle in (bundle, None))
        ]
        if not fitting:
            return None
        best = min(fitting, key=lambda child: _preference(child, bundle))
        self._idle.remove(best)
        return best

    def _look_ahead(self) -> None:
        if self._options.spare and not self._idle and len(self._children) < self._options.size:
            self._tasks.start_soon(self._start_spare)

    async def _start_spare(self) -> None:
        # It may be given work before it has loaded everything: requests wait in its pipe.
        async with self._starting:
            if not self._idle and len(self._children) < self._options.size:
                self._idle.append(await self._start())

    async def _start(self) -> Child:
        options = self._options
        command = [
            *options.command,
            str(options.data),
            str(options.threads),
            options.timezone,
            options.datasets,
            *options.roots,
        ]
        try:
            with anyio.CancelScope(shield=True):
                child = await spawn(command, options.pass_fds, anyio.current_time())
        except OSError as error:
            raise Unavailable(f"no step process can be started: {error}") from error
        self._children.add(child)
        options.on_born(child.pid)
        return child

    async def _return(self, child: Child, reply: Reply | None) -> None:
        """Keep a child for the next step, or end it where it cannot go on."""
        now = anyio.current_time()
        if isinstance(reply, StepReply):
            child.resident_bytes = reply.resident_bytes
        is_fit = (
            reply is not None
            and not isinstance(reply, DefectReply)
            and now - child.born < self._options.age_seconds_max
            and child.resident_bytes < self._options.retire_bytes
        )
        if not is_fit or len(self._idle) >= self._options.kept_max:
            await self._end(child)
            return
        child.idle_since = now
        self._idle.append(child)

    async def _end(self, child: Child, seconds: float = 0.0) -> None:
        """Kill a child, after `seconds` that it has to go by itself, and clean up after it."""
        self._children.discard(child)
        with anyio.CancelScope(shield=True):
            await child.end(seconds)
            await to_thread.run_sync(discard, self._options.data, child.pid)
        self._options.on_gone(child.pid)

    async def _close(self) -> None:
        for child in list(self._children):
            await self._end(child, seconds=_farewell_seconds())

    async def _sweep(self) -> None:
        """End children that died by themselves or have had nothing to do for long."""
        while True:
            await anyio.sleep(_sweep_seconds)
            now = anyio.current_time()
            for child in list(self._idle):
                too_long = now - child.idle_since > self._options.idle_seconds_max
                if child in self._idle and (child.has_ended or too_long):
                    self._idle.remove(child)
                    await self._end(child)


def _preference(child: Child, bundle: str | None) -> tuple[bool, float]:
    # The same bundle first, then one that has loaded no Python; the latest used is the warmest.
    return (child.bundle != bundle, -child.idle_since)


def _farewell_seconds() -> float:
    """A child that records spans has some to send yet."""
    return 4.0 if telemetry.is_recording() else 0.0


def _bound(reply: Reply) -> tuple[str, Bound]:
    if isinstance(reply, BindReply):
        return reply.pipeline, reply.bound
    if isinstance(reply, RefusedReply):
        raise Rejection(reply.code, reply.message, reply.details)
    raise defect(reply)


def _exceeded(taken: int, limits: Limits, log: str) -> Failed:
    allowed = limits.memory_bytes // 2**20
    error = StepError(
        code="memory_exceeded",
        message=f"the step had {taken // 2**20} MiB of memory, {allowed} MiB are allowed",
        hint="give the step more `memory`, or work in batches",
    )
    return Failed(error=error, log=log)


def _timed_out(limits: Limits, log: str) -> Failed:
    error = StepError(
        code="timeout",
        message=f"the step was not done after {limits.seconds:g} s",
        hint="give the step a longer `timeout`",
        retryable=True,
    )
    return Failed(error=error, log=log)
