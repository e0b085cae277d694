"""Every question that the read side answers, by name.

A name is `<view>.<query>`. Each answer is a JSON object with the `position` that it reflects at
least; each question takes `min_position`, to read one's own write, and a `timeout` for it.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from domain.errors import NotFound, TimedOut, Unavailable
from domain.ids import Position
from projections import checks, datasets, graph, history, quarantine, runs
from projections.completeness import check
from projections.dispatch import DISPATCH
from projections.limits import wait_seconds_default
from projections.lineage import LINEAGE
from projections.monitoring import MONITORING
from projections.ports import EventLog, EventStreams, Progress, ReadModels
from projections.quality import QUALITY
from projections.questions import Document, Question, asked, did_you_mean
from projections.why import WhyQuestion, why

_VIEWS = (MONITORING, LINEAGE, QUALITY, DISPATCH)

Q = TypeVar("Q", bound=Question)


class Query(Struct, Generic[Q], frozen=True):
    """How one name is answered."""

    view: str
    """The view whose position the answer reflects."""
    question: type[Q]
    answer: Callable[[Q], Awaitable[Document]]


class Queries:
    """Answers questions by name."""

    def __init__(
        self,
        read_models: ReadModels,
        log: EventLog,
        streams: EventStreams,
        progress: Mapping[str, Progress],
        halted: Callable[[str], str | None] = lambda _view: None,
    ) -> None:
        """`progress` tells of each view that is kept going here how far it is; `halted` why a
        view cannot go on."""
        self._halted = halted
        self._models = read_models
        self._log = log
        self._progress = progress
        sources = history.Sources(log, streams, read_models)
        self._queries: dict[str, Query[Any]] = {  # each entry is typed where it is made
            "monitoring.pipelines": self._of("monitoring", runs.PipelinesQuestion, runs.pipelines),
            "monitoring.pipeline": self._of("monitoring", runs.PipelineQuestion, runs.pipeline),
            "monitoring.runs": self._of("monitoring", runs.RunsQuestion, runs.runs),
            "monitoring.run": self._of("monitoring", runs.RunQuestion, runs.run),
            "lineage.datasets": self._of("lineage", datasets.DatasetsQuestion, datasets.datasets),
            "lineage.dataset": self._of("lineage", datasets.DatasetQuestion, datasets.dataset),
            "lineage.graph": self._of("lineage", graph.GraphQuestion, graph.graph),
            "lineage.quarantines": self._of(
                "lineage", quarantine.QuarantinesQuestion, quarantine.quarantines
            ),
            "quality.checks": self._of("quality", checks.ChecksQuestion, checks.checks),
            "events.list": Query(
                "events",
                history.EventsQuestion,
                lambda question: history.events(sources, question),
            ),
            "events.why": Query("events", WhyQuestion, lambda asked: why(streams, asked)),
            "views.completeness": Query("events", Question, self._completeness),
        }

    @property
    def names(self) -> tuple[str, ...]:
        """All names that are answered."""
        return tuple(self._queries)

    async def answer(self, name: str, arguments: Mapping[str, Any]) -> Document:
        """The answer to a question.

        Raises `NotFound` for an unknown name or thing, `Malformed` with the path of an argument
        that cannot be read, `Rejection` where several things may be meant, `TimedOut` where
        `min_position` was not reached in time, `Unavailable`.
        """
        query = self._queries.get(name)
        if query is None:
            hint = did_you_mean(name, self._queries) or f"there are {', '.join(self._queries)}"
            raise NotFound(f"there is no query {name!r}", hint=hint)
        question = asked(query.question, arguments)
        self._refuse_halted(query.view)
        # Read before the rows, so that these are of this position or a newer one.
        position = await self._reached(query.view, question)
        return {**await query.answer(question), "position": position}

    def _refuse_halted(self, view: str) -> None:
        """An old answer that looks like a new one is worse than none."""
        reason = self._halted(view)
        if reason is not None:
            raise Unavailable(
                f"view {view} has halted {reason}",
                hint="its events are safe; update Headwater, then `headwater replay` this view",
            )

    def _of(
        self,
        view: str,
        question: type[Q],
        answer: Callable[[ReadModels, Q], Awaitable[Document]],
    ) -> Query[Q]:
        return Query(view, question, lambda given: answer(self._models, given))

    async def _completeness(self, question: Question) -> Document:
        """Of each view: whether it has applied every event once, in order."""
        found = await check(self._log, self._models, _VIEWS)
        return {"items": msgspec.to_builtins(found), "next": None}

    async def _reached(self, view: str, question: Question) -> Position:
        wanted = question.min_position or 0
        position = await self._position(view)
        if position >= wanted:
            return position
        seconds = wait_seconds_default if question.timeout is None else question.timeout
        # The log itself cannot be waited for, but a view that has seen an event has it from there.
        progress = self._progress.get("monitoring" if view == "events" else view)
        if progress is not None:
            await progress.wait(wanted, seconds)
        position = await self._position(view)
        self._refuse_halted(view)
        if position < wanted:
            raise TimedOut(
                f"position {wanted} was not reached in {seconds:g} s; {view} is at {position}"
            )
        return position

    async def _position(self, view: str) -> Position:
        if view == "events":
            return await self._log.head()
        rows = await self._models.query("views.position", {"view": view})
        return int(rows[0]["position"] or 0) if rows else 0
