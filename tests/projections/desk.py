"""Queries over a history with runs in every state, for the tests of each view."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from adapters.memory.eventstore import MemoryEventStore
from adapters.readmodels.progress import ViewProgress
from domain.record import Recorded, from_record
from projections.lineage import LINEAGE
from projections.monitoring import MONITORING
from projections.quality import QUALITY
from projections.queries import Queries
from projections.questions import Document
from tests.contracts.read_models import Models, open_read_models
from tests.projections.histories import all_kinds
from tests.projections.support import ListLog, Stage

EVENTS = all_kinds().records
HEAD = len(EVENTS)


class Desk:
    """Queries over a history, and what a test may move underneath."""

    def __init__(
        self, queries: Queries, log: ListLog, models: Models, progress: ViewProgress
    ) -> None:
        self.queries = queries
        self.log = log
        self.models = models
        self.progress = progress

    async def ask(self, name: str, **arguments: Any) -> Document:
        """An answer that has gone through JSON, as every caller sees it."""
        answer = await self.queries.answer(name, arguments)
        decoded: Document = msgspec.json.decode(msgspec.json.encode(answer))
        return decoded

    async def all(self, name: str, limit: int, **arguments: Any) -> list[Document]:
        """All items of a list, page by page."""
        items: list[Document] = []
        cursor = None
        while True:
            page = await self.ask(name, limit=limit, cursor=cursor, **arguments)
            assert len(page["items"]) <= limit
            items += page["items"]
            cursor = page["next"]
            if cursor is None:
                return items


async def store_of(records: list[Recorded]) -> MemoryEventStore:
    store = MemoryEventStore()
    for record in records:
        await store.append(record.stream, record.version - 1, [from_record(record)])
    return store


def runs_of(status: str) -> list[str]:
    """Runs by the fact that ended them."""
    tag = f"run.{status}.v1"
    return [str(record.stream.id) for record in EVENTS if record.tag == tag]


@asynccontextmanager
async def open_desk(folder: Path) -> AsyncIterator[Desk]:
    """A desk whose views have seen all of the history."""
    async with open_read_models("memory", folder) as models:
        log = ListLog(EVENTS)
        progress = ViewProgress()
        for view in (MONITORING, LINEAGE, QUALITY):
            await Stage(view, log, models).worker.start()
        progress.reached(HEAD)
        told = dict.fromkeys(("monitoring", "lineage", "quality"), progress)
        yield Desk(Queries(models, log, await store_of(EVENTS), told), log, models, progress)
