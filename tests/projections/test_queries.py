"""What every question has: waiting, bounds, and words for what cannot be answered."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from domain.errors import Malformed, NotFound, TimedOut
from projections.monitoring import MONITORING
from projections.questions import Document
from tests.contracts.read_models import tamper
from tests.projections.desk import HEAD, Desk, open_desk
from tests.projections.histories import all_kinds
from tests.projections.support import Stage

pytestmark = pytest.mark.anyio


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as opened:
        yield opened


async def test_a_question_waits_for_the_position_it_needs(desk: Desk) -> None:
    for name in ("monitoring.runs", "lineage.datasets", "events.list"):
        with pytest.raises(TimedOut):
            await desk.ask(name, min_position=HEAD + 1, timeout=0)
    more = all_kinds()
    more.start("late")
    stage = Stage(MONITORING, desk.log, desk.models)
    await stage.worker.start()
    stage.progress = desk.progress
    worker = stage.another()
    await worker.start()
    answers: list[Document] = []

    async def ask() -> None:
        answers.append(
            await desk.ask("monitoring.runs", pipeline="late", min_position=HEAD + 1, timeout=20)
        )

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.lowlevel.checkpoint()
        desk.log.records = more.records
        stage.carry(*more.records[HEAD:])
        await worker.step(1.0)
    assert len(answers[0]["items"]) == 1
    assert answers[0]["position"] > HEAD


@pytest.mark.parametrize(
    ("name", "arguments", "path"),
    [
        ("monitoring.runs", {"limit": 0}, "limit"),
        ("monitoring.runs", {"limit": 1001}, "limit"),
        ("monitoring.runs", {"limit": "5"}, "limit"),
        ("monitoring.runs", {"status": "lost"}, "status"),
        ("monitoring.runs", {"cursor": "x"}, "cursor"),
        ("monitoring.runs", {"nonsense": 1}, "nonsense"),
        ("monitoring.run", {}, "run"),
        ("monitoring.run", {"run": "latest"}, "run"),
        ("monitoring.runs", {"min_position": -1}, "min_position"),
        ("monitoring.runs", {"timeout": 1e9}, "timeout"),
        ("lineage.graph", {"dataset": "x", "direction": "left"}, "direction"),
        ("lineage.graph", {"dataset": 5}, "dataset"),
        ("events.list", {"since": "yesterday"}, "since"),
        ("events.list", {"after": "x"}, "cursor"),
    ],
)
async def test_malformed_arguments_are_told_with_their_path(
    desk: Desk, name: str, arguments: dict[str, Any], path: str
) -> None:
    with pytest.raises(Malformed) as told:
        await desk.ask(name, **arguments)
    assert told.value.path == path


async def test_an_unknown_query_is_told_with_candidates(desk: Desk) -> None:
    with pytest.raises(NotFound) as told:
        await desk.ask("monitoring.rums")
    assert "monitoring.runs" in told.value.hint


async def test_no_list_goes_without_a_bound(desk: Desk) -> None:
    for name in desk.queries.names:
        if name.endswith(("runs", "pipelines", "datasets", "list", "checks")):
            page = await desk.ask(name)
            assert {"items", "next", "position"} <= page.keys()


async def test_completeness_tells_a_view_that_skipped_an_event(desk: Desk) -> None:
    whole = await desk.ask("views.completeness")
    assert whole["position"] == HEAD
    assert {view["name"]: view["ok"] for view in whole["items"]} == {
        "monitoring": True,
        "lineage": True,
        "quality": True,
        "dispatch": False,  # this desk has not built it
    }
    await tamper(desk.models, "UPDATE view_checkpoints SET events = events - 1")
    skipped = await desk.ask("views.completeness")
    assert [view["ok"] for view in skipped["items"]] == [False] * 4
    assert skipped["items"][0]["events_expected"] == HEAD
