"""Questions about the events themselves."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from domain.ids import Position
from domain.record import Recorded
from projections.history import EventsQuestion, Sources, events
from tests.projections.desk import EVENTS, HEAD, Desk, open_desk, runs_of, store_of
from tests.projections.support import ListLog

pytestmark = pytest.mark.anyio


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as opened:
        yield opened


async def test_events_are_listed_in_pages_as_they_are_stored(desk: Desk) -> None:
    listed = await desk.all("events.list", 17)
    assert [item["position"] for item in listed] == list(range(1, HEAD + 1))
    first = listed[0]
    assert set(first) >= {
        "position",
        "event_id",
        "stream",
        "version",
        "tag",
        "recorded_at",
        "principal",
        "command_id",
        "correlation_id",
        "causation_id",
        "traceparent",
        "data",
    }
    assert first["tag"] == "pipeline.registered.v1"
    assert first["data"]["pipeline"] == "flights"
    assert first["stream"].startswith("pipeline/")


async def test_events_are_filtered(desk: Desk) -> None:
    everything = await desk.all("events.list", 1000)
    run = runs_of("failed")[0]
    of_run = [event for event in everything if event["stream"] == f"run/{run}"]
    assert await desk.all("events.list", 4, run=run) == of_run
    failed = [event for event in everything if event["tag"] == "run.step_failed.v1"]
    for tag in ("run.step_failed", "run.step_failed.v1"):
        assert await desk.all("events.list", 1, tag=tag) == failed
    assert await desk.all("events.list", 9, tag="run.step") == []
    middle = everything[HEAD // 2]["recorded_at"]
    late = [event for event in everything if event["recorded_at"] >= middle]
    assert await desk.all("events.list", 9, since=middle) == late
    page = await desk.ask("events.list", after=HEAD - 2)
    assert page["items"] == everything[-2:]
    assert (page["next"], page["position"]) == (None, HEAD)


async def test_events_of_a_pipeline_are_its_own_and_those_of_its_runs(desk: Desk) -> None:
    everything = await desk.all("events.list", 1000)
    weather = await desk.all("events.list", 7, pipeline="weather")
    flights = await desk.all("events.list", 7, pipeline="flights")
    wide = await desk.all("events.list", 7, pipeline="wide")
    orders = await desk.all("events.list", 7, pipeline="orders")
    assert (
        sorted([*weather, *flights, *wide, *orders], key=lambda event: event["position"])
        == everything
    )
    assert {event["data"].get("pipeline") for event in weather} == {"weather", None}


async def test_an_event_that_cannot_be_read_is_told_among_the_others(desk: Desk) -> None:
    desk.log.records = [replace(r, state=b"{") if r.position == 3 else r for r in EVENTS]
    listed = await desk.all("events.list", 1000)
    assert (listed[2]["position"], listed[2]["data"]) == (3, None)
    assert "cannot be read" in listed[2]["problem"]


async def test_a_page_looks_at_no_more_of_the_log_than_it_shows(desk: Desk) -> None:
    read: list[int] = []

    class Watched(ListLog):
        async def read(self, after: Position, limit: int) -> Sequence[Recorded]:
            found = await super().read(after, limit)
            read.append(len(found))
            return found

    log = Watched(EVENTS)
    page = await events(Sources(log, await store_of(EVENTS), desk.models), EventsQuestion(limit=7))
    assert (len(page["items"]), sum(read)) == (7, 7)
