"""The newest events of a store, kept in memory for those who follow it."""

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence
from operator import attrgetter
from uuid import UUID

import anyio

from commands.ports import EventLog
from domain.ids import Position
from domain.record import Recorded
from projections.ports import EventFeed

tail_events_max = 2_048
"""Events kept; whoever is further behind reads the store."""

tail_bytes_max = 4 * 1024 * 1024
"""The same in bytes of their states."""

_position = attrgetter("position")


class Tail:
    """What this process has appended last, without a gap."""

    def __init__(self, start: Position) -> None:
        """`start` is the newest position of the store."""
        self._start = start
        """Nothing is missing behind this position."""
        self._records: list[Recorded] = []
        self._bytes = 0
        self._grown_first = anyio.Event()
        self._grown = anyio.Event()

    @property
    def end(self) -> Position:
        """The newest position known here."""
        return self._records[-1].position if self._records else self._start

    def extend(self, records: Sequence[Recorded]) -> None:
        """Events just stored. Where others have stored some in between, a new tail begins."""
        if records[0].position == self.end + 1:
            self._records += records
            self._bytes += sum(len(record.state) for record in records)
            self._trim()
        else:
            self._forget(len(self._records), records[-1].position)
        self._grown_first.set()
        self._grown_first = anyio.Event()
        self._grown.set()
        self._grown = anyio.Event()

    def reaches(self, after: Position) -> bool:
        """Whether there are events behind `after`, and no others before them."""
        return self._start <= after < self.end

    def behind(self, after: Position, limit: int) -> Sequence[Recorded]:
        """Events behind `after`, or behind the tail's start where that is later."""
        first = bisect_right(self._records, after, key=_position)
        return self._records[first : first + limit]

    async def wait(self, after: Position, seconds: float, *, first: bool = False) -> None:
        """Return when there is something behind `after`, or after `seconds`; `first` before all who
        do not say so."""
        if self.end <= after:
            with anyio.move_on_after(seconds):
                while self.end <= after:
                    await (self._grown_first if first else self._grown).wait()

    def _trim(self) -> None:
        # Half of it at once, so that not every event moves all others.
        while len(self._records) > tail_events_max or self._bytes > tail_bytes_max:
            half = (len(self._records) + 1) // 2
            self._forget(half, self._records[half - 1].position)

    def _forget(self, count: int, start: Position) -> None:
        self._bytes -= sum(len(record.state) for record in self._records[:count])
        del self._records[:count]
        self._start = start


class TailFeed(EventFeed):
    """Events as soon as this process has stored them; those of others are read from the store."""

    def __init__(self, tail: Tail) -> None:
        self._tail = tail
        self._position = tail.end

    async def next(self, limit: int, seconds: float) -> Sequence[Recorded]:
        """As promised by the port."""
        await self._tail.wait(self._position, seconds)
        found = self._tail.behind(self._position, limit)
        self._position = found[-1].position if found else self._tail.end
        return found


class FollowedLog(EventLog):
    """A log whose newest events come from memory, where this process has appended them. What others
    have stored behind them is found when a wait has told of it."""

    def __init__(
        self, log: EventLog, tail: Tail, wait: Callable[[Position, float], Awaitable[Position]]
    ) -> None:
        """`wait` waits for what is not in the tail yet, and returns the head of the log."""
        self._log = log
        self._tail = tail
        self._wait = wait
        self._head = tail.end
        """Of the log, when it was looked at last."""

    @property
    def store_id(self) -> UUID:
        """The store's."""
        return self._log.store_id

    async def read(self, after: Position, limit: int) -> Sequence[Recorded]:
        """As promised by the port."""
        if self._tail.reaches(after):
            return self._tail.behind(after, limit)
        if after >= max(self._tail.end, self._head):
            return ()
        return await self._log.read(after, limit)

    async def head(self) -> Position:
        """As promised by the port."""
        return await self._log.head()

    async def event_id_at(self, position: Position) -> UUID | None:
        """As promised by the port."""
        return await self._log.event_id_at(position)

    async def wait(self, after: Position, seconds: float) -> Position:
        """As promised by the port."""
        if self._tail.end <= after:
            self._head = await self._wait(after, seconds)
        return max(self._tail.end, self._head)
