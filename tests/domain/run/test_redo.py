"""Rows that a step has set apart are put back by a run of their own."""

from uuid import UUID

import pytest
from msgspec.structs import replace

from domain.data.dataset import DatasetVersion
from domain.errors import Rejection
from domain.run.commands import Failed, ReportStep, Succeeded
from domain.run.events import (
    DataIngested,
    QuarantineSettled,
    RunStarted,
    StepError,
    StepOutcome,
    StepReused,
    StepScheduled,
)
from domain.run.redo import hold_unsettled, redo
from domain.run.rerun import rerun
from tests.domain.run.stories import (
    Run,
    cancel,
    claim,
    failure,
    outcome,
    run_after,
    start,
    step,
    success,
)

RUN, AGAIN = UUID(int=7), UUID(int=8)
APART = DatasetVersion(dataset="flights.a.quarantine", fingerprint="9" * 64, rows=3, bytes=30)
MADE = replace(outcome("a"), quarantine=APART, rows_quarantined=3, rows_in=13)
TOO_MANY = StepError(code="too_many_quarantined", message="3 of 13")


def reported(id_: str, result: Succeeded | Failed) -> ReportStep:
    return ReportStep(step=id_, attempt=1, lease=1, outcome=result)


def dirty(kind: str = "ingest", *, failed: bool = False) -> Run:
    """A run whose first step has set three rows apart."""
    result = (
        Failed(error=TOO_MANY, outcome=StepOutcome(rows_in=13, quarantine=APART))
        if failed
        else Succeeded(outcome=MADE)
    )
    plan = (step("a", kind=kind), step("b", "a"), step("c"))
    history = run_after(start(*plan), claim("a"), reported("a", result), claim("c"), success("c"))
    return history if failed else history.when(claim("b")).and_so().when(success("b")).and_so()


def putting_back() -> Run:
    """The run that does so, before its first step."""
    return run_after(redo(RUN, dirty().events, "a", "mended.csv"))


def test_the_new_run_knows_what_is_put_back_and_takes_over_the_rest() -> None:
    again = putting_back()
    started = again.events[0]
    assert isinstance(started, RunStarted)
    assert started.redo is not None
    assert (started.redo.run, started.redo.step, started.redo.rows) == (RUN, "a", "mended.csv")
    assert (started.redo.quarantine, started.redo.output) == (APART, MADE.output)
    assert (started.retry_of, started.retry_from) == (RUN, "a")
    assert [one.step for one in again.events if isinstance(one, StepReused)] == ["c"]
    assert isinstance(again.events[-1], StepScheduled)


def test_its_settlement_is_an_event_of_its_own() -> None:
    made = replace(MADE, readmitted=2, rows_quarantined=1)
    again = putting_back().when(claim("a")).and_so()
    again.when(reported("a", Succeeded(outcome=made))).then(
        DataIngested(step="a", attempt=1, lease=1, outcome=made),
        QuarantineSettled(step="a", of_run=RUN, quarantine=APART, readmitted=2, remaining=1),
        StepScheduled(step="b", attempt=1),
    )


def test_rows_are_put_back_once() -> None:
    again = putting_back()
    with pytest.raises(Rejection) as refused:
        hold_unsettled(AGAIN, again.events)
    assert (refused.value.code, refused.value.details) == ("redo_open", {"run": str(AGAIN)})
    again = again.when(claim("a")).and_so()
    made = replace(MADE, readmitted=2, rows_quarantined=1)
    settled = again.when(reported("a", Succeeded(outcome=made))).and_so()
    for history in (settled, settled.when(claim("b")).and_so().when(failure("b")).and_so()):
        with pytest.raises(Rejection) as refused:
            hold_unsettled(AGAIN, history.events)
        assert refused.value.code == "already_settled"
        assert "has put 2 of these rows back; 1 are set apart still" in refused.value.message


def test_a_run_that_put_nothing_back_makes_room_for_another() -> None:
    again = putting_back()
    hold_unsettled(AGAIN, again.when(cancel()).and_so().events)
    failed = again.when(claim("a")).and_so().when(failure("a")).and_so()
    hold_unsettled(AGAIN, failed.events)
    retried = rerun(AGAIN, failed.events, None)
    assert retried.redo is not None
    assert retried.redo.run == RUN


@pytest.mark.parametrize(("id_", "code"), [("b", "nothing_quarantined"), ("z", "step_not_found")])
def test_what_set_nothing_apart_has_nothing_to_put_back(id_: str, code: str) -> None:
    with pytest.raises(Rejection) as refused:
        redo(RUN, dirty().events, id_, "mended.csv")
    assert refused.value.code == code


def test_of_a_failed_step_only_its_input_is_there() -> None:
    with pytest.raises(Rejection) as refused:
        redo(RUN, dirty(failed=True).events, "a", "mended.csv")
    assert refused.value.code == "step_failed"
    known = redo(RUN, dirty("validate", failed=True).events, "a", "mended.csv").redo
    assert known is not None
    assert (known.quarantine, known.output) == (APART, None)


def test_a_run_that_is_not_over_is_left_alone() -> None:
    history = run_after(start(step("a")), claim("a"))
    with pytest.raises(Rejection) as refused:
        redo(RUN, history.events, "a", "mended.csv")
    assert refused.value.code == "run_not_finished"
