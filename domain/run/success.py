"""The facts of a step's success."""

from collections.abc import Iterator

from domain.parts import in_parts
from domain.run.commands import Reused, Succeeded
from domain.run.events import (
    ColumnsTraced,
    DataCleaned,
    DataIndexed,
    DataIngested,
    DataProcessed,
    DataStored,
    DataValidated,
    NotificationSent,
    PlannedStep,
    QualityChecked,
    QuarantineSettled,
    RunEvent,
    StepReused,
    StepSucceeded,
)
from domain.run.state import InWork, Running

_SUCCESS: dict[str, type[StepSucceeded]] = {
    "ingest": DataIngested,
    "validate": DataValidated,
    "clean": DataCleaned,
    "transform": DataProcessed,
    "check": QualityChecked,
    "store": DataStored,
    "index": DataIndexed,
    "notify": NotificationSent,
}
"""Step kind → the fact of its success; kinds from elsewhere transform."""


def success(
    run: Running, step: PlannedStep, held: InWork, outcome: Succeeded | Reused
) -> Iterator[RunEvent]:
    """What follows from an outcome of `step`, whose lease is `held`."""
    if isinstance(outcome, Reused):
        yield StepReused(
            step=step.id,
            from_run=outcome.from_run,
            outcome=outcome.outcome,
            attempt=held.attempt,
            lease=held.lease,
        )
    else:
        yield _SUCCESS.get(step.kind, DataProcessed)(
            step=step.id,
            attempt=held.attempt,
            lease=held.lease,
            outcome=outcome.outcome,
            log=outcome.log,
        )
    parts = in_parts(outcome.edges)
    for number, edges in enumerate(parts, 1):
        yield ColumnsTraced(step=step.id, part=number, parts=len(parts), edges=edges)
    redo = run.facts.redo
    if redo is not None and redo.step == step.id:
        yield QuarantineSettled(
            step=redo.step,
            of_run=redo.run,
            quarantine=redo.quarantine,
            readmitted=outcome.outcome.readmitted or 0,
            remaining=outcome.outcome.rows_quarantined or 0,
        )
