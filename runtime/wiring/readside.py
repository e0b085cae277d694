"""The views of one store: tables, the workers that keep them going, and the answers."""

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from adapters.clock import SystemClock
from adapters.readmodels.progress import ViewProgress
from domain.errors import NotFound
from projections.dispatch import DISPATCH
from projections.lineage import LINEAGE
from projections.monitoring import MONITORING
from projections.ports import EventFeed, EventLog, ReadModels
from projections.projection import Projection
from projections.quality import QUALITY
from projections.queries import Queries
from projections.replay import replay, verify
from projections.worker import Applied, ProjectionPorts, ProjectionWorker
from runtime.session import Document
from runtime.wiring.storage import StoredEvents

PROJECTIONS: Sequence[Projection] = (DISPATCH, MONITORING, LINEAGE, QUALITY)
"""Every view there is; first the one that work waits for."""


class ReadSide(Struct, frozen=True, kw_only=True):
    """All views of one store, served."""

    log: EventLog
    read_models: ReadModels
    workers: Sequence[ProjectionWorker]
    queries: Queries

    async def start(self) -> None:
        """Catch every view up with the store, from nothing where it does not fit."""
        for worker in self.workers:
            await worker.start()

    async def verify(self, *, repair: bool) -> Document:
        """Hold every view against a fresh fold of the store."""
        report = await verify(self.log, self.read_models, PROJECTIONS, repair=repair)
        document: Document = msgspec.to_builtins(report)
        return document

    async def replay(self, view: str) -> Document:
        """Rebuild one view beside the live one, tell the differences, and swap."""
        for projection in PROJECTIONS:
            if projection.name == view:
                report = await replay(self.log, self.read_models, projection)
                document: Document = msgspec.to_builtins(report)
                return document
        names = ", ".join(projection.name for projection in PROJECTIONS)
        raise NotFound(f"no view is called {view!r}", hint=f"the views are {names}")


def read_side(
    store: StoredEvents,
    read_models: ReadModels,
    feeds: Callable[[str], EventFeed],
    on_applied: dict[str, Applied],
    projections: Sequence[Projection] = PROJECTIONS,
) -> ReadSide:
    """Put together; `feeds` gives each view its feed by the view's name, and `projections` are
    those that are kept going here."""
    ticker = SystemClock()
    progress = {projection.name: ViewProgress() for projection in projections}
    workers = [
        ProjectionWorker(
            projection,
            ProjectionPorts(
                log=store,
                feed=feeds(projection.name),
                read_models=read_models,
                progress=progress[projection.name],
                ticker=ticker,
            ),
            *([on_applied[projection.name]] if projection.name in on_applied else []),
        )
        for projection in projections
    ]
    by_name = {worker.name: worker for worker in workers}

    def halted(view: str) -> str | None:
        worker = by_name.get(view)
        return worker.halted if worker else None

    queries = Queries(read_models, store, store, progress, halted)
    return ReadSide(log=store, read_models=read_models, workers=workers, queries=queries)
