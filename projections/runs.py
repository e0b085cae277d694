"""Answers about pipelines and runs, from the monitoring view."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from domain.errors import NotFound
from domain.limits import steps_max
from projections.checks import share
from projections.limits import candidates_max
from projections.ports import ReadModels, Row
from projections.questions import (
    Document,
    PageQuestion,
    Question,
    Text,
    did_you_mean,
    number_of,
    page,
    within_bytes,
)

VIEW = "monitoring"
_NEWEST = (1 << 63) - 1

Status = Literal["running", "completed", "failed", "cancelled"]


class PipelinesQuestion(PageQuestion, frozen=True, kw_only=True):
    """Arguments of `monitoring.pipelines`."""

    status: Literal["active", "paused", "retired"] | None = None


class PipelineQuestion(Question, frozen=True, kw_only=True):
    """Arguments of `monitoring.pipeline`."""

    pipeline: Text


class RunsQuestion(PageQuestion, frozen=True, kw_only=True):
    """Arguments of `monitoring.runs`."""

    pipeline: Text | None = None
    status: Status | None = None


class RunQuestion(Question, frozen=True, kw_only=True):
    """Arguments of `monitoring.run`; limit and cursor are for its steps."""

    run: UUID
    limit: Annotated[int, Meta(ge=1, le=steps_max)] = steps_max
    cursor: Text | None = None


async def pipelines(models: ReadModels, question: PipelinesQuestion) -> Document:
    """A page of pipelines by name."""
    rows = await models.query(
        "monitoring.pipelines",
        {
            "after": question.cursor or "",
            "status": question.status,
            "limit": question.limit + 1,
        },
    )
    return page([_pipeline(row) for row in rows], question.limit, lambda item: item["pipeline"])


async def pipeline(models: ReadModels, question: PipelineQuestion) -> Document:
    """One pipeline. Raises `NotFound`."""
    rows = await models.query("monitoring.pipeline", {"pipeline": question.pipeline})
    if not rows:
        known = await models.query("monitoring.pipeline_names", {"limit": candidates_max})
        raise NotFound(
            f"there is no pipeline {question.pipeline!r}",
            hint=did_you_mean(question.pipeline, (str(row["name"]) for row in known))
            or "`headwater pipelines` lists them",
        )
    return {**_pipeline(rows[0]), "changed_position": rows[0]["position"]}


def _pipeline(row: Row) -> Document:
    names = (
        "pipeline status reason revision last_revision bundle description project env"
        " registered_at changed_at changed_by last_run last_status"
    )
    return {name: row[name] for name in names.split()}


async def runs(models: ReadModels, question: RunsQuestion) -> Document:
    """A page of runs, newest first."""
    arguments = {
        "before": number_of(question.cursor, _NEWEST),
        "limit": question.limit + 1,
        "status": question.status,
        "pipeline": question.pipeline,
    }
    match question.pipeline, question.status:
        case None, None:
            name = "monitoring.runs"
        case None, _:
            name = "monitoring.runs_of_status"
        case _, None:
            name = "monitoring.runs_of_pipeline"
        case _:
            name = "monitoring.runs_of_pipeline_status"
    rows = await models.query(name, arguments)
    return page([_listed(row) for row in rows], question.limit, lambda item: str(item["position"]))


def _listed(row: Row) -> Document:
    counted = ("succeeded", "reused", "failed", "skipped")
    steps = {"total": row["steps"], **{name: row[name] for name in counted}}
    return {**_run(row), "position": row["position"], "steps": steps}


def _run(row: Row) -> Document:
    return {
        "run": row["run"],
        "pipeline": row["pipeline"],
        "revision": row["revision"],
        "draft": bool(row["draft"]),
        "bundle": row["bundle"],
        "retry_of": row["retry_of"],
        "retry_from": row["retry_from"],
        "env": row["env"],
        "status": row["status"],
        "reason": row["reason"] or "",
        "params": _decoded(row["params"]) or {},
        "principal": row["principal"],
        "requested_at": row["requested_at"],
        "started_at": row["started_at"],
        "finished_at": row["finished_at"],
        "seconds": _seconds(row["requested_at"], row["finished_at"]),
        "trace_id": row["trace_id"],
        "correlation_id": row["correlation_id"],
        "error": _filled(_ERROR, _decoded(row["error"])),
    }


async def run(models: ReadModels, question: RunQuestion) -> Document:
    """One run with its steps; `steps_next` is a cursor where they do not fit. Raises `NotFound`."""
    rows = await models.query(
        "monitoring.run",
        {
            "run": str(question.run),
            "after": number_of(question.cursor, -1),
            "limit": question.limit + 1,
        },
    )
    if not rows:
        await _no_run(models, str(question.run))
    row = rows[0]
    cancelled = row["status"] == "cancelled"
    found: list[Document] = _decoded(row["step_rows"]) or []
    steps = within_bytes([_step(step, cancelled=cancelled) for step in found[: question.limit]])
    more = len(steps) < len(found)
    return {
        **_run(row),
        "warnings": _warnings(row),
        "steps": steps,
        "steps_total": row["steps"],
        "steps_next": str(found[len(steps) - 1]["place"]) if more else None,
    }


async def _no_run(models: ReadModels, run_id: str) -> None:
    known = await models.query("monitoring.run_ids", {"limit": candidates_max})
    raise NotFound(
        f"there is no run {run_id}",
        hint=did_you_mean(run_id, (str(row["name"]) for row in known))
        or "`headwater runs` lists them",
    )


def _warnings(row: Row) -> list[str]:
    by_step: list[tuple[str, list[str]]] = _decoded(row["warnings"]) or []
    return [f"{step}: {warning}" for step, warnings in by_step for warning in warnings]


_INPUT: Document = {
    "dataset": "",
    "fingerprint": "",
    "rows_in": None,
    "reached": None,
    "filtered": None,
    "unmatched": None,
    "duplicated": None,
    "quarantined": None,
    "looked_at": False,
    "unproven": "",
    "lost": [],
}
_LOST: Document = {"columns": [], "values": [], "distinct": 0}
_LOST_VALUE: Document = {"value": None, "rows": 0, "of": None}
_OUTPUT: Document = {"dataset": "", "fingerprint": "", "rows": None, "bytes": None, "kept": True}
_OUTER: Document = {"namespace": "", "name": "", "fingerprint": "", "bytes": 0}
_ERROR: Document = {"code": "", "message": "", "where": "", "hint": "", "retryable": False}
_COUNT: Document = {"rule": "", "rows": 0, "effect": "removed", "cells": None}
_CHECK: Document = {
    "name": "",
    "rule": "",
    "severity": "error",
    "passed": False,
    "checked_rows": None,
    "failing_rows": None,
    "tolerance": "",
    "null_rows": None,
    "observed": "",
}


def _step(row: Document, *, cancelled: bool) -> Document:
    error = row["error"]
    status = row["status"]
    left_open = cancelled and status in ("waiting", "scheduled", "running")
    ended = status == "failed" and error and error["code"] == "cancelled"
    if left_open or ended:
        status = "cancelled"
    outcome: Document = row["outcome"] or {}
    written_by = outcome.get("written_by") if status == "succeeded" else None
    if written_by:
        status = "unchanged"
    names = "id kind engine depends attempts due worker started_at finished_at because log"
    counts = "rows_in rows_out rows_filtered rows_quarantined"
    return {
        **{name: row[name] for name in names.split()},
        **{name: outcome.get(name) for name in counts.split()},
        "status": status,
        "reused_from": row["reused_from"] or written_by,
        "seconds": _step_seconds(row),
        "ledger": outcome.get("ledger", "none"),
        "inputs": [_input(entry) for entry in outcome.get("inputs", ())],
        "counts": [{**_COUNT, **count} for count in outcome.get("counts", ())],
        "checks": [_check(check) for check in outcome.get("checks", ())],
        "output": _filled(_OUTPUT, outcome.get("output")),
        "quarantine": _filled(_OUTPUT, outcome.get("quarantine")),
        "source": _filled(_OUTER, outcome.get("source")),
        "readmitted": outcome.get("readmitted"),
        "mended": _filled(_OUTER, outcome.get("mended")),
        "destination": _filled(_OUTER, outcome.get("destination")),
        "warnings": outcome.get("warnings", []),
        "error": _filled(_ERROR, error),
    }


def _check(check: Document) -> Document:
    found = {**_CHECK, **check}
    return {**found, "share": share(found)}


def _input(entry: Document) -> Document:
    lost = [
        {**_LOST, **one, "values": [{**_LOST_VALUE, **value} for value in one.get("values", ())]}
        for one in entry.get("lost", ())
    ]
    return {**_INPUT, **entry, "lost": lost}


def _step_seconds(row: Document) -> float | None:
    """The engine's time; of an attempt without an outcome, the time that it took."""
    if row["status"] == "reused":
        return 0.0
    if row["outcome"]:
        return float(row["outcome"].get("seconds", 0.0))
    return _seconds(row["attempt_started_at"], row["finished_at"])


def _filled(defaults: Document, value: Document | None) -> Document | None:
    """Fields at their default are left out of events, and told in answers."""
    return {**defaults, **value} if value is not None else None


def _decoded(text: object) -> Any:
    return msgspec.json.decode(text) if isinstance(text, str) else None


def _seconds(start: object, end: object) -> float | None:
    if not isinstance(start, str) or not isinstance(end, str):
        return None
    passed = datetime.fromisoformat(end) - datetime.fromisoformat(start)
    return max(passed.total_seconds(), 0.0)
