"""The worker that keeps one view going."""

import logging
from collections.abc import Callable, Sequence

from msgspec import Struct

from domain.errors import Conflict, HeadwaterError, Malformed, TimedOut, Unavailable
from domain.ids import Position
from domain.record import Recorded
from projections.limits import backstop_seconds, feed_events_max, log_events_max
from projections.ports import Checkpoint, EventFeed, EventLog, Progress, ReadModels, Ticker
from projections.projection import Fold, Projection, beginning
from projections.stretch import Stretch, part_of, stretch_of, up_to

_log = logging.getLogger(__name__)


class ProjectionPorts(Struct, frozen=True, kw_only=True):
    """What a projection worker works with."""

    log: EventLog
    feed: EventFeed
    read_models: ReadModels
    progress: Progress
    ticker: Ticker


Applied = Callable[[Stretch], None]
"""Told the events of each batch once they are committed."""


def _nothing(stretch: Stretch) -> None:
    """Nobody wants to be told."""


class ProjectionWorker:
    """Keeps one view going: catches up from the log, then follows the feed.

    It trusts the log and uses the feed for speed. Whatever it cannot apply makes it halt with a
    reason, at the last event before; it never skips.
    """

    def __init__(
        self, projection: Projection, ports: ProjectionPorts, on_applied: Applied = _nothing
    ) -> None:
        """`on_applied` is told what is caught up or live, by whom ever, never what is rebuilt."""
        self._projection = projection
        self._ports = ports
        self._on_applied = on_applied
        self._checkpoint = beginning(ports.log)
        self._halted: str | None = None
        self._serving = False
        self._looked = ports.ticker.monotonic()

    @property
    def name(self) -> str:
        """The view's name."""
        return self._projection.name

    @property
    def position(self) -> Position:
        """The last event that was applied."""
        return self._checkpoint.position

    @property
    def halted(self) -> str | None:
        """Why the view cannot go on, or None."""
        return self._halted

    async def start(self) -> None:
        """Catch up to the head of the log, from nothing where the view does not fit the store.

        Starting again is the way out of a halt whose reason was mended.
        """
        self._halted, self._serving = None, False
        while (applied := await self._take_up()) is None:
            pass  # somebody else makes it: see what has become of it
        await self._read_log(applied)
        self._serving = True
        self._ports.progress.reached(self.position)

    async def _take_up(self) -> Applied | None:
        """Find the view's place, or make the view anew; returns who is told of what comes next.
        None where somebody else was quicker."""
        ports, projection = self._ports, self._projection
        known = await ports.read_models.checkpoint(projection.name, projection.version)
        if known is not None and await _fits(known, ports.log):
            self._checkpoint = known
            return self._on_applied
        if known is not None and known.store_id == ports.log.store_id:
            self._warn(known.position, await ports.log.head())
        empty = beginning(ports.log)
        try:
            await ports.read_models.create(
                projection.name, projection.version, projection.tables, known
            )
            await ports.read_models.apply_once(self.name, None, (), empty)
        except Conflict:
            return None
        self._checkpoint = empty
        return _nothing

    def _warn(self, position: Position, head: Position) -> None:
        _log.warning(
            "the event store does not hold what view %s has seen: the view is at position %d, the "
            "store ends at %d. Either an older copy was put in its place, or its newest events are "
            "lost. The view is made anew from what is there.",
            self.name,
            position,
            head,
        )

    async def step(self, seconds: float) -> int:
        """Wait up to `seconds` for live events and apply them; returns how many were applied.

        Raises `Unavailable` and `StorageFull` from the ports; the next step goes on from there.
        """
        records = await self._ports.feed.next(feed_events_max, min(seconds, backstop_seconds))
        if self._halted is not None:
            return 0
        before = self._checkpoint.events
        joined, is_whole = _join(self.position, records)
        if joined and await self._apply(stretch_of(joined), self._on_applied) is not None:
            is_whole = False  # what the store says of it counts: anybody may write to a bus
        now = self._ports.ticker.monotonic()
        if not is_whole or now - self._looked >= backstop_seconds:
            self._looked = now
            await self.catch_up()
        return self._checkpoint.events - before

    async def catch_up(self) -> None:
        """Apply what the log has behind the view. To be called after a reconnect, too."""
        if self._halted is None and await self._ports.log.head() > self.position:
            await self._read_log(self._on_applied)

    async def wait_for(self, position: Position, seconds: float) -> None:
        """Return when the view has applied `position`. Raises `TimedOut`, and `Unavailable`
        where the view is halted before it."""
        if not self._halted and await self._ports.progress.wait(position, seconds):
            return
        if self._halted:
            raise Unavailable(f"view {self.name} is halted {self._halted}")
        raise TimedOut(f"view {self.name} has not reached position {position} in {seconds:g} s")

    async def _read_log(self, on_applied: Applied) -> None:
        limit = log_events_max
        while self._halted is None:
            try:
                stretch = await self._ports.log.stretch(self.position, limit)
            except Malformed as error:
                # Nearer and nearer to the event that cannot be read, applying all before it.
                if limit == 1:
                    self._halt(error)
                limit = max(limit // 2, 1)
                continue
            if not stretch:
                return
            problem = await self._apply(stretch, on_applied)
            if problem is not None:
                self._halt(problem)

    async def _apply(self, stretch: Stretch, on_applied: Applied) -> HeadwaterError | None:
        """Apply what can be applied; returns why the next event cannot be."""
        fold = Fold(self._projection, self._checkpoint)
        problem = fold.add(stretch)
        count = fold.checkpoint.events - self._checkpoint.events
        if count:
            try:
                await self._ports.read_models.apply_once(
                    self.name, self._checkpoint, fold.drain(), fold.checkpoint
                )
            except Conflict:
                await self._overtaken()
                on_applied(up_to(stretch, self.position))
                return None
            self._checkpoint = fold.checkpoint
            self._announce()
            on_applied(part_of(stretch, count))
        return problem

    def _halt(self, problem: HeadwaterError) -> None:
        self._halted = f"after position {self.position}: {problem.in_one_line}"

    async def _overtaken(self) -> None:
        """Somebody else has applied or replaced the view: go on from where it is now."""
        projection, before = self._projection, self._checkpoint
        known = await self._ports.read_models.checkpoint(projection.name, projection.version)
        if known is None or known == before:
            self._halted = f"after position {self.position}: the view's tables were taken away"
            return
        self._checkpoint = known
        self._announce()

    def _announce(self) -> None:
        if self._serving:
            self._ports.progress.reached(self.position)


async def _fits(checkpoint: Checkpoint, log: EventLog) -> bool:
    if checkpoint.store_id != log.store_id:
        return False
    if checkpoint.position == 0:
        return True
    return await log.event_id_at(checkpoint.position) == checkpoint.event_id


def _join(position: Position, records: Sequence[Recorded]) -> tuple[list[Recorded], bool]:
    """The messages that follow `position` without a gap, and whether no gap came after them."""
    joined: list[Recorded] = []
    for record in records:
        if record.position <= position:
            continue
        if record.previous != position:
            return joined, False
        joined.append(record)
        position = record.position
    return joined, True
