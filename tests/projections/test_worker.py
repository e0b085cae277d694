"""The worker of one view: joining log and feed, halting, and being overtaken."""

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from uuid import UUID

import pytest
from msgspec.structs import replace

from domain.errors import Malformed, TimedOut, Unavailable
from domain.record import Recorded
from domain.run.events import StepSkipped
from projections.limits import backstop_seconds
from projections.monitoring import MONITORING
from projections.ports import Change
from projections.projection import Fact, Handler, Projection
from projections.replay import verify
from tests.contracts.read_models import Models, open_read_models, rows_of
from tests.projections.histories import History, runs
from tests.projections.support import ListLog, Stage

pytestmark = pytest.mark.anyio

EVENTS = list(runs(3))


@pytest.fixture
async def models(tmp_path: Path) -> AsyncIterator[Models]:
    async with open_read_models("memory", tmp_path) as opened:
        yield opened


@pytest.fixture
def stage(models: Models) -> Stage:
    """A view that is told of the first ten events; the test adds more."""
    return Stage(MONITORING, ListLog(EVENTS[:10]), models)


async def is_right(stage: Stage) -> bool:
    report = await verify(stage.log, stage.models, [MONITORING])
    return report.ok and report.position == stage.worker.position


async def test_a_new_view_is_built_from_the_log(stage: Stage) -> None:
    await stage.worker.start()
    assert stage.worker.position == 10
    assert stage.applied == []  # rebuilding tells no policy
    assert await is_right(stage)


async def test_a_view_left_behind_catches_up_and_tells(stage: Stage) -> None:
    await stage.worker.start()
    stage.log.records.extend(EVENTS[10:20])
    await stage.another().start()
    assert stage.applied == list(range(11, 21))


async def test_live_events_are_applied_as_they_follow(stage: Stage) -> None:
    await stage.worker.start()
    stage.log.records.extend(EVENTS[10:20])
    stage.carry(*EVENTS[10:20])
    assert await stage.worker.step(1.0) == 10
    assert stage.applied == list(range(11, 21))
    assert await is_right(stage)


async def test_repeated_and_old_messages_are_dropped(stage: Stage) -> None:
    await stage.worker.start()
    stage.log.records.extend(EVENTS[10:13])
    stage.carry(*EVENTS[5:12], EVENTS[10], *EVENTS[9:13])
    assert await stage.worker.step(1.0) == 3
    assert stage.applied == [11, 12, 13]
    assert await is_right(stage)


async def test_a_gap_is_read_from_the_log(stage: Stage) -> None:
    await stage.worker.start()
    stage.log.records.extend(EVENTS[10:30])
    stage.carry(*EVENTS[10:12], *EVENTS[15:18])
    assert await stage.worker.step(1.0) == 20
    stage.carry(*EVENTS[18:30])
    assert await stage.worker.step(1.0) == 0
    assert stage.applied == list(range(11, 31))
    assert await is_right(stage)


async def test_messages_in_the_wrong_order_do_no_harm(stage: Stage) -> None:
    await stage.worker.start()
    stage.log.records.extend(EVENTS[10:20])
    stage.carry(*reversed(EVENTS[10:20]))
    await stage.worker.step(1.0)
    assert stage.applied == list(range(11, 21))


async def test_a_lost_last_message_is_found_by_the_backstop(stage: Stage) -> None:
    await stage.worker.start()
    stage.log.records.extend(EVENTS[10:20])
    assert await stage.worker.step(1.0) == 0
    stage.ticker.seconds += backstop_seconds
    assert await stage.worker.step(1.0) == 10


@pytest.mark.parametrize("case", ["other store", "event gone", "other event", "shorter store"])
async def test_a_view_of_another_history_is_rebuilt(
    stage: Stage, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    await stage.worker.start()
    match case:
        case "other store":
            stage.log = ListLog(EVENTS[:12], UUID(int=99))
        case "event gone":
            stage.log.records = EVENTS[:9]
        case "other event":
            stage.log.records[9] = replace(EVENTS[9], event_id=UUID(int=5))
        case "shorter store":
            stage.log.records = []
    worker = stage.another()
    await worker.start()
    assert stage.applied == []
    assert worker.position == await stage.log.head()
    assert (await verify(stage.log, stage.models, [MONITORING])).ok
    is_lost = "view monitoring has seen: the view is at position 10" in caplog.text
    assert is_lost == (case != "other store")


def unknown(record: Recorded) -> Recorded:
    return replace(record, tag="run.teleported.v1")


def garbled(record: Recorded) -> Recorded:
    return replace(record, state=b'{"recorded_at": 5')


def without_payload(record: Recorded) -> Recorded:
    return replace(record, state=b'{"recorded_at":"","principal":"","correlation_id":"","data":{}}')


@pytest.mark.parametrize("spoil", [unknown, garbled, without_payload])
async def test_an_event_that_cannot_be_read_halts_the_view(
    stage: Stage, spoil: Callable[[Recorded], Recorded]
) -> None:
    await stage.worker.start()
    stage.log.records.extend(EVENTS[10:20])
    place = next(n for n in range(14, 20) if EVENTS[n].tag in MONITORING.tags)
    spoiled = spoil(EVENTS[place])
    stage.log.records[place] = spoiled
    stage.carry(*EVENTS[10:place], spoiled, *EVENTS[place + 1 : 20])
    await stage.worker.step(1.0)
    assert stage.worker.position == place
    assert stage.worker.halted is not None
    assert stage.worker.halted.startswith(f"after position {place}: ")
    stage.carry(*EVENTS[10:20])
    stage.ticker.seconds += backstop_seconds
    assert await stage.worker.step(1.0) == 0
    with pytest.raises(Unavailable, match="halted"):
        await stage.worker.wait_for(20, 1.0)


@pytest.mark.parametrize("spoil", [unknown, garbled, without_payload])
async def test_what_only_the_bus_has_spoilt_is_read_from_the_log(
    stage: Stage, spoil: Callable[[Recorded], Recorded]
) -> None:
    await stage.worker.start()
    stage.log.records.extend(EVENTS[10:20])
    stage.carry(*[spoil(event) for event in EVENTS[10:20]])
    await stage.worker.step(1.0)
    assert (stage.worker.halted, stage.worker.position) == (None, 20)
    assert stage.applied == list(range(11, 21))
    assert await is_right(stage)


async def test_a_mended_reason_lets_the_view_go_on(stage: Stage) -> None:
    await stage.worker.start()
    stage.log.records.append(unknown(EVENTS[10]))
    stage.ticker.seconds += backstop_seconds
    await stage.worker.step(1.0)
    assert "'run.teleported.v1' (update Headwater)" in (stage.worker.halted or "")
    stage.log.records[10:] = EVENTS[10:20]
    await stage.worker.start()
    assert (stage.worker.halted, stage.worker.position) == (None, 20)


async def test_an_event_missing_from_the_store_halts_the_view(stage: Stage) -> None:
    await stage.worker.start()
    stage.log.records.extend(EVENTS[11:20])
    stage.ticker.seconds += backstop_seconds
    await stage.worker.step(1.0)
    assert stage.worker.position == 10
    assert "the event before position 12 is at 11" in (stage.worker.halted or "")


def broken(fact: Fact[StepSkipped]) -> list[Change]:
    changes: dict[str, Change] = {}
    return [changes[fact.id]]


async def test_a_views_own_mistake_halts_it(models: Models) -> None:
    history = History()
    run = history.start()
    history.claim(run, "raw")
    history.fail(run, "raw")
    view = Projection(name="broken", version=1, tables={}, handlers=[Handler(StepSkipped, broken)])
    stage = Stage(view, ListLog(history.records), models)
    await stage.worker.start()
    assert "view broken failed: KeyError" in (stage.worker.halted or "")
    assert stage.worker.position == 5


async def test_two_workers_of_one_view_apply_each_event_once(stage: Stage) -> None:
    await stage.worker.start()
    other = stage.another()
    await other.start()
    stage.log.records.extend(EVENTS[10:20])
    stage.carry(*EVENTS[10:15])
    await stage.worker.step(1.0)
    stage.carry(*EVENTS[10:20])
    await other.step(1.0)  # finds the view further than it thought
    stage.ticker.seconds += backstop_seconds
    await other.step(1.0)
    assert other.position == 20
    stage.ticker.seconds += backstop_seconds
    await stage.worker.step(1.0)
    assert stage.worker.position == 20
    assert await is_right(stage)


async def test_a_view_replaced_under_its_worker_goes_on(stage: Stage) -> None:
    await stage.worker.start()
    stage.log.records.extend(EVENTS[10:30])
    report = await verify(stage.log, stage.models, [MONITORING], repair=True)
    assert report.ok
    stage.carry(*EVENTS[10:30])
    stage.ticker.seconds += backstop_seconds
    await stage.worker.step(1.0)
    assert stage.worker.position == 30
    assert await is_right(stage)


async def test_waiting_for_a_position_ends_when_it_is_applied_or_in_time(stage: Stage) -> None:
    await stage.worker.start()
    await stage.worker.wait_for(10, 0.0)
    with pytest.raises(TimedOut):
        await stage.worker.wait_for(11, 0.0)
    assert stage.progress.position == 10


async def test_how_events_are_cut_into_batches_makes_no_difference(
    models: Models, tmp_path: Path
) -> None:
    one, log = Stage(MONITORING, ListLog([]), models), ListLog(EVENTS)
    await one.worker.start()
    for record in EVENTS:
        one.log.records.append(record)
        one.carry(record)
        await one.worker.step(1.0)
    async with open_read_models("file", tmp_path) as others:
        await Stage(MONITORING, log, others).worker.start()
        for table in MONITORING.tables:
            assert await rows_of(models, table.name) == await rows_of(others, table.name)
        assert await models.checkpoint("monitoring", 1) == await others.checkpoint("monitoring", 1)


class StrictLog(ListLog):
    """Refuses to read a page in which there is an event that it does not know."""

    async def read(self, after: int, limit: int) -> Sequence[Recorded]:
        records = await super().read(after, limit)
        if any(record.tag == "run.teleported.v1" for record in records):
            raise Malformed("no stream is known for the tag")
        return records


async def test_events_before_one_that_the_log_cannot_read_are_applied(
    models: Models,
) -> None:
    log = StrictLog([*EVENTS[:23], unknown(EVENTS[23]), *EVENTS[24:]])
    stage = Stage(MONITORING, log, models)
    await stage.worker.start()
    assert stage.worker.position == 23
    assert "no stream is known" in (stage.worker.halted or "")
