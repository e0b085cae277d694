"""Every query, over a history with runs in every state."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from msgspec.structs import replace

from adapters.memory.eventstore import MemoryEventStore
from adapters.readmodels.progress import ViewProgress
from adapters.readmodels.sqlite import SqliteReadModels
from domain.errors import Malformed, NotFound, Rejection, TimedOut
from domain.record import Recorded, from_record
from projections import questions
from projections.lineage import LINEAGE
from projections.monitoring import MONITORING
from projections.queries import Queries
from projections.questions import Document
from tests.contracts.read_models import open_read_models
from tests.projections.histories import COLUMNS, TRACE, all_kinds
from tests.projections.support import ListLog, Stage

pytestmark = pytest.mark.anyio

EVENTS = all_kinds().records
HEAD = len(EVENTS)


class Desk:
    """Queries over a history, and what a test may move underneath."""

    def __init__(
        self, queries: Queries, log: ListLog, models: SqliteReadModels, progress: ViewProgress
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


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_read_models("memory", tmp_path) as models:
        log = ListLog(EVENTS)
        progress = ViewProgress()
        for view in (MONITORING, LINEAGE):
            await Stage(view, log, models).worker.start()
        progress.reached(HEAD)
        told = {"monitoring": progress, "lineage": progress}
        yield Desk(Queries(models, log, await store_of(EVENTS), told), log, models, progress)


def runs_of(status: str) -> list[str]:
    """Runs by the fact that ended them."""
    tag = f"run.{status}.v1"
    return [str(record.stream.id) for record in EVENTS if record.tag == tag]


def steps_of(run: Document) -> Mapping[str, Document]:
    return {step["id"]: step for step in run["steps"]}


async def test_a_completed_run_tells_all_that_scripts_rely_on(desk: Desk) -> None:
    run = await desk.ask("monitoring.run", run=runs_of("completed")[0])
    assert run["status"] == "completed"
    assert (run["pipeline"], run["revision"], run["draft"]) == ("flights", 1, False)
    assert (run["params"], run["principal"]) == ({"min_month": 1}, "cli:ada")
    assert (run["trace_id"], run["retry_of"], run["error"]) == (TRACE, None, None)
    assert run["requested_at"] < run["started_at"] < run["finished_at"]
    assert run["seconds"] == 10.0
    assert run["position"] == HEAD
    assert run["warnings"] == ["delays: 3 rows are late"]
    assert (run["steps_total"], run["steps_next"]) == (5, None)
    assert [step["id"] for step in run["steps"]] == [
        "raw",
        "flown",
        "delays",
        "checked",
        "published",
    ]


async def test_a_step_tells_rows_checks_and_data(desk: Desk) -> None:
    run = await desk.ask("monitoring.run", run=runs_of("completed")[0])
    steps = steps_of(run)
    flown = steps["flown"]
    assert (flown["kind"], flown["status"], flown["attempts"]) == ("clean", "succeeded", 1)
    assert (flown["rows_in"], flown["rows_out"], flown["ledger"]) == (336_776, 327_346, "unproven")
    assert flown["inputs"] == [
        {
            "dataset": "flights.raw",
            "fingerprint": flown["inputs"][0]["fingerprint"],
            "rows_in": 336_776,
            "reached": 336_776,
            "filtered": 0,
            "unmatched": None,
            "duplicated": None,
            "quarantined": None,
        }
    ]
    assert flown["counts"] == [{"rule": "drop_nulls(dep_time)", "rows": 9_430, "effect": "removed"}]
    assert flown["output"]["dataset"] == "flights.flown"
    assert flown["output"]["kept"] is True
    assert (flown["seconds"], flown["log"], flown["error"]) == (0.25, "flown.log", None)
    assert steps["checked"]["checks"] == [
        {
            "name": "months",
            "rule": "range(month)",
            "severity": "error",
            "passed": True,
            "failing_rows": 0,
            "null_rows": None,
            "observed": "",
        }
    ]
    assert steps["published"]["output"] is None
    assert steps["published"]["destination"]["name"] == "/out/delays.parquet"


async def test_a_failed_run_tells_the_error_and_what_was_skipped(desk: Desk) -> None:
    run = await desk.ask("monitoring.run", run=runs_of("failed")[0])
    assert run["status"] == "failed"
    assert run["error"]["step"] == "flown"
    steps = steps_of(run)
    assert [step["status"] for step in run["steps"]] == [
        "succeeded",
        "failed",
        "skipped",
        "skipped",
        "skipped",
    ]
    assert steps["flown"]["attempts"] == 2
    assert steps["flown"]["error"] == {
        "code": "sql_error",
        "message": "no such column",
        "where": "flights.yaml:14",
        "hint": "did you mean arr_delay?",
        "retryable": True,
    }
    assert steps["delays"]["because"] == "flown"


async def test_a_retried_run_tells_what_it_took_over(desk: Desk) -> None:
    first, again = runs_of("completed")[:2]
    run = await desk.ask("monitoring.run", run=again)
    assert (run["retry_of"], run["retry_from"]) == (first, "delays")
    assert [step["status"] for step in run["steps"]] == ["reused"] * 2 + ["succeeded"] * 3
    assert steps_of(run)["raw"]["reused_from"] == first


async def test_open_steps_of_a_cancelled_run_are_cancelled(desk: Desk) -> None:
    for cancelled in runs_of("cancelled"):
        run = await desk.ask("monitoring.run", run=cancelled)
        assert run["status"] == "cancelled"
        assert [step["status"] for step in run["steps"][1:]] == ["cancelled"] * 4
    assert run["steps"][0]["status"] == "cancelled"


async def test_an_open_run_tells_where_it_is(desk: Desk) -> None:
    [_, older] = await desk.all("monitoring.runs", 10, status="running")
    run = await desk.ask("monitoring.run", run=older["run"])
    assert (run["status"], run["finished_at"], run["seconds"]) == ("running", None, None)
    assert [step["status"] for step in run["steps"]] == ["succeeded", "running"] + ["waiting"] * 3
    assert run["steps"][1]["seconds"] is None


async def test_an_unknown_run_is_told_with_candidates(desk: Desk) -> None:
    known = runs_of("completed")[0]
    almost = known[:-1] + ("0" if known[-1] != "0" else "1")
    with pytest.raises(NotFound) as told:
        await desk.ask("monitoring.run", run=almost)
    assert known in told.value.hint


async def test_runs_are_listed_newest_first_and_in_pages(desk: Desk) -> None:
    everything = await desk.all("monitoring.runs", 100)
    assert len(everything) == sum(record.tag == "run.started.v1" for record in EVENTS)
    assert [run["position"] for run in everything] == sorted(
        [run["position"] for run in everything], reverse=True
    )
    assert await desk.all("monitoring.runs", 2) == everything
    for status in ("running", "completed", "failed", "cancelled"):
        some = await desk.all("monitoring.runs", 2, status=status)
        assert some == [run for run in everything if run["status"] == status]
    for name in ("flights", "weather", "unknown"):
        some = await desk.all("monitoring.runs", 2, pipeline=name)
        assert some == [run for run in everything if run["pipeline"] == name]
    [failed] = await desk.all("monitoring.runs", 2, pipeline="flights", status="failed")
    assert failed["steps"] == {
        "total": 5,
        "succeeded": 1,
        "reused": 0,
        "failed": 1,
        "skipped": 3,
    }


async def test_steps_come_in_pages_too(desk: Desk) -> None:
    run_id = runs_of("completed")[0]
    whole = await desk.ask("monitoring.run", run=run_id)
    first = await desk.ask("monitoring.run", run=run_id, limit=3)
    rest = await desk.ask("monitoring.run", run=run_id, limit=3, cursor=first["steps_next"])
    assert first["steps"] + rest["steps"] == whole["steps"]
    assert rest["steps_next"] is None


async def test_pages_end_where_a_message_would_be_too_large(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await desk.all("monitoring.runs", 100)
    monkeypatch.setattr(questions, "page_bytes_max", 1_500)
    page = await desk.ask("monitoring.runs", limit=100)
    assert 0 < len(page["items"]) < len(whole)
    assert await desk.all("monitoring.runs", 100) == whole


async def test_pipelines_are_listed(desk: Desk) -> None:
    flights, weather = await desk.all("monitoring.pipelines", 1)
    assert (flights["pipeline"], flights["status"], flights["revision"]) == ("flights", "active", 2)
    assert flights["description"] == "about flights"
    assert flights["last_status"] == "running"
    assert (weather["status"], weather["revision"], weather["last_revision"]) == (
        "retired",
        None,
        1,
    )
    assert weather["reason"] == "unused"
    assert await desk.all("monitoring.pipelines", 1, status="retired") == [weather]
    one = await desk.ask("monitoring.pipeline", pipeline="flights")
    assert one["changed_by"] == "cli:ada"


async def test_an_unknown_pipeline_is_told_with_candidates(desk: Desk) -> None:
    with pytest.raises(NotFound) as told:
        await desk.ask("monitoring.pipeline", pipeline="flihgts")
    assert told.value.hint == "did you mean flights?"


async def test_datasets_are_listed_with_their_latest_version(desk: Desk) -> None:
    listed = await desk.all("lineage.datasets", 2)
    assert [item["dataset"] for item in listed] == [
        "file:/data/flights.csv",
        "file:/out/delays.parquet",
        "flights.delays",
        "flights.flown",
        "flights.raw",
        "weather.delays",
        "weather.flown",
        "weather.raw",
    ]
    delays = listed[2]
    assert (delays["rows"], delays["bytes"], delays["kept"]) == (185, 18_500, True)
    assert (delays["pipeline"], delays["step"]) == ("flights", "delays")
    assert delays["run"] == runs_of("completed")[1]
    assert listed[0]["run"] is None
    some = await desk.all("lineage.datasets", 2, pipeline="weather")
    assert {item["dataset"] for item in some} == {
        "weather.delays",
        "weather.flown",
        "weather.raw",
        "file:/out/delays.parquet",
    }


async def test_a_dataset_has_all_its_versions(desk: Desk) -> None:
    found = await desk.ask("lineage.dataset", dataset="flights.delays")
    first, second, _ = runs_of("completed")
    assert [version["run"] for version in found["versions"]] == [second, first]
    assert found["fingerprint"] == found["versions"][0]["fingerprint"]
    one = await desk.ask("lineage.dataset", dataset="flights.delays", limit=1)
    two = await desk.ask("lineage.dataset", dataset="flights.delays", limit=1, cursor=one["next"])
    assert [*one["versions"], *two["versions"]] == found["versions"]
    old = await desk.ask("lineage.dataset", dataset="flights.delays", run=first)
    assert old["fingerprint"] == found["versions"][1]["fingerprint"]
    with pytest.raises(NotFound):
        await desk.ask("lineage.dataset", dataset="flights.delays", run=runs_of("cancelled")[0])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("flights.delays", "flights.delays"),
        ("file:/data/flights.csv", "file:/data/flights.csv"),
        ("/data/flights.csv", "file:/data/flights.csv"),
        ("flights.csv", "file:/data/flights.csv"),
    ],
)
async def test_a_dataset_goes_by_names_that_only_it_has(desk: Desk, text: str, name: str) -> None:
    assert (await desk.ask("lineage.dataset", dataset=text))["dataset"] == name


async def test_a_short_name_of_several_is_refused(desk: Desk) -> None:
    with pytest.raises(Rejection) as told:
        await desk.ask("lineage.dataset", dataset="delays")
    assert told.value.code == "dataset_ambiguous"
    assert told.value.details == {"candidates": ["flights.delays", "weather.delays"]}


async def test_an_unknown_dataset_is_told_with_candidates(desk: Desk) -> None:
    with pytest.raises(NotFound) as told:
        await desk.ask("lineage.graph", dataset="flights.delay")
    assert "flights.delays" in told.value.hint


def pairs(graph: Document) -> set[tuple[str, str]]:
    return {(edge["from"], edge["to"]) for edge in graph["edges"]}


UP = {
    ("flights/delays", "flights.delays"),
    ("flights.flown", "flights/delays"),
    ("flights/flown", "flights.flown"),
    ("flights.raw", "flights/flown"),
    ("flights/raw", "flights.raw"),
    ("file:/data/flights.csv", "flights/raw"),
}
DOWN = {
    ("flights.delays", "flights/checked"),
    ("flights.delays", "flights/published"),
    ("flights/published", "file:/out/delays.parquet"),
}


async def test_lineage_goes_up_to_the_source_and_down_to_the_sink(desk: Desk) -> None:
    up = await desk.ask("lineage.graph", dataset="flights.delays", direction="up")
    down = await desk.ask("lineage.graph", dataset="flights.delays", direction="down")
    both = await desk.ask("lineage.graph", dataset="flights.delays")
    assert (pairs(up), pairs(down), pairs(both)) == (UP, DOWN, UP | DOWN)
    assert both["dataset"] == "flights.delays"
    ends = {end for pair in pairs(both) for end in pair}
    assert {node["id"] for node in both["nodes"]} == ends
    kinds = {node["id"]: node.get("step_kind") for node in both["nodes"] if node["kind"] == "step"}
    assert kinds["flights/published"] == "store"
    assert {edge["run"] for edge in up["edges"]} == {runs_of("completed")[1]}


async def test_lineage_ends_at_the_depth_and_the_limit(desk: Desk) -> None:
    near = await desk.ask("lineage.graph", dataset="flights.delays", direction="up", depth=1)
    assert pairs(near) == {
        ("flights/delays", "flights.delays"),
        ("flights.flown", "flights/delays"),
    }
    few = await desk.ask("lineage.graph", dataset="flights.delays", limit=2)
    assert (len(few["edges"]), few["truncated"]) == (2, True)


def columns(graph: Document) -> set[tuple[str, str]]:
    return {
        (f"{edge['from']}#{edge['from_column']}", f"{edge['to']}#{edge['to_column']}")
        for edge in graph["edges"]
    }


async def test_a_column_is_followed_up_to_its_source(desk: Desk) -> None:
    graph = await desk.ask(
        "lineage.graph", dataset="/out/delays.parquet", column="delay", direction="up"
    )
    # weather was the last to write the file
    assert columns(graph) == {
        ("weather.delays#delay", "file:/out/delays.parquet#delay"),
        ("weather.flown#arr_delay", "weather.delays#delay"),
        ("weather.flown#dep_time", "weather.delays#delay"),
        ("weather.raw#arr_delay", "weather.flown#arr_delay"),
        ("weather.raw#dep_time", "weather.flown#dep_time"),
        ("file:/data/flights.csv#arr_delay", "weather.raw#arr_delay"),
        ("file:/data/flights.csv#dep_time", "weather.raw#dep_time"),
    }
    kinds = {
        edge["from_column"]: edge["kind"] for edge in graph["edges"] if "flown" in edge["from"]
    }
    assert kinds == {"arr_delay": "direct", "dep_time": "indirect"}


async def test_a_column_is_followed_down_to_where_it_ends(desk: Desk) -> None:
    graph = await desk.ask(
        "lineage.graph", dataset="flights.raw", column="carrier", direction="down"
    )
    assert columns(graph) == {
        ("flights.raw#carrier", "flights.flown#carrier"),
        ("flights.flown#carrier", "flights.delays#airline"),
        ("flights.delays#airline", "file:/out/delays.parquet#airline"),
    }


async def test_an_unknown_column_is_told_with_candidates(desk: Desk) -> None:
    with pytest.raises(NotFound) as told:
        await desk.ask("lineage.graph", dataset="flights.raw", column="carier")
    assert told.value.hint == "did you mean carrier?"
    for name in COLUMNS:
        await desk.ask("lineage.graph", dataset="/data/flights.csv", column=name)


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
    assert sorted([*weather, *flights], key=lambda event: event["position"]) == everything
    assert {event["data"].get("pipeline") for event in weather} == {"weather", None}


async def test_an_event_that_cannot_be_read_is_told_among_the_others(desk: Desk) -> None:
    desk.log.records = [replace(r, state=b"{") if r.position == 3 else r for r in EVENTS]
    listed = await desk.all("events.list", 1000)
    assert (listed[2]["position"], listed[2]["data"]) == (3, None)
    assert "cannot be read" in listed[2]["problem"]


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
        if name.endswith(("runs", "pipelines", "datasets", "list")):
            page = await desk.ask(name)
            assert {"items", "next", "position"} <= page.keys()
