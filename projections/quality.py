"""What rules found, run by run: how many rows each was about, and how many broke it."""

from collections import Counter
from collections.abc import Sequence
from typing import get_args

from msgspec import Struct

from domain.data.quality import CheckResult
from domain.run.events import RunStarted, StepFailed, StepReused, StepSucceeded
from projections.ports import Change, Column, DeleteWhere, Put, Row, Table
from projections.projection import AnyHandler, Fact, Handler, Projection

RUNS = Table(
    name="quality_runs",
    columns=(
        Column("run"),
        Column("pipeline"),
        Column("position", "integer"),
        Column("checked", "integer"),
    ),
    key=("run",),
    indexes=(("pipeline", "checked"),),
)
"""`checked` is the position of the run's latest outcome with results, null as long as there is
none."""

CHECKS = Table(
    name="quality_checks",
    columns=(
        Column("run"),
        Column("step"),
        Column("place", "integer"),
        Column("name"),
        Column("rule"),
        Column("severity"),
        Column("passed", "integer"),
        Column("checked_rows", "integer"),
        Column("failing_rows", "integer"),
        Column("null_rows", "integer"),
        Column("tolerance"),
        Column("observed"),
        Column("reused_from"),
        Column("recorded_at"),
        Column("position", "integer"),
    ),
    key=("run", "step", "place"),
)
"""The results of each step's latest attempt, in the order of its rules."""


class _Started(Struct, frozen=True, gc=False):
    pipeline: str


def _started(fact: Fact[_Started]) -> Sequence[Change]:
    return (
        Put(
            "quality_runs", (fact.id,), {"pipeline": fact.data.pipeline, "position": fact.position}
        ),
    )


class _Outcome(Struct, frozen=True, gc=False):
    checks: tuple[CheckResult, ...] = ()


class _Ended(Struct, frozen=True, gc=False):
    step: str
    attempt: int = 0
    outcome: _Outcome | None = None
    from_run: str | None = None


def _ended(fact: Fact[_Ended]) -> Sequence[Change]:
    event = fact.data
    checks = event.outcome.checks if event.outcome is not None else ()
    changes: list[Change] = []
    if event.attempt > 1:
        changes.append(DeleteWhere("quality_checks", {"run": fact.id, "step": event.step}))
    if checks:
        changes.append(Put("quality_runs", (fact.id,), {"checked": fact.position}))
    seen: Counter[str] = Counter()
    for place, check in enumerate(checks):
        seen[check.name] += 1
        # Two rules of one name are two rules all the same.
        name = check.name if seen[check.name] == 1 else f"{check.name} ({seen[check.name]})"
        changes.append(_check(fact, place, name, check))
    return changes


def _check(fact: Fact[_Ended], place: int, name: str, check: CheckResult) -> Put:
    return Put(
        "quality_checks",
        (fact.id, fact.data.step, place),
        {
            "name": name,
            "rule": check.rule,
            "severity": check.severity,
            "passed": int(check.passed),
            "checked_rows": check.checked_rows,
            "failing_rows": check.failing_rows,
            "null_rows": check.null_rows,
            "tolerance": check.tolerance,
            "observed": check.observed,
            "reused_from": fact.data.from_run,
            "recorded_at": fact.meta.recorded_at,
            "position": fact.position,
        },
    )


_SUCCESSES: tuple[type[StepSucceeded], ...] = get_args(StepSucceeded)

_HANDLERS: tuple[AnyHandler, ...] = (
    Handler(RunStarted, _started, _Started),
    *(Handler(kind, _ended, _Ended) for kind in _SUCCESSES),
    Handler(StepReused, _ended, _Ended),
    Handler(StepFailed, _ended, _Ended),
)


def _stream_of_run(row: Row) -> str | None:
    return f"run/{row['run']}"


QUALITY = Projection(
    name="quality",
    version=1,
    tables=dict.fromkeys((RUNS, CHECKS), _stream_of_run),
    handlers=_HANDLERS,
)
"""What `checks` reads."""
