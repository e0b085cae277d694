"""The work queue in memory: one entry per attempt of a step, with the moment it is free again."""

from collections.abc import Sequence
from uuid import UUID

import anyio
from anyio.lowlevel import checkpoint
from msgspec import Struct

from adapters.memory.faults import Faults
from commands.ports import Clock, Task, TaskDelivery, TaskQueue, TaskSource
from domain.errors import Unavailable

ack_seconds = 10.0
"""A task that nobody has kept alive for so long goes to another worker."""

late_seconds = 1.0
"""How long a late delivery lets wait."""

_BLINK_SECONDS = 0.001


class _Entry(Struct):
    task: Task
    free_at: float
    """When it may be handed out, on the clock's `monotonic`."""


_Key = tuple[str, UUID, str, int]


class MemoryQueue:
    """What the faces below share."""

    def __init__(self, clock: Clock, faults: Faults, ack_seconds: float) -> None:
        self._faults = faults
        self._entries: dict[_Key, _Entry] = {}
        self._came = anyio.Event()
        self.clock = clock
        self.ack_seconds = ack_seconds

    def put(self, task: Task) -> bool:
        """True if it was added. Raises `Unavailable`."""
        fate = self._faults.publishing()
        if fate == "refused":
            raise Unavailable("the bus does not answer")
        is_new = _key(task) not in self._entries
        if is_new and fate != "forgotten":
            self._entries[_key(task)] = _Entry(task, self.clock.monotonic())
            self._wake()
        if fate == "unanswered":
            raise Unavailable("the bus does not answer")
        return is_new

    def take(self, limit: int) -> Sequence[Task]:
        """Hand out tasks that nobody is working on, the oldest first."""
        now, taken = self.clock.monotonic(), list[Task]()
        for entry in [one for one in self._entries.values() if one.free_at <= now]:
            if len(taken) == limit:
                break
            fate = self._faults.delivering()
            if fate == "late":
                entry.free_at = now + late_seconds
                continue
            if fate != "twice":
                entry.free_at = now + self.ack_seconds
            if fate != "never":
                taken.append(entry.task)
        return taken

    def hold(self, task: Task, seconds: float) -> None:
        """Let nobody else have it for so long; nothing where it has gone."""
        entry = self._entries.get(_key(task))
        if entry is not None:
            entry.free_at = self.clock.monotonic() + seconds
            self._wake()

    def remove(self, task: Task) -> None:
        """It is done; nothing where it has gone."""
        self._entries.pop(_key(task), None)

    def clear(self) -> None:
        """Lose all tasks."""
        self._entries.clear()

    async def wait(self, seconds: float) -> None:
        """Return when a task may be free, or after `seconds`."""
        now = self.clock.monotonic()
        free = min((one.free_at - now for one in self._entries.values()), default=seconds)
        with anyio.move_on_after(max(_BLINK_SECONDS, min(seconds, free))):
            await self._came.wait()

    def _wake(self) -> None:
        if not self._faults.is_wakeup_lost():
            self._came.set()
            self._came = anyio.Event()


class MemoryTaskQueue(TaskQueue):
    """Where tasks are put."""

    def __init__(self, queue: MemoryQueue) -> None:
        self._queue = queue

    async def ensure(self, task: Task) -> bool:
        """As promised by the port. Raises `Unavailable`."""
        await checkpoint()
        return self._queue.put(task)

    async def purge(self) -> None:
        """Empty the queue."""
        await checkpoint()
        self._queue.clear()


class MemoryDelivery(TaskDelivery):
    """One delivery of a task."""

    def __init__(self, queue: MemoryQueue, task: Task) -> None:
        self._queue = queue
        self._task = task

    @property
    def task(self) -> Task:
        """What is to be done."""
        return self._task

    async def keep_alive(self) -> None:
        """As promised by the port."""
        await checkpoint()
        self._queue.hold(self._task, self._queue.ack_seconds)

    async def finish(self) -> None:
        """As promised by the port."""
        await checkpoint()
        self._queue.remove(self._task)

    async def give_back(self, seconds: float) -> None:
        """As promised by the port."""
        await checkpoint()
        self._queue.hold(self._task, seconds)


class MemoryTaskSource(TaskSource):
    """Where a worker gets tasks."""

    def __init__(self, queue: MemoryQueue) -> None:
        self._queue = queue

    async def next(self, limit: int, seconds: float) -> Sequence[TaskDelivery]:
        """As promised by the port."""
        await checkpoint()
        end = self._queue.clock.monotonic() + seconds
        while True:
            taken = self._queue.take(limit)
            left = end - self._queue.clock.monotonic()
            if taken or left <= 0:
                return [MemoryDelivery(self._queue, task) for task in taken]
            await self._queue.wait(left)


def _key(task: Task) -> _Key:
    return task.engine, task.run, task.step, task.attempt
