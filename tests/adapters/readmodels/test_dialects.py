"""The same events give the same rows and the same answers, whatever database they lie in."""

import random
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from adapters.postgres import Database
from adapters.readmodels import named
from adapters.readmodels.dialect import POSTGRES, SQLITE
from domain.record import Recorded
from projections.dispatch import DISPATCH
from projections.lineage import LINEAGE
from projections.monitoring import MONITORING
from projections.ports import Row, Value
from projections.quality import QUALITY
from tests.contracts.read_models import Models, open_read_models, rows_of
from tests.projections.histories import all_kinds, runs
from tests.projections.support import ListLog, Stage

pytestmark = pytest.mark.anyio

VIEWS = (MONITORING, LINEAGE, QUALITY, DISPATCH)
TABLES = [table.name for view in VIEWS for table in view.tables]
QUERIES = sorted(named.load(SQLITE)._texts)

asks_max = 150
"""Of one query."""

JSON = ("step_rows", "warnings")
"""Columns that are JSON, which may be written in more than one way."""


class Pair(Struct, frozen=True):
    """The same events in two databases."""

    ours: Models
    theirs: Models


def events() -> list[Recorded]:
    """Everything that can happen, with a run in work at the end."""
    return list(all_kinds().records)


@pytest.fixture
async def pair(tmp_path: Path, database: Database) -> AsyncIterator[Pair]:
    async with (
        open_read_models("memory", tmp_path) as ours,
        open_read_models("postgres", database) as theirs,
    ):
        yield Pair(ours, theirs)


async def fold(pair: Pair, records: Sequence[Recorded]) -> None:
    for models in (pair.ours, pair.theirs):
        for view in VIEWS:
            stage = Stage(view, ListLog(records), models)
            await stage.worker.start()
            assert stage.worker.halted is None


async def values_of(models: Models, table: str, column: int) -> list[Value]:
    found = {row[column] for row in await rows_of(models, table)}
    return sorted(str(value) for value in found if value is not None)  # type: ignore[return-value]


async def pools(models: Models, query: str) -> Mapping[str, Sequence[Value]]:
    """Values to be asked for, by the argument's name: such as there are, and such as are not."""
    names = [str(row[1]) for row in await rows_of(models, "lineage_datasets")]
    statuses = ("running", "completed", "failed", "cancelled", "active", "paused", "retired")
    return {
        "run": [None, "none", *await values_of(models, "monitoring_runs", 0)],
        "step": [None, "none", *await values_of(models, "monitoring_steps", 1)],
        "pipeline": [None, "none", *await values_of(models, "monitoring_pipelines", 0)],
        "namespace": ["", "none", *await values_of(models, "lineage_datasets", 0)],
        "name": ["", "none", *names],
        "text": ["none", *names],
        "ending": [".raw", ".", "a name that is longer than all others " * 9],
        "file": ["/flights.csv", "/"],
        "before": [0, 20, 2**62],
        "limit": [1, 3, 1000],
        "after": [-1, 2] if query == "monitoring.run" else ["", "g", *names],
        "status": [None, *statuses],
        "settled": [None, 0, 1],
        "rule": [None, "none", *await values_of(models, "quality_checks", 2), "unique", "not_null"],
        "runs": [1, 2, 10],
        "after_pipeline": ["", *await values_of(models, "monitoring_pipelines", 0)],
        "after_step": ["", *await values_of(models, "quality_checks", 1)],
        "after_name": [""],
        "view": ["monitoring", "none"],
    }


def told(rows: Sequence[Row]) -> list[dict[str, object]]:
    return [
        {
            name: msgspec.json.decode(value) if name in JSON and isinstance(value, str) else value
            for name, value in row.items()
        }
        for row in rows
    ]


def empty(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{name: value or None for name, value in row.items()} for row in rows]


async def test_the_same_events_give_the_same_rows(pair: Pair) -> None:
    await fold(pair, events())
    for table in TABLES:
        assert await rows_of(pair.ours, table) == await rows_of(pair.theirs, table), table
    places = [await rows_of(models, "view_checkpoints") for models in (pair.ours, pair.theirs)]
    assert sorted(places[0], key=str) == sorted(places[1], key=str)


async def test_many_runs_give_the_same_rows(pair: Pair) -> None:
    await fold(pair, list(runs(60)))
    for table in TABLES:
        assert await rows_of(pair.ours, table) == await rows_of(pair.theirs, table), table


async def test_every_query_is_answered_alike(pair: Pair) -> None:
    await fold(pair, events())
    chance = random.Random(7)
    for query in QUERIES:
        values = await pools(pair.ours, query)
        names = sorted(set(re.findall(r"(?<!:):([a-z_]+)", named.load(SQLITE).text(query))))
        answered = 0
        for _ in range(asks_max):
            arguments = {name: chance.choice(values[name]) for name in names}
            ours = told(await pair.ours.query(query, arguments))
            theirs = told(await pair.theirs.query(query, arguments))
            assert empty(ours) == empty(theirs), (query, arguments)
            answered += bool(ours)
        assert answered, f"no question to {query} was answered by any row"


def test_what_a_dialect_says_in_its_own_way_is_a_query_of_both() -> None:
    assert sorted(named.load(POSTGRES)._texts) == QUERIES
