"""Steps that somebody should be working on: what the dispatch policy ensures tasks for."""

from collections.abc import Sequence
from typing import get_args

import msgspec
from msgspec import Struct

from domain.run.events import (
    RunCancelled,
    RunCompleted,
    RunFailed,
    StepFailed,
    StepReused,
    StepScheduled,
    StepSkipped,
    StepStarted,
    StepSucceeded,
)
from projections.ports import Change, Column, Delete, DeleteWhere, Put, Row, Table
from projections.projection import AnyHandler, Fact, Handler, Projection

STEPS = Table(
    name="dispatch_steps",
    columns=(
        Column("run"),
        Column("step"),
        Column("attempt", "integer"),
        Column("engine"),
        Column("due"),
        Column("in_work", "integer"),
        Column("traceparent"),
        Column("correlation_id"),
    ),
    key=("run", "step"),
)
"""Open steps only: a row goes when its attempt ends, the last ones with the run."""


def _scheduled(fact: Fact[StepScheduled]) -> Sequence[Change]:
    step = fact.data
    return (
        Put(
            "dispatch_steps",
            (fact.id, step.step),
            {
                "attempt": step.attempt,
                "engine": step.engine,
                "due": msgspec.to_builtins(step.due),
                "in_work": 0,
                "traceparent": fact.meta.traceparent,
                "correlation_id": fact.meta.correlation_id,
            },
        ),
    )


class _Step(Struct, frozen=True, gc=False):
    step: str


class _Run(Struct, frozen=True, gc=False):
    """Nothing but that it has ended."""


def _claimed(fact: Fact[_Step]) -> Sequence[Change]:
    return (Put("dispatch_steps", (fact.id, fact.data.step), {"in_work": 1}),)


def _closed(fact: Fact[_Step]) -> Sequence[Change]:
    return (Delete("dispatch_steps", (fact.id, fact.data.step)),)


def _ended(fact: Fact[_Run]) -> Sequence[Change]:
    return (DeleteWhere("dispatch_steps", {"run": fact.id}),)


_Closing = StepSucceeded | StepReused | StepFailed | StepSkipped
_Ending = RunCancelled | RunCompleted | RunFailed
_CLOSING: tuple[type[_Closing], ...] = get_args(_Closing)
_ENDING: tuple[type[_Ending], ...] = get_args(_Ending)

_HANDLERS: tuple[AnyHandler, ...] = (
    Handler(StepScheduled, _scheduled),
    Handler(StepStarted, _claimed, _Step),
    *(Handler(kind, _closed, _Step) for kind in _CLOSING),
    *(Handler(kind, _ended, _Run) for kind in _ENDING),
)


def _stream_of_run(row: Row) -> str:
    return f"run/{row['run']}"


DISPATCH = Projection(
    name="dispatch", version=1, tables={STEPS: _stream_of_run}, handlers=_HANDLERS
)
"""What the dispatch policy reads."""
