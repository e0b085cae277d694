"""Questions about pipelines and runs."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from domain.errors import NotFound
from projections import questions
from projections.questions import Document
from tests.projections.desk import EVENTS, HEAD, Desk, open_desk, runs_of
from tests.projections.histories import TRACE

pytestmark = pytest.mark.anyio


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as opened:
        yield opened


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
            "looked_at": False,
            "unproven": "",
            "lost": [],
        }
    ]
    assert flown["counts"] == [
        {"rule": "drop_nulls(dep_time)", "rows": 9_430, "effect": "removed", "cells": None}
    ]
    assert flown["output"]["dataset"] == "flights.flown"
    assert flown["output"]["kept"] is True
    assert (flown["seconds"], flown["log"], flown["error"]) == (0.25, "flown.log", None)
    assert steps["checked"]["checks"] == [
        {
            "name": "months",
            "rule": "range(month)",
            "severity": "error",
            "passed": True,
            "checked_rows": None,
            "failing_rows": 0,
            "share": None,
            "tolerance": "",
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
