"""Runs told command by command, for tests that begin in the middle of one."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from domain.data.dataset import DatasetVersion
from domain.data.lineage import ColumnEdge
from domain.run.aggregate import RUN
from domain.run.commands import (
    CancelRun,
    ClaimStep,
    Failed,
    ReportStep,
    ReusedStep,
    RunCommand,
    StartRun,
    Succeeded,
)
from domain.run.events import PlannedStep, RunEvent, StepError, StepOutcome
from domain.run.retry import RetryPolicy
from domain.run.state import RunState
from tests.domain.specification import NOON, Given

EARLIER_RUN = UUID("0195a000-0000-7000-8000-000000000001")

BROKEN = StepError(code="sql_failed", message="division by zero", where="flights.yaml:14")
HICCUP = StepError(code="source_changed", message="the file changed", retryable=True)

Run = Given[RunState, RunCommand, RunEvent]


def step(
    id_: str, *inputs: str, kind: str = "transform", attempts: int = 1, engine: str = "duckdb"
) -> PlannedStep:
    """A step of a plan; backoff 1, 2, 4 … seconds where it has several attempts."""
    retry = RetryPolicy(attempts=attempts)
    return PlannedStep(id=id_, kind=kind, inputs=inputs, retry=retry, engine=engine)


def start(*plan: PlannedStep, parallel: int = 64, reused: Sequence[ReusedStep] = ()) -> StartRun:
    """Begin a run of this plan."""
    return StartRun(
        pipeline="flights",
        revision=3,
        bundle="b" * 64,
        draft=False,
        root="/data",
        params={"min_month": 1},
        plan=plan,
        parallel=parallel,
        reused=tuple(reused),
    )


def claim(
    id_: str, attempt: int = 1, worker: str = "worker:ada", *, crashed: bool = False
) -> ClaimStep:
    """A worker wants the step."""
    return ClaimStep(step=id_, attempt=attempt, worker=worker, crashed=crashed)


def outcome(id_: str) -> StepOutcome:
    """What a step that wrote ten rows proves."""
    version = DatasetVersion(dataset=f"flights.{id_}", fingerprint="f" * 64, rows=10, bytes=100)
    return StepOutcome(key="k" * 64, output=version, rows_out=10)


def success(
    id_: str,
    attempt: int = 1,
    lease: int = 1,
    edges: tuple[ColumnEdge, ...] = (),
    take: str = "",
) -> ReportStep:
    """The step's work is done; its worker may ask for more."""
    return ReportStep(
        step=id_,
        attempt=attempt,
        lease=lease,
        outcome=Succeeded(outcome=outcome(id_), edges=edges, log=f"{id_}.log"),
        take=take,
    )


def failure(id_: str, attempt: int = 1, lease: int = 1, error: StepError = BROKEN) -> ReportStep:
    """The step's work is not done."""
    return ReportStep(step=id_, attempt=attempt, lease=lease, outcome=Failed(error=error))


def reused(id_: str) -> ReusedStep:
    """The step's outcome is taken from an earlier run."""
    return ReusedStep(step=id_, from_run=EARLIER_RUN, outcome=outcome(id_))


def cancel(reason: str = "") -> CancelRun:
    """Somebody wants the run to stop."""
    return CancelRun(reason=reason)


def run_after(*commands: RunCommand, at: datetime = NOON) -> Run:
    """The history that these commands make, each of them accepted."""
    run: Run = Given(RUN)
    for command in commands:
        run = run.when(command, at).and_so()
    return run
