"""Who may work on a step, whose report counts, and what becomes of workers that vanish."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from domain.limits import crashes_max, leases_max
from domain.run.aggregate import RUN
from domain.run.commands import ClaimStep, RunCommand
from domain.run.events import (
    DataProcessed,
    RunCompleted,
    RunFailed,
    StepFailed,
    StepScheduled,
    StepStarted,
)
from tests.domain.run.stories import (
    HICCUP,
    cancel,
    claim,
    failure,
    outcome,
    run_after,
    start,
    step,
    success,
)
from tests.domain.specification import NOON, Given


def test_a_claim_on_a_step_in_work_takes_it_over() -> None:
    run_after(start(step("a")), claim("a")).when(claim("a", worker="worker:bob")).then(
        StepStarted(step="a", attempt=1, lease=2, worker="worker:bob")
    )


def test_after_a_takeover_only_the_new_lease_counts() -> None:
    run = run_after(start(step("a")), claim("a"), claim("a", worker="worker:bob"))
    run.when(success("a", lease=1)).rejected("lease_lost")
    run.when(failure("a", lease=1)).rejected("lease_lost")
    run.when(success("a", lease=2)).then(
        DataProcessed(step="a", attempt=1, lease=2, outcome=outcome("a"), log="a.log"),
        RunCompleted(),
    )


@pytest.mark.parametrize(
    ("again", "leases"),
    [(claim("a"), leases_max), (claim("a", crashed=True), crashes_max)],
    ids=["ten workers", "three processes"],
)
def test_what_loses_too_many_fails(again: ClaimStep, leases: int) -> None:
    run = run_after(start(step("a")), claim("a"), *[again] * (leases - 1))
    events = run.when(again).events
    assert isinstance(events[0], StepFailed)
    assert (events[0].lease, events[0].error.code, events[0].final) == (leases, "worker_lost", True)
    assert isinstance(events[1], RunFailed)
    assert events[1].error.code == "worker_lost"


def test_a_dead_process_counts_among_lost_workers() -> None:
    run = run_after(start(step("a")), claim("a"), claim("a", crashed=True), claim("a"))
    run.when(claim("a", crashed=True)).then(
        StepStarted(step="a", attempt=1, lease=4, worker="worker:ada", crashes=2)
    )
    run = run.when(claim("a", crashed=True)).and_so()
    assert isinstance(run.when(claim("a")).events[0], StepStarted)
    assert isinstance(run.when(claim("a", crashed=True)).events[-1], RunFailed)


def test_a_process_that_died_under_a_lost_lease_is_not_counted() -> None:
    run = run_after(start(step("a")), claim("a"), claim("a", worker="worker:bob"))
    run.when(claim("a", crashed=True)).then(
        StepStarted(step="a", attempt=1, lease=3, worker="worker:ada")
    )


def test_another_attempt_begins_without_crashes() -> None:
    run = run_after(
        start(step("a", attempts=2)), claim("a"), *[claim("a", crashed=True)] * crashes_max
    )
    run.when(claim("a", attempt=2)).then(
        StepStarted(step="a", attempt=2, lease=4, worker="worker:ada")
    )


def test_a_step_that_loses_workers_is_tried_again_with_fresh_leases() -> None:
    run = run_after(start(step("a", attempts=2)), *[claim("a")] * leases_max)
    events = run.when(claim("a")).events
    assert isinstance(events[0], StepFailed)
    assert not events[0].final
    assert events[1:] == (StepScheduled(step="a", attempt=2, due=NOON + timedelta(seconds=1)),)
    run = run.when(claim("a")).and_so()
    run.when(claim("a", attempt=2)).then(
        StepStarted(step="a", attempt=2, lease=leases_max + 1, worker="worker:ada")
    )
    run = run_after(
        start(step("a", attempts=2)),
        *[claim("a")] * (leases_max + 1),
        *[claim("a", attempt=2)] * leases_max,
    )
    assert isinstance(run.when(claim("a", attempt=2)).events[-1], RunFailed)


def test_the_lost_workers_report_comes_too_late() -> None:
    run = run_after(start(step("a", attempts=2)), *[claim("a")] * (leases_max + 1))
    run.when(success("a", lease=leases_max)).rejected("lease_lost")


def test_a_failure_that_may_pass_is_tried_again_when_it_is_due() -> None:
    run = run_after(start(step("a", attempts=3)), claim("a"))
    run.when(failure("a", error=HICCUP)).then(
        StepFailed(step="a", attempt=1, lease=1, error=HICCUP, final=False),
        StepScheduled(step="a", attempt=2, due=NOON + timedelta(seconds=1)),
    )
    run = run.when(failure("a", error=HICCUP)).and_so().when(claim("a", attempt=2)).and_so()
    run.when(failure("a", attempt=2, lease=2, error=HICCUP)).then(
        StepFailed(step="a", attempt=2, lease=2, error=HICCUP, final=False),
        StepScheduled(step="a", attempt=3, due=NOON + timedelta(seconds=2)),
    )


def test_the_last_attempt_is_final() -> None:
    run = run_after(
        start(step("a", attempts=2)),
        claim("a"),
        failure("a", error=HICCUP),
        claim("a", attempt=2),
    )
    run.when(failure("a", attempt=2, lease=2, error=HICCUP)).then(
        StepFailed(step="a", attempt=2, lease=2, error=HICCUP),
        RunFailed(step="a", failed=1, skipped=0, error=HICCUP),
    )


def test_a_failure_that_will_not_pass_is_final_at_once() -> None:
    events = run_after(start(step("a", attempts=3)), claim("a")).when(failure("a")).events
    assert isinstance(events[0], StepFailed)
    assert events[0].final
    assert isinstance(events[1], RunFailed)


def test_a_later_attempt_can_succeed() -> None:
    run = run_after(
        start(step("a", attempts=2)), claim("a"), failure("a", error=HICCUP), claim("a", 2)
    )
    events = run.when(success("a", attempt=2, lease=2)).events
    assert isinstance(events[0], DataProcessed)
    assert events[1] == RunCompleted()


def test_waiting_for_another_attempt_keeps_the_place_of_the_step() -> None:
    plan = (step("a", attempts=2), step("b"))
    run = run_after(start(*plan, parallel=1), claim("a"))
    events = run.when(failure("a", error=HICCUP)).events
    assert [event.step for event in events if isinstance(event, StepScheduled)] == ["a"]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (claim("b"), "step_not_open"),
        (claim("a", attempt=2), "step_not_open"),
        (claim("z"), "step_not_found"),
        (success("z"), "step_not_found"),
        (success("a"), "lease_lost"),
        (failure("a"), "lease_lost"),
        (success("b"), "lease_lost"),
    ],
)
def test_only_what_is_open_can_be_claimed_and_reported(command: RunCommand, code: str) -> None:
    run_after(start(step("a"), step("b", "a"))).when(command).rejected(code)


def test_an_old_attempt_cannot_be_claimed() -> None:
    run = run_after(start(step("a", attempts=2)), claim("a"), failure("a", error=HICCUP))
    run.when(claim("a", attempt=1)).rejected("step_not_open")


def test_a_report_is_counted_once() -> None:
    run = run_after(start(step("a"), step("b", "a")), claim("a"), success("a"))
    run.when(success("a")).rejected("lease_lost")
    run.when(claim("a")).rejected("step_not_open")


def test_a_finished_run_takes_no_work() -> None:
    run = run_after(start(step("a")), claim("a"), success("a"))
    run.when(claim("a")).rejected("step_not_open")
    run.when(success("a")).rejected("lease_lost")


def test_a_run_that_never_started_takes_no_work() -> None:
    Given(RUN).when(claim("a")).rejected("run_not_found")
    Given(RUN).when(success("a")).rejected("lease_lost")


def test_a_report_can_take_a_step_that_it_makes_ready() -> None:
    run = run_after(start(step("a"), step("b", "a"), step("c", "a")), claim("a"))
    run.when(success("a", take="worker:ada")).then(
        DataProcessed(step="a", attempt=1, lease=1, outcome=outcome("a"), log="a.log"),
        StepScheduled(step="b", attempt=1),
        StepStarted(step="b", attempt=1, lease=1, worker="worker:ada"),
        StepScheduled(step="c", attempt=1),
    )


def test_a_run_can_begin_in_the_hands_of_a_worker() -> None:
    begun = replace(start(step("a"), step("b")), take="worker:ada")
    events = Given(RUN).when(begun).events
    assert events[2:] == (
        StepScheduled(step="a", attempt=1),
        StepStarted(step="a", attempt=1, lease=1, worker="worker:ada"),
        StepScheduled(step="b", attempt=1),
    )


def test_a_run_begins_in_nobodys_hands_where_no_step_is_for_them() -> None:
    begun = replace(start(step("a", engine="spark")), take="worker:ada")
    assert Given(RUN).when(begun).events[2:] == (
        StepScheduled(step="a", attempt=1, engine="spark"),
    )


def test_what_is_taken_counts_like_what_is_claimed() -> None:
    run = run_after(start(step("a"), step("b", "a")), claim("a"), success("a", take="worker:ada"))
    run.when(claim("b", worker="worker:bob")).then(
        StepStarted(step="b", attempt=1, lease=2, worker="worker:bob")
    )
    assert isinstance(run.when(success("b", take="worker:ada")).events[-1], RunCompleted)


@pytest.mark.parametrize(
    "history",
    [
        (start(step("a"), step("b"), step("c", "a", "b")), claim("a"), claim("b")),
        (start(step("a"), step("b", "a", engine="spark")), claim("a")),
        (start(step("a"), step("b", "a")), claim("a"), cancel()),
        (start(step("a")), claim("a")),
    ],
    ids=["nothing is ready", "another engine", "the run is being cancelled", "it was the last"],
)
def test_nothing_is_taken_where_nothing_is_there_to_take(history: tuple[RunCommand, ...]) -> None:
    events = run_after(*history).when(success("a", take="worker:ada")).events
    assert not any(isinstance(event, StepStarted) for event in events)


def test_a_failure_takes_nothing() -> None:
    run = run_after(start(step("a"), step("b", "a"), step("c")), claim("a"))
    report = replace(failure("a"), take="worker:ada")
    assert not any(isinstance(event, StepStarted) for event in run.when(report).events)
