"""Putting back what a step has set apart, by a new run whose later steps see all of its rows."""

from collections.abc import Sequence
from uuid import UUID

from msgspec.structs import replace

from domain.errors import Rejection
from domain.run.commands import StartRun
from domain.run.events import (
    QuarantineSettled,
    Redo,
    RunCancelled,
    RunCompleted,
    RunEvent,
    RunFailed,
    StepFailed,
    StepOutcome,
    StepReused,
    StepSucceeded,
)
from domain.run.rerun import rerun


def redo(run: UUID, events: Sequence[RunEvent], step: str, rows: str) -> StartRun:
    """The start of a run in which `step` of `run` puts back what it had set apart.

    Steps that do not come after it are taken over. `rows` names a file of mended rows, or is empty
    where they are to be tried as they are. Raises `Rejection`.
    """
    start = rerun(run, events, step)
    outcome, failed = _outcome(events, step)
    if outcome is None or outcome.quarantine is None:
        raise Rejection("nothing_quarantined", f"step {step!r} of run {run} has set nothing apart")
    kind = next(one.kind for one in start.plan if one.id == step)
    if failed and kind == "ingest":
        raise Rejection(
            "step_failed",
            f"step {step!r} of run {run} has failed, so its other rows were not kept: mend the "
            "source, or raise the limit, and start a new run",
        )
    known = Redo(
        run=run,
        step=step,
        quarantine=outcome.quarantine,
        output=None if failed else outcome.output,
        rows_in=outcome.rows_in,
        source=outcome.source,
        patched=outcome.patched,
        row_map=outcome.row_map,
        rows=rows,
    )
    return replace(start, redo=known)


def hold_unsettled(by: UUID, events: Sequence[RunEvent]) -> None:
    """Raise `Rejection` where the run `by`, which was to put a quarantine back, did so or may yet.

    Rows that were put back once are not put back again: what that run has set apart is its own
    quarantine.
    """
    settled = next((one for one in events if isinstance(one, QuarantineSettled)), None)
    if settled is not None:
        left = f"{settled.remaining} are set apart still, in the quarantine of that run"
        raise Rejection(
            "already_settled",
            f"run {by} has put {settled.readmitted} of these rows back"
            + (f"; {left}" if settled.remaining else ""),
            {"run": str(by)},
        )
    if not isinstance(events[-1], RunCompleted | RunFailed | RunCancelled):
        raise Rejection(
            "redo_open", f"run {by} is putting these rows back already", {"run": str(by)}
        )


def _outcome(events: Sequence[RunEvent], step: str) -> tuple[StepOutcome | None, bool]:
    """What is known of a step at its end, and whether it failed."""
    for event in reversed(events):
        if isinstance(event, StepFailed) and event.step == step and event.final:
            return event.outcome, True
        if isinstance(event, StepReused | StepSucceeded) and event.step == step:
            return event.outcome, False
    return None, False
