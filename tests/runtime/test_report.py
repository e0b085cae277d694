"""What a worker tells of the work in its hands."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from commands.ports import Task
from commands.steps.work import StepAhead, StepWork
from domain.errors import Rejection
from domain.run.commands import DoneAhead, Failed, StepResult, Succeeded
from domain.run.events import StepError, StepOutcome
from runtime.workers.job import Job, Stint
from runtime.workers.report import CANCELLED, GoingOn, quick_seconds, report_of, shortened

pytestmark = pytest.mark.anyio

RUN = UUID(int=7)
WORK = StepWork(
    run=RUN,
    step="a",
    attempt=1,
    lease=1,
    pipeline="flights",
    revision=1,
    bundle="b" * 64,
    root="/data",
    params={},
    run_time=datetime(2026, 11, 26, tzinfo=UTC),
    ahead=(
        StepAhead(step="b", inputs=(), lease=1),
        StepAhead(step="c", inputs=("a",)),
        StepAhead(step="d", inputs=(), lease=1),
    ),
)
FAILED = Failed(error=StepError(code="sql_error", message="no such column"))


def succeeded(seconds: float = 0.0) -> Succeeded:
    """A step that went well."""
    return Succeeded(outcome=StepOutcome(seconds=seconds))


def told(outcome: StepResult, *, takes_left: int = 8, worker: str = "w1") -> dict[str, Any]:
    """The report of a job that has nothing done behind it."""
    job = Job(Task(run=RUN, step="a", attempt=1), Stint(end=1.0, takes_left=takes_left))
    job.assigned, job.is_cancelled = WORK, True
    return report_of(job, WORK, outcome, going_on=GoingOn(worker=worker, is_staying=True))


async def test_cancelled_work_takes_all_that_is_in_the_same_hands_with_it() -> None:
    assert told(CANCELLED)["then"] == (
        DoneAhead(step="b", outcome=CANCELLED),
        DoneAhead(step="d", outcome=CANCELLED),
    )


@pytest.mark.parametrize("outcome", [succeeded(), FAILED], ids=["done", "failed"])
async def test_work_that_ended_before_it_could_be_cancelled_speaks_for_itself_alone(
    outcome: StepResult,
) -> None:
    assert told(outcome)["then"] == ()


@pytest.mark.parametrize(
    ("outcome", "left", "takes"),
    [
        (succeeded(quick_seconds), 8, 7),
        (succeeded(quick_seconds), 1, 1),
        (succeeded(quick_seconds * 2), 8, 1),
        (FAILED, 8, 1),
    ],
    ids=["quick", "the last that may be taken", "slow", "nobody knows"],
)
async def test_who_is_quick_takes_several(outcome: StepResult, left: int, takes: int) -> None:
    assert told(outcome, takes_left=left)["takes"] == takes


async def test_a_report_that_is_too_large_leaves_out_first_what_can_be_told_later() -> None:
    refused = Rejection("too_large", "a payload of 900000 bytes")
    whole = told(succeeded()) | {"then": (DoneAhead(step="b", outcome=FAILED),), "next": "d"}
    alone = shortened(whole, refused)
    assert (alone["then"], alone["next"], alone["outcome"]) == ((), "", succeeded())
    least = shortened(alone, refused)
    assert least["outcome"].error.code == "outcome_too_large"
    assert replace(least["outcome"].error, message="", hint="") == StepError(
        code="outcome_too_large", message=""
    )
