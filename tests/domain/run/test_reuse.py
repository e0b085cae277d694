"""A step that an earlier run did: reported by the worker that found it, decided like a success."""

from uuid import UUID

import pytest
from msgspec.structs import replace

from domain.data.lineage import ColumnEdge
from domain.run.commands import ReportStep, Reused
from domain.run.events import (
    ColumnsTraced,
    RunCancelled,
    RunCompleted,
    RunStarted,
    StepReused,
    StepScheduled,
    StepStarted,
)
from domain.run.rerun import rerun
from tests.domain.run.stories import (
    EARLIER_RUN,
    cancel,
    claim,
    failure,
    outcome,
    run_after,
    start,
    step,
    success,
)

RUN = UUID(int=7)


def found(id_: str, lease: int = 1, take: str = "") -> ReportStep:
    """The step was done before."""
    edge = ColumnEdge(source="a", source_column="n", column="n")
    return ReportStep(
        step=id_,
        attempt=1,
        lease=lease,
        outcome=Reused(from_run=EARLIER_RUN, outcome=outcome(id_), edges=(edge,)),
        take=take,
    )


def reused(id_: str, lease: int = 1) -> tuple[StepReused, ColumnsTraced]:
    """What is stored of it."""
    edge = ColumnEdge(source="a", source_column="n", column="n")
    return (
        StepReused(step=id_, from_run=EARLIER_RUN, outcome=outcome(id_), attempt=1, lease=lease),
        ColumnsTraced(step=id_, part=1, parts=1, edges=(edge,)),
    )


def test_what_follows_goes_on_and_is_taken_as_after_a_success() -> None:
    run = run_after(start(step("a"), step("b", "a")), claim("a"))
    run.when(found("a", take="worker:ada")).then(
        *reused("a"),
        StepScheduled(step="b", attempt=1),
        StepStarted(step="b", attempt=1, lease=1, worker="worker:ada"),
    )


def test_a_run_of_reused_steps_completes() -> None:
    run = run_after(start(step("a"), step("b", "a")), claim("a"), found("a"), claim("b"))
    run.when(found("b")).then(*reused("b"), RunCompleted())


def test_its_place_is_free_again() -> None:
    run = run_after(start(step("a"), step("b"), parallel=1), claim("a"))
    run.when(found("a")).then(*reused("a"), StepScheduled(step="b", attempt=1))


def test_it_closes_the_lease_and_needs_it() -> None:
    run = run_after(start(step("a"), step("b", "a")), claim("a"), claim("a", worker="bob"))
    run.when(found("a", lease=1)).rejected("lease_lost")
    run.when(found("a", lease=2)).then(*reused("a", lease=2), StepScheduled(step="b", attempt=1))
    run.when(found("a", lease=2)).and_so().when(found("a", lease=2)).rejected("lease_lost")


def test_a_run_that_is_being_cancelled_ends_with_it() -> None:
    run = run_after(start(step("a"), step("b", "a")), claim("a"), cancel())
    run.when(found("a")).then(*reused("a"), RunCancelled())


def test_what_shall_be_done_anew_is_pinned_at_the_start() -> None:
    run = run_after(replace(start(step("a"), step("b", "a")), no_cache=True, fresh=("b",)))
    started = run.events[0]
    assert isinstance(started, RunStarted)
    assert (started.no_cache, started.fresh) == (True, ("b",))


def test_only_a_step_can_be_done_anew() -> None:
    given = replace(start(step("a")), fresh=("z",))
    run_after().when(given).rejected("step_not_found")


@pytest.mark.parametrize(("from_step", "fresh"), [("a", ("a",)), (None, ())])
def test_a_retry_from_a_step_does_that_step_anew(
    from_step: str | None, fresh: tuple[str, ...]
) -> None:
    history = run_after(
        replace(start(step("a"), step("b", "a")), no_cache=True, fresh=("b",)),
        claim("a"),
        success("a"),
        claim("b"),
        failure("b"),
    )
    again = rerun(RUN, history.events, from_step)
    assert (again.no_cache, again.fresh) == (True, fresh)


def test_a_retry_of_a_run_that_reused_names_the_run_that_did_the_work() -> None:
    history = run_after(
        start(step("a"), step("b", "a")), claim("a"), found("a"), claim("b"), failure("b")
    )
    (taken,) = rerun(RUN, history.events, None).reused
    assert taken.from_run == EARLIER_RUN
