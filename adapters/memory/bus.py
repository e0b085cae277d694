"""A bus in memory, under the same contracts as the one on JetStream, with faults on request.

It keeps what JetStream keeps: a window of messages with sequences and known message ids, and a
queue of tasks with deadlines. What can go wrong there goes wrong here when a `Faults` says so.
"""

from adapters.memory.faults import Faults, NoFaults
from adapters.memory.queue import MemoryQueue, MemoryTaskQueue, MemoryTaskSource, ack_seconds
from adapters.memory.window import MemoryFeed, MemoryPublisher, MemoryWindow
from commands.ports import Clock


class MemoryBus:
    """One bus; its faces are made by the methods named after the ports."""

    def __init__(
        self, clock: Clock, faults: Faults | None = None, ack_seconds: float = ack_seconds
    ) -> None:
        faults = faults or NoFaults()
        self._window = MemoryWindow(faults)
        self._queue = MemoryQueue(clock, faults, ack_seconds)

    def publisher(self) -> MemoryPublisher:
        """A sending end; several fence each other."""
        return MemoryPublisher(self._window)

    def feed(self) -> MemoryFeed:
        """A feed that hears everything from now on, until it is closed."""
        feed = MemoryFeed(self._window)
        self._window.add(feed)
        return feed

    def queue(self) -> MemoryTaskQueue:
        """Where tasks are put."""
        return MemoryTaskQueue(self._queue)

    def source(self) -> MemoryTaskSource:
        """Where a worker gets tasks."""
        return MemoryTaskSource(self._queue)

    def wipe(self) -> None:
        """Lose everything: messages, sequences, message ids, tasks."""
        self._window.wipe()
        self._queue.clear()

    def lose_last(self, messages: int) -> None:
        """Lose the newest messages, as after a power cut: their sequences are given again."""
        self._window.lose_last(messages)

    def put_foreign(self) -> None:
        """Somebody else publishes something that is no event."""
        self._window.put_foreign()
