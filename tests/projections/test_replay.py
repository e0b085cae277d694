"""Verify, repair and replay: whatever was done to a view is found, named and undone."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import anyio
import msgspec
import pytest

from domain.errors import Malformed
from projections.completeness import check
from projections.dispatch import DISPATCH
from projections.lineage import LINEAGE
from projections.monitoring import MONITORING
from projections.ports import Table, Value
from projections.projection import Projection
from projections.quality import QUALITY
from projections.replay import Report, Swap, ViewReport, replay, verify
from tests.contracts.read_models import (
    KINDS,
    Kind,
    Models,
    loop_of,
    open_read_models,
    place_for,
    rows_of,
    tamper,
)
from tests.projections.histories import all_kinds, runs
from tests.projections.support import ListLog, Stage

pytestmark = pytest.mark.anyio

VIEWS = (MONITORING, LINEAGE, QUALITY, DISPATCH)
EVENTS = all_kinds().records
TABLES = [(view, table) for view in VIEWS for table in view.tables]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


@pytest.fixture
def anyio_backend(kind: Kind) -> str:
    return loop_of(kind)


@pytest.fixture
async def models(kind: Kind, request: pytest.FixtureRequest) -> AsyncIterator[Models]:
    async with open_read_models(kind, place_for(kind, request)) as opened:
        for view in VIEWS:
            await Stage(view, ListLog(EVENTS), opened).worker.start()
        yield opened


@pytest.fixture
def log() -> ListLog:
    return ListLog(EVENTS)


def quoted(names: tuple[str, ...]) -> list[str]:
    return [f'"{name}"' for name in names]


async def anew(models: Models, view: Projection) -> None:
    at = await models.checkpoint(view.name, view.version)
    await models.create(view.name, view.version, view.tables, at)


async def one_row(models: Models, table: Table) -> dict[str, Any]:
    rows = await rows_of(models, table.name)
    names = [column.name for column in table.columns]
    return dict(zip(names, rows[len(rows) // 2], strict=True))


async def where_key(models: Models, statement: str, table: Table, row: dict[str, Any]) -> int:
    condition = " AND ".join(f"{name} = ?" for name in quoted(table.key))
    values = tuple(row[name] for name in table.key)
    return await tamper(models, f"{statement} WHERE {condition}", values)


def the_difference(report: Report, view: Projection) -> Any:
    assert not report.ok
    [found] = [part for part in report.projections if part.differences]
    assert found.name == view.name
    [difference] = found.differences
    return difference


async def is_repaired(log: ListLog, models: Models) -> bool:
    repaired = await verify(log, models, VIEWS, repair=True)
    again = await verify(log, models, VIEWS)
    return repaired.ok and again.ok and not any(part.differences for part in again.projections)


def test_the_histories_have_every_event_that_is_decided_today() -> None:
    wanted = {tag for view in VIEWS for tag in view.tags}
    elsewhere = {"run.data_validated.v1", "run.data_indexed.v1", "run.notification_sent.v1"}
    assert wanted - {record.tag for record in EVENTS} == elsewhere


async def test_untouched_views_are_as_the_store_says(models: Models, log: ListLog) -> None:
    report = await verify(log, models, VIEWS)
    assert report.ok
    assert [(part.name, part.position, part.events) for part in report.projections] == [
        (view.name, len(EVENTS), len(EVENTS)) for view in VIEWS
    ]
    for part, view in zip(report.projections, VIEWS, strict=True):
        assert part.rows == sum([len(await rows_of(models, t.name)) for t in view.tables])


@pytest.mark.parametrize(("view", "table"), TABLES, ids=[table.name for _, table in TABLES])
async def test_a_missing_row_is_found_named_and_repaired(
    models: Models, log: ListLog, view: Projection, table: Table
) -> None:
    row = await one_row(models, table)
    statement = f"DELETE FROM {table.name}"  # noqa: S608  # our own name
    assert await where_key(models, statement, table, row) == 1
    difference = the_difference(await verify(log, models, VIEWS), view)
    assert difference.table == table.name
    assert difference.key == {name: row[name] for name in table.key}
    assert (difference.expected, difference.found) == (row, None)
    assert difference.stream == view.stream_of(table.name, row)
    assert await is_repaired(log, models)


@pytest.mark.parametrize(("view", "table"), TABLES, ids=[table.name for _, table in TABLES])
async def test_a_doubled_row_is_found_named_and_repaired(
    models: Models, log: ListLog, view: Projection, table: Table
) -> None:
    row = await one_row(models, table)
    last = table.key[-1]
    other: Value = 99 if isinstance(row[last], int) else f"{row[last]}-doubled"
    names = ", ".join(quoted(tuple(row)))
    marks = ", ".join("?" * len(row))
    planted = {**row, last: other}
    await tamper(
        models,
        f"INSERT INTO {table.name} ({names}) VALUES ({marks})",  # noqa: S608  # our own names
        tuple(planted.values()),
    )
    difference = the_difference(await verify(log, models, VIEWS), view)
    assert (difference.table, difference.expected, difference.found) == (table.name, None, planted)
    assert difference.key == {name: planted[name] for name in table.key}
    assert difference.stream == view.stream_of(table.name, planted)
    assert await is_repaired(log, models)


@pytest.mark.parametrize(("view", "table"), TABLES, ids=[table.name for _, table in TABLES])
async def test_an_altered_row_is_found_named_and_repaired(
    models: Models, log: ListLog, view: Projection, table: Table
) -> None:
    row = await one_row(models, table)
    for column in [c for c in table.columns if c.name not in table.key]:
        planted: Value = "altered" if column.type == "text" else 4_711
        literal = f"'{planted}'" if column.type == "text" else str(planted)
        statement = f'UPDATE {table.name} SET "{column.name}" = {literal}'  # noqa: S608  # our own
        assert await where_key(models, statement, table, row) == 1
        difference = the_difference(await verify(log, models, [view]), view)
        assert difference.table == table.name
        assert difference.expected == row
        assert difference.found == {**row, column.name: planted}
        await replay(log, models, view)
    assert await is_repaired(log, models)


@pytest.mark.parametrize("column", ["position", "event_id", "events", "digest", "store_id"])
async def test_a_place_that_is_wrong_is_found_and_repaired(
    models: Models, log: ListLog, column: str
) -> None:
    planted = {"event_id": str(UUID(int=3)), "store_id": str(UUID(int=3)), "digest": "0"}
    await tamper(
        models,
        f"UPDATE view_checkpoints SET {column} = ? WHERE view = 'lineage'",  # noqa: S608  # ours
        (planted.get(column, 10_000),),
    )
    report = await verify(log, models, VIEWS)
    found = report.projections[1].differences[0]
    assert (found.table, found.key) == ("view_checkpoints", {"view": "lineage"})
    assert not (await check(log, models, [LINEAGE]))[0].ok
    assert await is_repaired(log, models)
    assert (await check(log, models, [LINEAGE]))[0].ok


async def test_a_dropped_table_is_found_and_repaired(models: Models, log: ListLog) -> None:
    await tamper(models, "DROP TABLE lineage_edges")
    difference = the_difference(await verify(log, models, VIEWS), LINEAGE)
    assert (difference.table, difference.key, difference.found) == ("lineage_edges", {}, None)
    assert await is_repaired(log, models)


async def test_the_report_is_what_scripts_rely_on(models: Models, log: ListLog) -> None:
    await tamper(models, "DELETE FROM lineage_runs")
    report = msgspec.json.decode(msgspec.json.encode(await verify(log, models, VIEWS)))
    assert report["ok"] is False
    assert report["position"] == len(EVENTS)
    lineage = report["projections"][1]
    assert {"name", "version", "position", "rows", "differences"} <= lineage.keys()
    assert set(lineage["differences"][0]) == {"table", "key", "expected", "found", "stream"}


async def test_a_late_view_is_no_difference(models: Models, log: ListLog) -> None:
    more = ListLog([*EVENTS])
    late = ListLog(EVENTS[:40])
    stage = Stage(MONITORING, late, models)
    await replay(late, models, MONITORING, swap="never")
    await anew(models, MONITORING)
    await stage.worker.start()
    report = await verify(more, models, [MONITORING])
    assert report.ok
    assert (report.position, report.projections[0].position) == (len(EVENTS), 40)
    (cheap,) = await check(more, models, [MONITORING])
    assert (cheap.ok, cheap.position, cheap.head) == (True, 40, len(EVENTS))


async def test_a_replay_swaps_and_catches_up(models: Models, log: ListLog) -> None:
    log.records = EVENTS[:60]
    for view in VIEWS:
        await anew(models, view)
        await Stage(view, log, models).worker.start()
    log.records = EVENTS
    report = await replay(log, models, MONITORING)
    assert (report.position, report.swapped, report.differences) == (60, True, ())
    checkpoint = await models.checkpoint("monitoring", MONITORING.version)
    assert checkpoint is not None
    assert checkpoint.position == len(EVENTS)
    assert (await verify(log, models, [MONITORING])).ok


async def test_a_view_that_was_never_built_is_told_and_built(
    kind: Kind, log: ListLog, request: pytest.FixtureRequest
) -> None:
    async with open_read_models(kind, place_for(kind, request)) as models:
        report = await verify(log, models, [LINEAGE])
        assert not report.ok
        assert report.projections[0].differences[0].found is None
        assert await is_repaired(log, models)


async def test_an_unreadable_event_stops_a_replay_and_leaves_the_view(
    models: Models, log: ListLog
) -> None:
    before = await rows_of(models, "monitoring_runs")
    log.records = [
        msgspec.structs.replace(r, state=b"{") if r.position == 30 else r for r in EVENTS
    ]
    with pytest.raises(Malformed):
        await replay(log, models, MONITORING)
    assert await rows_of(models, "monitoring_runs") == before


async def test_a_view_that_is_being_written_shows_no_false_difference(
    models: Models,
) -> None:
    events = list(runs(150))
    log = ListLog(events[:500])
    stage = Stage(MONITORING, log, models)
    await anew(models, MONITORING)
    await stage.worker.start()
    reports: list[ViewReport] = []
    done = anyio.Event()

    async def write() -> None:
        for start in range(500, len(events), 50):
            fresh = events[start : start + 50]
            log.records.extend(fresh)
            stage.carry(*fresh)
            await stage.worker.step(1.0)
        done.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write)
        while not done.is_set():
            swap: Swap = "always" if len(reports) % 2 else "never"
            reports.append(await replay(log, models, MONITORING, swap=swap))
    assert [report.differences for report in reports if report.differences] == []
    assert len(reports) > 1
    stage.ticker.seconds += 1
    await stage.worker.step(1.0)
    assert stage.worker.position == len(events)
    assert (await verify(log, models, [MONITORING])).ok
