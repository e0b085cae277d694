"""Pipelines, runs and steps as people watch them."""

from collections.abc import Sequence
from typing import TypeVar, get_args

import msgspec
from msgspec import Raw, Struct

from domain.ids import pipeline_stream
from domain.limits import steps_max
from domain.pipeline.events import (
    PipelinePaused,
    PipelineRegistered,
    PipelineResumed,
    PipelineRetired,
    PipelineRevised,
)
from domain.run.events import (
    CancelRequested,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunPlanned,
    RunStarted,
    StepFailed,
    StepReused,
    StepScheduled,
    StepSkipped,
    StepStarted,
    StepSucceeded,
)
from projections.ports import Add, Change, Column, Put, Row, Table, Value
from projections.projection import AnyHandler, Fact, Handler, Projection

E = TypeVar("E")


def _columns(*, text: str, integer: str) -> tuple[Column, ...]:
    return (
        *(Column(name) for name in text.split()),
        *(Column(name, "integer") for name in integer.split()),
    )


PIPELINES = Table(
    name="monitoring_pipelines",
    columns=_columns(
        text="pipeline status reason bundle description registered_at changed_at changed_by"
        " project env",
        integer="revision last_revision position",
    ),
    key=("pipeline",),
)
"""`revision` is the active one, null as long as there are drafts only."""

RUNS = Table(
    name="monitoring_runs",
    columns=_columns(
        text="run pipeline bundle retry_of retry_from status reason params principal"
        " requested_at finished_at trace_id correlation_id error env",
        integer="revision draft steps succeeded reused failed skipped position last_position",
    ),
    key=("run",),
    indexes=(
        ("position",),
        ("pipeline", "position"),
        ("status", "position"),
        ("pipeline", "status", "position"),
    ),
)
"""`position` is that of the run's first event, `last_position` that of its latest."""

STEPS = Table(
    name="monitoring_steps",
    columns=_columns(
        text="run step kind engine depends status worker due started_at attempt_started_at"
        " finished_at reused_from because outcome error log",
        integer="place attempts lease",
    ),
    key=("run", "step"),
)
"""`outcome` and `error` are as the event has them, so that fields that join need no new view.
`started_at` is when the step was claimed first, `attempt_started_at` when it was last."""


def _registered(fact: Fact[PipelineRegistered]) -> Sequence[Change]:
    # A name that is revived starts anew.
    values: dict[str, Value] = {
        "status": "active",
        "reason": "",
        "registered_at": fact.meta.recorded_at,
        "revision": None,
        "bundle": None,
        "description": "",
        "project": fact.data.project,
        "env": "",
    }
    return (_pipeline(fact, {**values, **_revision(fact.data)}),)


def _revised(fact: Fact[PipelineRevised]) -> Sequence[Change]:
    return (_pipeline(fact, _revision(fact.data)),)


def _paused(fact: Fact[PipelinePaused]) -> Sequence[Change]:
    return (_pipeline(fact, {"status": "paused", "reason": fact.data.reason}),)


def _resumed(fact: Fact[PipelineResumed]) -> Sequence[Change]:
    return (_pipeline(fact, {"status": "active", "reason": fact.data.reason}),)


def _retired(fact: Fact[PipelineRetired]) -> Sequence[Change]:
    return (_pipeline(fact, {"status": "retired", "reason": fact.data.reason}),)


class _Described(Struct, frozen=True):
    description: str = ""


_described = msgspec.json.Decoder(_Described)


def _revision(event: PipelineRegistered | PipelineRevised) -> dict[str, Value]:
    values: dict[str, Value] = {"last_revision": event.revision}
    if event.project:
        values["project"] = event.project
    if event.draft:
        return values
    return {
        **values,
        "revision": event.revision,
        "bundle": event.definition.bundle,
        "env": event.definition.env,
        "description": _described.decode(event.definition.spec).description,
    }


def _pipeline(
    fact: Fact[PipelineRegistered]
    | Fact[PipelineRevised]
    | Fact[PipelinePaused]
    | Fact[PipelineResumed]
    | Fact[PipelineRetired],
    values: dict[str, Value],
) -> Put:
    values["position"] = fact.position
    values["changed_at"] = fact.meta.recorded_at
    values["changed_by"] = fact.meta.principal
    return Put("monitoring_pipelines", (fact.data.pipeline,), values)


_json = msgspec.json.Encoder()


def _text(value: object) -> str:
    """JSON as the event has it: fields at their default are left out."""
    return _json.encode(value).decode()


def _trace_id(traceparent: str | None) -> str | None:
    return traceparent.split("-")[1] if traceparent and traceparent.count("-") >= 3 else None


def _started(fact: Fact[RunStarted]) -> Sequence[Change]:
    run, meta = fact.data, fact.meta
    values: dict[str, Value] = {
        "pipeline": run.pipeline,
        "bundle": run.bundle,
        "retry_of": str(run.retry_of) if run.retry_of else None,
        "retry_from": run.retry_from,
        "status": "running",
        "params": _text(run.params),
        "principal": meta.principal,
        "requested_at": meta.recorded_at,
        "trace_id": _trace_id(meta.traceparent),
        "correlation_id": meta.correlation_id,
        "env": run.env,
        "revision": run.revision,
        "draft": int(run.draft),
        "steps": run.steps,
        "succeeded": 0,
        "reused": 0,
        "failed": 0,
        "skipped": 0,
        "position": fact.position,
        "last_position": fact.position,
    }
    return (Put("monitoring_runs", (fact.id,), values),)


class _Step(Struct, frozen=True, gc=False):
    id: str
    kind: str
    inputs: Raw = Raw(b"[]")
    engine: str = "duckdb"


class _Planned(Struct, frozen=True, gc=False):
    part: int
    steps: tuple[_Step, ...]


def _planned(fact: Fact[_Planned]) -> Sequence[Change]:
    first = (fact.data.part - 1) * steps_max
    return [
        Put(
            "monitoring_steps",
            (fact.id, step.id),
            {
                "place": first + place,
                "kind": step.kind,
                "engine": step.engine,
                "depends": _raw(step.inputs),
                "status": "waiting",
                "attempts": 0,
            },
        )
        for place, step in enumerate(fact.data.steps)
    ]


def _raw(json: Raw) -> str:
    return bytes(json).decode()


def _scheduled(fact: Fact[StepScheduled]) -> Sequence[Change]:
    step = fact.data
    due = _instant(step.due) if step.due else None
    return (_step(fact, step.step, {"status": "scheduled", "due": due}),)


def _instant(value: object) -> str:
    text: str = msgspec.to_builtins(value)
    return text


def _claimed(fact: Fact[StepStarted]) -> Sequence[Change]:
    step, at = fact.data, fact.meta.recorded_at
    values: dict[str, Value] = {
        "status": "running",
        "attempts": step.attempt,
        "lease": step.lease,
        "worker": step.worker,
        "attempt_started_at": at,
        "finished_at": None,
        "outcome": None,
        "error": None,
    }
    if step.lease == 1:
        values["started_at"] = at
    return (_step(fact, step.step, values),)


class _Succeeded(Struct, frozen=True, gc=False):
    step: str
    outcome: Raw
    log: str = ""


def _succeeded(fact: Fact[_Succeeded]) -> Sequence[Change]:
    step = fact.data
    values: dict[str, Value] = {
        "status": "succeeded",
        "finished_at": fact.meta.recorded_at,
        "outcome": _raw(step.outcome),
        "log": step.log,
    }
    return (_step(fact, step.step, values), _count(fact, "succeeded"))


class _Reused(Struct, frozen=True, gc=False):
    step: str
    from_run: str
    outcome: Raw


def _reused(fact: Fact[_Reused]) -> Sequence[Change]:
    step = fact.data
    values: dict[str, Value] = {
        "status": "reused",
        "finished_at": fact.meta.recorded_at,
        "outcome": _raw(step.outcome),
        "reused_from": step.from_run,
    }
    return (_step(fact, step.step, values), _count(fact, "reused"))


class _Failed(Struct, frozen=True, gc=False):
    step: str
    error: Raw
    final: bool = True
    outcome: Raw = Raw(b"")
    """Empty where the event has none."""
    log: str = ""


def _failed(fact: Fact[_Failed]) -> Sequence[Change]:
    step = fact.data
    values: dict[str, Value] = {
        "status": "failed" if step.final else "waiting",
        "finished_at": fact.meta.recorded_at,
        "outcome": _raw(step.outcome) if bytes(step.outcome) else None,
        "error": _raw(step.error),
        "log": step.log,
    }
    change = _step(fact, step.step, values)
    return (change, _count(fact, "failed")) if step.final else (change,)


def _skipped(fact: Fact[StepSkipped]) -> Sequence[Change]:
    step = fact.data
    values: dict[str, Value] = {"status": "skipped", "because": step.because}
    return (_step(fact, step.step, values), _count(fact, "skipped"))


def _step(fact: Fact[E], step: str, values: dict[str, Value]) -> Put:
    return Put("monitoring_steps", (fact.id, step), values)


def _count(fact: Fact[E], column: str) -> Add:
    return Add("monitoring_runs", (fact.id,), {column: 1})


def _cancel_requested(fact: Fact[CancelRequested]) -> Sequence[Change]:
    values: dict[str, Value] = {"reason": fact.data.reason, "last_position": fact.position}
    return (Put("monitoring_runs", (fact.id,), values),)


def _cancelled(fact: Fact[RunCancelled]) -> Sequence[Change]:
    return (_ended(fact, {"status": "cancelled", "reason": fact.data.reason}),)


def _completed(fact: Fact[RunCompleted]) -> Sequence[Change]:
    return (_ended(fact, {"status": "completed"}),)


def _run_failed(fact: Fact[RunFailed]) -> Sequence[Change]:
    error: dict[str, Value] = msgspec.to_builtins(fact.data.error)
    return (_ended(fact, {"status": "failed", "error": _text({"step": fact.data.step, **error})}),)


def _ended(fact: Fact[E], values: dict[str, Value]) -> Put:
    values["finished_at"] = fact.meta.recorded_at
    values["last_position"] = fact.position
    return Put("monitoring_runs", (fact.id,), values)


_SUCCESSES: tuple[type[StepSucceeded], ...] = get_args(StepSucceeded)

_HANDLERS: tuple[AnyHandler, ...] = (
    Handler(PipelineRegistered, _registered),
    Handler(PipelineRevised, _revised),
    Handler(PipelinePaused, _paused),
    Handler(PipelineResumed, _resumed),
    Handler(PipelineRetired, _retired),
    Handler(RunStarted, _started),
    Handler(RunPlanned, _planned, _Planned),
    Handler(StepScheduled, _scheduled),
    Handler(StepStarted, _claimed),
    *(Handler(kind, _succeeded, _Succeeded) for kind in _SUCCESSES),
    Handler(StepReused, _reused, _Reused),
    Handler(StepFailed, _failed, _Failed),
    Handler(StepSkipped, _skipped),
    Handler(CancelRequested, _cancel_requested),
    Handler(RunCancelled, _cancelled),
    Handler(RunCompleted, _completed),
    Handler(RunFailed, _run_failed),
)


def _stream_of_pipeline(row: Row) -> str:
    return str(pipeline_stream(str(row["pipeline"])))


def _stream_of_run(row: Row) -> str:
    return f"run/{row['run']}"


MONITORING = Projection(
    name="monitoring",
    version=3,
    tables={PIPELINES: _stream_of_pipeline, RUNS: _stream_of_run, STEPS: _stream_of_run},
    handlers=_HANDLERS,
)
"""What `pipelines`, `runs`, `show` and `watch` read."""
