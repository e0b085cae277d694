"""A log in memory, a feed under a test's hand, and workers over them."""

from collections.abc import Sequence
from uuid import UUID

from adapters.readmodels.progress import ViewProgress
from domain.ids import Position
from domain.record import Recorded
from projections.ports import EventFeed, EventLog, ReadModels
from projections.projection import Projection
from projections.stretch import Stretch, stretch_of
from projections.worker import ProjectionPorts, ProjectionWorker

STORE = UUID(int=1)


class ListLog(EventLog):
    """A log over a list that a test may change behind its back."""

    def __init__(self, records: Sequence[Recorded], store_id: UUID = STORE) -> None:
        self.records = list(records)
        self._store_id = store_id

    @property
    def store_id(self) -> UUID:
        return self._store_id

    async def read(self, after: Position, limit: int) -> Sequence[Recorded]:
        if not self.records or self.records[-1].position <= after:
            return ()
        first = min(after, len(self.records))
        while first > 0 and self.records[first - 1].position > after:
            first -= 1
        return self.records[first : first + limit]

    async def stretch(self, after: Position, limit: int) -> Stretch:
        return stretch_of(await self.read(after, limit))

    async def head(self) -> Position:
        return self.records[-1].position if self.records else 0

    async def event_id_at(self, position: Position) -> UUID | None:
        return next((r.event_id for r in self.records if r.position == position), None)


class HandFeed(EventFeed):
    """Gives out what a test puts in, and then nothing."""

    def __init__(self) -> None:
        self.waiting: list[Recorded] = []

    async def next(self, limit: int, seconds: float) -> Sequence[Recorded]:
        given, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return given


class HandTicker:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


class Stage:
    """One worker with everything around it."""

    def __init__(self, projection: Projection, log: ListLog, models: ReadModels) -> None:
        self.projection = projection
        self.log = log
        self.models = models
        self.feed = HandFeed()
        self.ticker = HandTicker()
        self.progress = ViewProgress()
        self.applied: list[Position] = []
        self.worker = self.another()

    def another(self) -> ProjectionWorker:
        """A further worker on the same view."""
        ports = ProjectionPorts(
            log=self.log,
            feed=self.feed,
            read_models=self.models,
            progress=self.progress,
            ticker=self.ticker,
        )
        return ProjectionWorker(
            self.projection,
            ports,
            lambda stretch: self.applied.extend(stretch.positions),
        )

    def carry(self, *records: Recorded) -> None:
        """Put messages into the feed."""
        self.feed.waiting.extend(records)
