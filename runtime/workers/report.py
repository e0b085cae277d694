"""What a worker tells of the work in its hands, and what it asks for in its place."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import uuid5

from msgspec import Struct

from commands.steps.ahead import leased_behind
from commands.steps.work import StepWork
from domain.errors import Rejection
from domain.run.commands import DoneAhead, Failed, StepResult
from domain.run.events import StepError
from runtime.workers.job import Job

quick_seconds = 0.02
"""A worker whose steps take no longer asks for several at once: nobody notices how long the last of
them waits in its hands."""


CANCELLED = Failed(error=StepError(code="cancelled", message="the run is cancelled"))
"""In the place of work that was ended."""


class GoingOn(Struct, frozen=True, kw_only=True):
    """What a worker may do next."""

    worker: str
    """Its name, where it may take other steps."""
    is_staying: bool
    """Whether it may end what it has begun."""


def report_of(
    job: Job, work: StepWork, outcome: StepResult, *, going_on: GoingOn
) -> dict[str, Any]:
    """The report of a step, and of all that was done behind it meanwhile."""
    then = job.doing.results_there() if job.doing else ()
    if outcome is CANCELLED and job.assigned is not None:
        behind = leased_behind(job.assigned, work.step)
        then = tuple(DoneAhead(step=one, outcome=CANCELLED) for one in behind)
    left = job.stint.after(1 + len(then)).takes_left
    quick = _are_quick((outcome, *(one.outcome for one in then)))
    return {
        "run": work.run,
        "step": work.step,
        "attempt": work.attempt,
        "lease": work.lease,
        "outcome": outcome,
        "command_id": uuid5(work.run, f"{work.step}/{work.lease}"),
        "take": going_on.worker,
        "takes": max(left, 1) if quick else 1,
        "then": then,
        "next": job.doing.current if job.doing and going_on.is_staying else "",
    }


def shortened(told: Mapping[str, Any], rejection: Rejection) -> dict[str, Any]:
    """A report in the place of one that is too large: of the step alone, and then of nothing but
    that its outcome cannot be told."""
    if told["then"]:
        return {**told, "then": (), "next": ""}
    error = StepError(
        code="outcome_too_large",
        message=f"the step is done, but its outcome cannot be stored: {rejection.message}",
        hint="fewer checks, columns or counts in one step",
    )
    return {**told, "take": "", "next": "", "outcome": Failed(error=error)}


def _are_quick(results: Iterable[StepResult]) -> bool:
    outcomes = [one.outcome for one in results]
    return all(one is not None and one.seconds <= quick_seconds for one in outcomes)
