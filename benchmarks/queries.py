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


def questions(known: Known) -> list[tuple[str, Callable[[], Arguments]]]:
    """Every name, with each filter that it takes, about things chosen anew each time."""
    chance = random.Random(1)

    def run() -> str:
        return chance.choice(known.runs)

    def page(**filters: Any) -> Callable[[], Arguments]:
        return lambda: {"limit": 50, **filters}

    def middle(**filters: Any) -> Callable[[], Arguments]:
        return lambda: {"cursor": str(chance.randrange(known.head)), **filters}

    pipeline = {"pipeline": known.pipeline}
    dataset = known.datasets[-1]
    return [
        ("monitoring.pipelines", page()),
        ("monitoring.pipelines", page(status="active")),
        ("monitoring.pipeline", lambda: pipeline),
        ("monitoring.runs", page()),
        ("monitoring.runs", page(limit=1000)),
        ("monitoring.runs", middle()),
        ("monitoring.runs", middle(status="completed")),
        ("monitoring.runs", page(status="failed")),
        ("monitoring.runs", middle(**pipeline)),
        ("monitoring.runs", page(**pipeline, status="failed")),
        ("monitoring.run", lambda: {"run": run()}),
        ("lineage.datasets", page()),
        ("lineage.datasets", page(**pipeline)),
        ("lineage.dataset", lambda: {"dataset": chance.choice(known.datasets)}),
        ("lineage.dataset", middle(dataset=dataset)),
        ("lineage.dataset", lambda: {"dataset": dataset, "run": run()}),
        ("lineage.graph", lambda: {"dataset": dataset}),
        ("lineage.graph", lambda: {"dataset": known.datasets[0], "direction": "down"}),
        ("lineage.quarantines", page()),
        ("lineage.quarantines", page(**pipeline)),
        ("lineage.quarantines", page(pipeline="another")),
        ("lineage.quarantines", lambda: {"run": run()}),
        ("lineage.quarantines", page(status="settled")),
        ("quality.checks", page()),
        ("quality.checks", page(of=known.pipeline)),
        ("quality.checks", page(of="checked")),
        ("quality.checks", page(rule="unique")),
        ("quality.checks", page(runs=100)),
        ("events.list", page()),
        ("events.list", middle()),
        ("events.list", lambda: {"run": run()}),
        ("events.list", page(**pipeline)),
        ("events.list", middle(tag="run.completed")),
        ("events.list", page(tag="run.cancelled")),
        ("events.list", lambda: {"since": chance.choice(known.moments)}),
        ("events.why", lambda: {"run": run()}),
        ("events.why", lambda: {"run": run(), "step": "delays"}),
        (PROOF, dict),
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
