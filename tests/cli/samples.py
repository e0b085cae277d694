"""Documents as the service answers them."""

from typing import Any

RUN = "019ab0c2-5f1e-7c33-9d0a-3f6f8f1f2a11"


def step(name: str, kind: str, status: str = "succeeded", **more: Any) -> dict[str, Any]:
    """A step of a run's document."""
    return {
        "id": name,
        "kind": kind,
        "status": status,
        "attempts": 1,
        "started_at": None,
        "seconds": None,
        "reused_from": None,
        "inputs": [],
        "rows_in": None,
        "rows_out": None,
        "rows_filtered": None,
        "rows_quarantined": None,
        "ledger": "none",
        "output": None,
        "checks": [],
        "error": None,
        **more,
    }


def run(status: str, steps: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A run's document."""
    return {
        "run": RUN,
        "pipeline": "flights",
        "revision": 3,
        "draft": True,
        "retry_of": None,
        "status": status,
        "params": {},
        "principal": "cli:ada@box",
        "requested_at": "2026-11-23T10:15:29.000000Z",
        "started_at": None,
        "finished_at": None,
        "seconds": 1.2349,
        "trace_id": None,
        "position": 42,
        "warnings": [],
        "error": None,
        "steps": steps,
        **more,
    }


def completed() -> dict[str, Any]:
    """Everything went well, with something to remark."""
    passed = {"name": "u", "rule": "unique(airline)", "severity": "error", "passed": True}
    weak = {
        "name": "enough",
        "rule": "row_count(min=100)",
        "severity": "warn",
        "passed": False,
        "failing_rows": None,
        "observed": "rows = 97",
    }
    return run(
        "completed",
        [
            step("raw", "ingest", rows_in=336776, rows_out=336776, seconds=0.3123),
            step("carriers", "ingest", "reused", rows_in=16, rows_out=16, seconds=0.0),
            step(
                "flown",
                "clean",
                rows_in=336776,
                rows_out=327346,
                rows_filtered=9430,
                ledger="balanced",
                seconds=0.2,
            ),
            step("punctuality", "transform", rows_out=97, seconds=0.05, checks=[passed, weak]),
            step("published", "store", rows_in=97, rows_out=97, seconds=0.01),
        ],
        params={"min_month": 6, "carrier": "AA"},
    )


def failed() -> dict[str, Any]:
    """A check did not hold."""
    broken = {
        "name": "range(month)",
        "rule": "range(month)",
        "severity": "error",
        "passed": False,
        "failing_rows": 1,
    }
    error = {
        "code": "check_failed",
        "message": "1 of 2 checks does not hold: range(month)",
        "where": "flights.yaml:31",
        "hint": "look at the rows: headwater data flights.flown",
        "retryable": False,
    }
    return run(
        "failed",
        [
            step("raw", "ingest", rows_in=10, rows_out=10, seconds=0.3),
            step("flown", "transform", "failed", rows_in=10, error=error, checks=[broken]),
            step("published", "store", "skipped"),
        ],
        error={"step": "flown", **error},
        retry_of="019ab0c2-5f1e-7c33-9d0a-000000000000",
    )


def lossy() -> dict[str, Any]:
    """Rows of an input found no match, and nothing was promised about them."""
    lost = [
        {
            "columns": ["tailnum"],
            "values": [
                {"value": "N725MQ", "rows": 546, "of": 546},
                {"value": None, "rows": 1, "of": None},
            ],
            "distinct": 721,
        }
    ]
    counts = {"filtered": 0, "quarantined": 0, "looked_at": False, "unproven": ""}
    flown = {"dataset": "flights.flown", "rows_in": 328063, "reached": 279619, "unmatched": 48444}
    aircraft = {"dataset": "flights.aircraft", "rows_in": 3322, "reached": 3316, "unmatched": 6}
    return run(
        "completed",
        [
            step("flown", "clean", rows_in=336776, rows_out=328063, seconds=0.2),
            step(
                "punctuality",
                "transform",
                rows_in=331385,
                rows_out=640,
                seconds=0.05,
                inputs=[
                    {**counts, **flown, "duplicated": 0, "lost": lost},
                    {**counts, **aircraft, "duplicated": 276303, "lost": []},
                    {"dataset": "flights.blocked", "rows_in": 4, "looked_at": True, "lost": []},
                ],
            ),
        ],
        warnings=["punctuality: 48,444 of 328,063 rows of flown matched nothing in aircraft"],
    )
