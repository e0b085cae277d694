"""The events stream in memory: a window with sequences, known message ids, and live feeds."""

from collections import deque
from collections.abc import Sequence

import anyio
from anyio.lowlevel import checkpoint
from msgspec import Struct

from adapters.memory.faults import Faults
from commands.ports import Carried, EventPublisher
from domain.errors import Conflict, Unavailable
from domain.record import Recorded
from projections.ports import EventFeed

window_messages_max = 100_000
"""Messages kept, and message ids known."""


class _Message(Struct, frozen=True):
    sequence: int
    epoch: str
    event: Recorded | None
    """None for a message of others."""


class MemoryWindow:
    """What the faces below share."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._messages: deque[_Message] = deque(maxlen=window_messages_max)
        self._sequence = 0
        self._known: dict[str, None] = {}
        self._feeds: list[MemoryFeed] = []

    def wipe(self) -> None:
        """Lose messages, sequences and message ids."""
        self._messages.clear()
        self._sequence = 0
        self._known.clear()

    def lose_last(self, messages: int) -> None:
        """Lose the newest messages: their sequences are given again."""
        for _ in range(min(messages, len(self._messages))):
            lost = self._messages.pop()
            self._sequence = lost.sequence - 1
            if lost.event is not None:
                self._known.pop(f"{lost.epoch}:{lost.event.position}", None)

    def put_foreign(self) -> None:
        """Somebody else publishes something that is no event."""
        self._sequence += 1
        self._messages.append(_Message(self._sequence, "", None))

    def put(self, event: Recorded, epoch: str, sequence: int) -> None:
        """Raises `Conflict` where the window is not at `sequence`, `Unavailable`."""
        fate = self.faults.publishing()
        if fate == "refused":
            raise Unavailable("the bus does not answer")
        message_id = f"{epoch}:{event.position}"
        if sequence != self._sequence or message_id in self._known:
            raise Conflict("events", sequence)
        self._sequence += 1
        self._messages.append(_Message(self._sequence, epoch, event))
        self._known[message_id] = None
        if len(self._known) > window_messages_max:
            del self._known[next(iter(self._known))]
        for feed in self._feeds:
            feed.offer(event)
        if fate == "forgotten":
            self.lose_last(1)
        elif fate == "unanswered":
            raise Unavailable("the bus does not answer")

    def tail(self) -> tuple[int, Carried | None]:
        """The last sequence and the newest event."""
        for message in reversed(self._messages):
            if message.event is not None:
                event = message.event
                found = Carried(message.sequence, event.position, event.event_id, message.epoch)
                return self._sequence, found
        return self._sequence, None

    def purge(self) -> int:
        """Empty the window; message ids stay known and sequences go on, as on JetStream."""
        self._messages.clear()
        return self._sequence

    def add(self, feed: "MemoryFeed") -> None:
        """Let it hear everything from now on."""
        self._feeds.append(feed)

    def remove(self, feed: "MemoryFeed") -> None:
        """It hears nothing any more."""
        if feed in self._feeds:
            self._feeds.remove(feed)


class MemoryPublisher(EventPublisher):
    """A sending end of the window."""

    def __init__(self, window: MemoryWindow) -> None:
        self._window = window

    async def tail(self) -> tuple[int, Carried | None]:
        """As promised by the port."""
        await checkpoint()
        return self._window.tail()

    async def publish(self, events: Sequence[Recorded], epoch: str, sequence: int) -> int:
        """As promised by the port."""
        for event in events:
            await checkpoint()
            self._window.put(event, epoch, sequence)
            sequence += 1
        return sequence

    async def purge(self) -> int:
        """As promised by the port."""
        await checkpoint()
        return self._window.purge()


class MemoryFeed(EventFeed):
    """Events since it was added to the window."""

    def __init__(self, window: MemoryWindow) -> None:
        self._window = window
        self._waiting: deque[Recorded] = deque(maxlen=window_messages_max)
        self._late: list[Recorded] = []
        self._arrived = anyio.Event()

    def offer(self, event: Recorded) -> None:
        """Deliver an event, or do to it what the faults say."""
        fate = self._window.faults.delivering()
        if fate == "late":
            self._late.append(event)
            return
        if fate != "never":
            self._waiting.extend((event, event) if fate == "twice" else (event,))
        self._waiting.extend(self._late)
        self._late.clear()
        if not self._window.faults.is_wakeup_lost():
            self._arrived.set()

    async def next(self, limit: int, seconds: float) -> Sequence[Recorded]:
        """As promised by the port."""
        await checkpoint()
        if not self._waiting:
            self._arrived = anyio.Event()
            with anyio.move_on_after(seconds):
                await self._arrived.wait()
        return [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]

    def close(self) -> None:
        """Hear nothing any more. Twice is fine."""
        self._window.remove(self)
