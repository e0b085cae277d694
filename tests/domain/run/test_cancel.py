"""Stopping a run on request."""

from domain.run.aggregate import RUN
from domain.run.events import (
    CancelRequested,
    DataProcessed,
    RunCancelled,
    StepError,
    StepFailed,
)
from domain.run.state import Cancelling, Finished
from tests.domain.run.stories import (
    HICCUP,
    cancel,
    claim,
    failure,
    run_after,
    start,
    step,
    success,
)
from tests.domain.specification import Given

STOPPED = StepError(code="cancelled", message="the run was cancelled")


def test_a_run_without_work_stops_at_once() -> None:
    run_after(start(step("a"))).when(cancel("wrong day")).then(
        CancelRequested(reason="wrong day"), RunCancelled(reason="wrong day")
    )


def test_a_run_in_work_waits_for_its_workers() -> None:
    run = run_after(start(step("a"), step("b")), claim("a"), claim("b"))
    run.when(cancel()).then(CancelRequested())
    run = run.when(cancel()).and_so()
    assert isinstance(run.state, Cancelling)
    run.when(failure("a", error=STOPPED)).then(
        StepFailed(step="a", attempt=1, lease=1, error=STOPPED)
    )
    run.when(failure("a", error=STOPPED)).and_so().when(failure("b", error=STOPPED)).then(
        StepFailed(step="b", attempt=1, lease=1, error=STOPPED), RunCancelled()
    )


def test_work_that_is_done_all_the_same_is_kept() -> None:
    run = run_after(start(step("a"), step("b", "a")), claim("a"), cancel("enough"))
    events = run.when(success("a")).events
    assert isinstance(events[0], DataProcessed)
    assert events[1:] == (RunCancelled(reason="enough"),)


def test_nothing_is_tried_again_while_stopping() -> None:
    run = run_after(start(step("a", attempts=5)), claim("a"), cancel())
    run.when(failure("a", error=HICCUP)).then(
        StepFailed(step="a", attempt=1, lease=1, error=HICCUP), RunCancelled()
    )


def test_nothing_new_is_begun_while_stopping() -> None:
    run = run_after(start(step("a"), step("b")), claim("a"), cancel())
    run.when(claim("b")).rejected("step_not_open")


def test_a_claim_while_stopping_ends_the_lease_of_a_worker_that_vanished() -> None:
    run = run_after(start(step("a", attempts=3)), claim("a"), cancel())
    run.when(claim("a", worker="worker:bob")).then(
        StepFailed(step="a", attempt=1, lease=1, error=STOPPED), RunCancelled()
    )


def test_a_step_waiting_for_its_next_attempt_does_not_hold_up_the_stop() -> None:
    run = run_after(start(step("a", attempts=3)), claim("a"), failure("a", error=HICCUP))
    run.when(cancel()).then(CancelRequested(), RunCancelled())


def test_asking_twice_changes_nothing() -> None:
    run_after(start(step("a")), claim("a"), cancel("first")).when(cancel("second")).nothing()


def test_what_is_over_or_unknown_cannot_be_stopped() -> None:
    Given(RUN).when(cancel()).rejected("run_not_found")
    run_after(start(step("a")), claim("a"), success("a")).when(cancel()).rejected("run_finished")


def test_a_cancelled_run_is_over() -> None:
    run = run_after(start(step("a")), cancel())
    assert isinstance(run.state, Finished)
    assert run.state.status == "cancelled"
    run.when(claim("a")).rejected("step_not_open")
