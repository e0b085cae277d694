"""Each query of the catalogue over a long history: `python -m benchmarks.queries FOLDER`.

Asked of the read side itself, without a bus, each question about another thing of the history.
"""

import random
import statistics
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import anyio
from msgspec import Struct, json

from adapters.eventstore.sqlite import SqliteEventStore
from adapters.readmodels.sqlite import SqliteReadModels
from domain.errors import NotFound
from projections.queries import Queries

asks = 100
"""Times that each question is asked, after once to warm up."""

PROOF = "views.completeness"
"""Reads the id of every event, so it grows with them by its nature."""

Arguments = Mapping[str, Any]


class Known(Struct, frozen=True):
    """What a history has, to be asked about."""

    pipeline: str
    runs: tuple[str, ...]
    """From the first to the last."""
    datasets: tuple[str, ...]
    moments: tuple[str, ...]
    head: int


class Asked(Struct, frozen=True, kw_only=True):
    """How long a question took, in seconds."""

    name: str
    given: str
    """The names of its arguments."""
    p50: float
    p99: float
    bytes: int
    """Of the largest answer."""


Question = tuple[str, Callable[[], Arguments]]
"""A name, and what gives its arguments anew each time."""


class Draw:
    """Things of a history, chosen anew each time."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.chance = random.Random(1)
        self.pipeline = {"pipeline": known.pipeline}
        self.dataset = known.datasets[-1]

    def run(self) -> str:
        """One of the runs."""
        return self.chance.choice(self.known.runs)

    def page(self, **filters: Any) -> Callable[[], Arguments]:
        """A first page."""
        return lambda: {"limit": 50, **filters}

    def middle(self, **filters: Any) -> Callable[[], Arguments]:
        """A page from somewhere in the middle."""
        return lambda: {"cursor": str(self.chance.randrange(self.known.head)), **filters}


def questions(known: Known) -> list[Question]:
    """Every name, with each filter that it takes."""
    draw = Draw(known)
    found = [one for of in (_monitoring, _lineage, _quality, _events) for one in of(draw)]
    return [*found, (PROOF, dict)]


def _monitoring(draw: Draw) -> list[Question]:
    return [
        ("monitoring.pipelines", draw.page()),
        ("monitoring.pipelines", draw.page(status="active")),
        ("monitoring.pipeline", lambda: draw.pipeline),
        ("monitoring.runs", draw.page()),
        ("monitoring.runs", draw.page(limit=1000)),
        ("monitoring.runs", draw.middle()),
        ("monitoring.runs", draw.middle(status="completed")),
        ("monitoring.runs", draw.page(status="failed")),
        ("monitoring.runs", draw.middle(**draw.pipeline)),
        ("monitoring.runs", draw.page(**draw.pipeline, status="failed")),
        ("monitoring.run", lambda: {"run": draw.run()}),
    ]


def _lineage(draw: Draw) -> list[Question]:
    return [
        ("lineage.datasets", draw.page()),
        ("lineage.datasets", draw.page(**draw.pipeline)),
        ("lineage.dataset", lambda: {"dataset": draw.chance.choice(draw.known.datasets)}),
        ("lineage.dataset", draw.middle(dataset=draw.dataset)),
        ("lineage.dataset", lambda: {"dataset": draw.dataset, "run": draw.run()}),
        ("lineage.graph", lambda: {"dataset": draw.dataset}),
        ("lineage.graph", lambda: {"dataset": draw.known.datasets[0], "direction": "down"}),
        ("lineage.quarantines", draw.page()),
        ("lineage.quarantines", draw.page(**draw.pipeline)),
        ("lineage.quarantines", draw.page(pipeline="another")),
        ("lineage.quarantines", lambda: {"run": draw.run()}),
        ("lineage.quarantines", draw.page(status="settled")),
    ]


def _quality(draw: Draw) -> list[Question]:
    return [
        ("quality.checks", draw.page()),
        ("quality.checks", draw.page(of=draw.known.pipeline)),
        ("quality.checks", draw.page(of="checked")),
        ("quality.checks", draw.page(rule="unique")),
        ("quality.checks", draw.page(runs=100)),
    ]


def _events(draw: Draw) -> list[Question]:
    return [
        ("events.list", draw.page()),
        ("events.list", draw.middle()),
        ("events.list", lambda: {"run": draw.run()}),
        ("events.list", draw.page(**draw.pipeline)),
        ("events.list", draw.middle(tag="run.completed")),
        ("events.list", draw.page(tag="run.cancelled")),
        ("events.list", lambda: {"since": draw.chance.choice(draw.known.moments)}),
        ("events.why", lambda: {"run": draw.run()}),
        ("events.why", lambda: {"run": draw.run(), "step": "delays"}),
    ]


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Queries, SqliteReadModels]]:
    """The read side of a folder with a store and its views."""
    async with (
        SqliteEventStore.open(folder / "events.db") as store,
        SqliteReadModels.open(folder / "views.db") as models,
    ):
        yield Queries(models, store, store, {}), models


async def known_of(queries: Queries) -> Known:
    """What there is, sampled over the whole history."""
    head = int((await queries.answer("monitoring.runs", {"limit": 1}))["position"])
    runs: dict[str, Any] = {}
    for place in range(200):
        cursor = str(head - head * place // 200 + 1)
        found = await queries.answer("monitoring.runs", {"limit": 1, "cursor": cursor})
        runs.update({item["run"]: item for item in found["items"]})
    items = list(reversed(runs.values()))
    datasets = await queries.answer("lineage.datasets", {"pipeline": items[-1]["pipeline"]})
    return Known(
        pipeline=items[-1]["pipeline"],
        runs=tuple(item["run"] for item in items),
        datasets=tuple(item["dataset"] for item in datasets["items"]),
        moments=tuple(item["requested_at"] for item in items),
        head=head,
    )


async def measure(folder: Path, times: int = asks) -> list[Asked]:
    """Every question, the slowest first."""
    async with opened(folder) as (queries, _):
        found = []
        for name, arguments in questions(await known_of(queries)):
            rounds = 1 if name == PROOF else times
            found.append(await _ask(queries, name, arguments, rounds))
    return sorted(found, key=lambda asked: -asked.p99)


async def _ask(
    queries: Queries, name: str, arguments: Callable[[], Arguments], times: int
) -> Asked:
    taken, size = [], 0
    for turn in range(times + 1):
        given = arguments()
        start = perf_counter()
        try:
            answer = await queries.answer(name, given)
        except NotFound:
            answer = {}
        encoded = len(json.encode(answer))
        if turn:
            taken.append(perf_counter() - start)
            size = max(size, encoded)
    shown = (f"{key}={value}" if key == "limit" else key for key, value in given.items())
    return Asked(
        name=name,
        given=" ".join(shown),
        p50=statistics.median(taken),
        p99=statistics.quantiles(taken, n=100)[98] if len(taken) > 1 else taken[0],
        bytes=size,
    )


def main() -> None:
    """Print what each takes."""
    for one in anyio.run(measure, Path(sys.argv[1])):
        print(
            f"{one.p50 * 1000:9.2f} {one.p99 * 1000:9.2f} ms {one.bytes:8} B "
            f" {one.name} {one.given}"
        )


if __name__ == "__main__":
    main()
