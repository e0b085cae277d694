"""What workers do ahead of their leases, and how few steps wait for a worker at a time."""

import pytest
from msgspec.structs import replace

from domain.limits import ahead_max, offered_max
from domain.run.aggregate import RUN
from domain.run.ahead import steps_ahead
from domain.run.commands import DoneAhead, Failed, ReportStep, RunCommand, StartRun, Succeeded
from domain.run.events import (
    DataProcessed,
    PlannedStep,
    RunCancelled,
    RunCompleted,
    RunEvent,
    RunFailed,
    StepFailed,
    StepScheduled,
    StepSkipped,
    StepStarted,
)
from domain.run.evolve import running_of
from tests.domain.run.stories import (
    BROKEN,
    cancel,
    claim,
    failure,
    outcome,
    reused,
    run_after,
    start,
    step,
    success,
)
from tests.domain.specification import Given

CHAIN = start(step("a"), step("b", "a"), step("c", "b"), step("d", "c"))


def done(id_: str) -> DoneAhead:
    """A step that went well ahead of its lease."""
    return DoneAhead(step=id_, outcome=Succeeded(outcome=outcome(id_), log=f"{id_}.log"))


def report(id_: str, *then: DoneAhead, next_: str = "") -> ReportStep:
    """A step's success, and what its worker did ahead and does now."""
    return replace(success(id_), take="worker:ada", then=then, next=next_)


def processed(id_: str) -> DataProcessed:
    """The fact of a step's success."""
    return DataProcessed(step=id_, attempt=1, lease=1, outcome=outcome(id_), log=f"{id_}.log")


def scheduled(*ids: str) -> list[StepScheduled]:
    """Steps that wait for a worker."""
    return [StepScheduled(step=id_, attempt=1) for id_ in ids]


def begun(id_: str) -> StepStarted:
    """A step's first lease, given to the worker that reports."""
    return StepStarted(step=id_, attempt=1, lease=1, worker="worker:ada")


def test_what_was_done_ahead_counts_as_if_each_step_had_been_taken() -> None:
    run = run_after(CHAIN, claim("a"))
    run.when(report("a", done("b"), next_="c")).then(
        processed("a"),
        *scheduled("b"),
        begun("b"),
        processed("b"),
        *scheduled("c"),
        begun("c"),
    )


def test_a_whole_run_can_end_with_one_report() -> None:
    run = run_after(CHAIN, claim("a"))
    assert run.when(report("a", done("b"), done("c"), done("d"))).events[-1] == RunCompleted()


def test_a_step_that_failed_ahead_fails_like_any_other() -> None:
    run = run_after(CHAIN, claim("a"))
    failed = DoneAhead(step="b", outcome=Failed(error=BROKEN))
    run.when(report("a", failed, next_="c")).then(
        processed("a"),
        *scheduled("b"),
        begun("b"),
        StepFailed(step="b", attempt=1, lease=1, error=BROKEN, final=True),
        StepSkipped(step="c", because="b"),
        StepSkipped(step="d", because="b"),
        RunFailed(step="b", failed=1, skipped=2, error=BROKEN),
    )


def test_a_run_that_is_to_stop_wants_nothing_of_what_was_done_ahead() -> None:
    run = run_after(CHAIN, claim("a"), cancel())
    run.when(report("a", done("b"), next_="c")).then(processed("a"), RunCancelled())


@pytest.mark.parametrize(
    ("began", "then"),
    [
        (start(step("a"), step("b", "a"), step("c", "a", "x"), step("x")), done("c")),
        (start(step("a"), step("b", "a"), step("x")), done("x")),
        (start(step("a"), step("b", "a")), done("a")),
        (start(step("a"), step("b", "a")), done("z")),
        (start(step("a"), step("b", "a"), step("s", "a", engine="spark")), done("s")),
        (start(step("a"), step("b", "a"), step("s", "a", kind="store")), done("s")),
    ],
    ids=[
        "waits for another",
        "waits in the queue",
        "done already",
        "unknown",
        "another engine",
        "changes what lies outside",
    ],
)
def test_what_was_not_ready_behind_a_step_does_not_count(began: StartRun, then: DoneAhead) -> None:
    events = run_after(began, claim("a")).when(report("a", then)).events
    assert [event.step for event in events if isinstance(event, DataProcessed)] == ["a"]
    assert begun("b") in events


def test_what_was_done_ahead_counts_for_a_worker_that_takes_nothing_more() -> None:
    run = run_after(CHAIN, claim("a"))
    run.when(replace(report("a", done("b")), take="")).then(
        processed("a"), *scheduled("b"), begun("b"), processed("b"), *scheduled("c")
    )


def test_what_is_being_done_goes_before_what_became_ready_earlier() -> None:
    plan = (step("a"), step("x"), step("y"), step("b", "a"))
    run = run_after(start(*plan, parallel=1), claim("a"))
    events = run.when(report("a", next_="b")).events
    assert events[1:] == (*scheduled("b"), begun("b"))
    rest = run.when(report("a", done("b"), next_="")).and_so()
    rest = rest.when(success("x", take="worker:ada")).and_so()
    assert rest.when(success("y")).events[-1] == RunCompleted()


def many(number: int) -> list[PlannedStep]:
    """Steps that wait for nothing."""
    return [step(f"s{place:03}") for place in range(number)]


def offers(events: tuple[RunEvent, ...]) -> list[str]:
    """Steps that were scheduled."""
    return [event.step for event in events if isinstance(event, StepScheduled)]


def test_only_some_steps_of_a_wide_run_wait_for_a_worker() -> None:
    began = Given(RUN).when(start(*many(40)))
    assert offers(began.events) == [f"s{place:03}" for place in range(offered_max)]
    assert offers(began.and_so().when(claim("s003")).events) == [f"s{offered_max:03}"]


def test_a_report_takes_what_nobody_waits_for_yet() -> None:
    run = run_after(start(*many(40)), claim("s000"))
    assert run.when(success("s000", take="worker:ada")).events[1:] == (
        *scheduled(f"s{offered_max + 1:03}"),
        begun(f"s{offered_max + 1:03}"),
    )


def test_a_failure_takes_something_else() -> None:
    run = run_after(start(*many(40)), claim("s000"))
    failed = replace(failure("s000"), take="worker:ada")
    assert run.when(failed).events[-1] == begun(f"s{offered_max + 1:03}")


def test_a_report_can_take_several_steps_at_once() -> None:
    run = run_after(start(*many(40)), claim("s000"))
    asked = replace(success("s000", take="worker:ada"), takes=3)
    taken = [f"s{offered_max + place:03}" for place in (1, 2, 3)]
    assert run.when(asked).events[1:] == tuple(
        event for id_ in taken for event in (*scheduled(id_), begun(id_))
    )


def test_no_more_is_taken_than_may_be_worked_on() -> None:
    run = run_after(start(*many(40), parallel=3), *(claim(f"s{place:03}") for place in range(3)))
    asked = replace(success("s000", take="worker:ada"), takes=8)
    assert run.when(asked).events[1:] == (*scheduled("s003"), begun("s003"))


def started(*commands: RunCommand) -> list[str]:
    """Steps that the last command starts."""
    *before, last = commands
    events = run_after(*before).when(last).events
    return [event.step for event in events if isinstance(event, StepStarted)]


def test_few_steps_are_left_for_others_to_do_at_the_same_time() -> None:
    plan = (step("a"), step("b", "a"), step("c", "a"), step("d", "a"))
    asked = replace(success("a", take="worker:ada"), takes=8)
    assert started(start(*plan), claim("a"), asked) == ["b"]


def crowd(*behind: PlannedStep) -> StartRun:
    """A run in which so many wait for a worker that more is left for one with free hands."""
    return start(step("a"), *many(offered_max), *behind)


def test_what_changes_the_world_outside_goes_alone() -> None:
    stores = [step(f"p{place}", "a", kind="store") for place in range(3)]
    others = [step("c", "a"), step("d", "a")]
    asked = replace(success("a", take="worker:ada"), takes=4)
    assert started(crowd(*stores, *others), claim("a"), asked) == ["p0"]
    assert started(crowd(step("b", "a"), *stores, *others), claim("a"), asked) == ["b", "c", "d"]


def bundle() -> tuple[RunCommand, ...]:
    """A worker with three steps in its hands."""
    plan = [step("b", "a"), step("c", "a"), step("d", "a"), step("e", "d")]
    return (crowd(*plan), claim("a"), replace(success("a", take="worker:ada"), takes=3))


def test_steps_in_the_same_hands_are_reported_together() -> None:
    failed = DoneAhead(step="c", outcome=Failed(error=BROKEN))
    run_after(*bundle()).when(report("b", failed, next_="d")).then(
        processed("b"),
        StepFailed(step="c", attempt=1, lease=1, error=BROKEN, final=True),
    )


def test_a_step_that_another_worker_has_taken_over_is_not_reported_by_the_first() -> None:
    run = run_after(*bundle(), claim("c", worker="worker:bob"))
    run.when(report("b", done("c"), done("d"))).then(
        processed("b"), processed("d"), *scheduled("e"), begun("e")
    )


def test_a_run_stops_with_one_report_of_all_that_is_in_the_same_hands() -> None:
    run = run_after(*bundle(), cancel())
    stopped = Failed(error=replace(BROKEN, code="cancelled"))
    then = tuple(DoneAhead(step=id_, outcome=stopped) for id_ in ("c", "d"))
    events = run.when(replace(failure("b"), outcome=stopped, then=then)).events
    assert [event.step for event in events if isinstance(event, StepFailed)] == ["b", "c", "d"]
    assert events[-1] == RunCancelled()


def ahead(behind: str, *commands: RunCommand) -> tuple[str, ...]:
    """The steps that can be done behind one."""
    return steps_ahead(running_of(run_after(*commands).state), behind)


def test_a_chain_can_be_done_ahead_to_where_the_world_outside_begins() -> None:
    plan = (step("a"), step("b", "a"), step("c", "b", kind="store"), step("d", "c"))
    assert ahead("a", start(*plan), claim("a")) == ("b",)
    assert ahead("a", CHAIN, claim("a")) == ("b", "c", "d")


def test_a_step_can_be_done_ahead_where_its_other_inputs_are_there() -> None:
    plan = (step("a"), step("x"), step("b", "a", "x"), step("c", "b", "a"))
    waiting = (start(*plan), claim("a"), claim("x"))
    assert ahead("a", *waiting) == ()
    assert ahead("a", *waiting, success("x")) == ("b", "c")


def test_one_branch_is_done_ahead_and_left_where_branches_join() -> None:
    plan = (step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c"))
    assert ahead("a", start(*plan), claim("a")) == ("b",)


@pytest.mark.parametrize(
    "began",
    [
        start(step("a"), step("b", "a", engine="spark")),
        start(step("a"), step("b", "a"), reused=[reused("b")]),
        start(step("a"), step("b", "a", kind="notify")),
    ],
    ids=["another engine", "reused", "tells the world"],
)
def test_some_steps_are_never_done_ahead(began: StartRun) -> None:
    assert ahead("a", began, claim("a")) == ()


def test_only_so_much_is_done_ahead() -> None:
    chain = [step("s0"), *(step(f"s{place}", f"s{place - 1}") for place in range(1, 40))]
    assert len(ahead("s0", start(*chain), claim("s0"))) == ahead_max
