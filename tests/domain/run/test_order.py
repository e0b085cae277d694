"""In what order a run's steps are worked on, and how it ends."""

from domain.data.lineage import ColumnEdge
from domain.limits import part_bytes_max
from domain.run.aggregate import RUN
from domain.run.commands import Failed, ReportStep
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
    RunCompleted,
    RunFailed,
    RunPlanned,
    RunStarted,
    StepFailed,
    StepReused,
    StepScheduled,
    StepSkipped,
    StepStarted,
    StepSucceeded,
)
from domain.run.state import Finished
from tests.domain.run.stories import (
    BROKEN,
    EARLIER_RUN,
    claim,
    failure,
    outcome,
    reused,
    run_after,
    start,
    step,
    success,
)
from tests.domain.specification import NOON, Given

CHAIN = (step("a"), step("b", "a"), step("c", "b"))
DIAMOND = (step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c"))


def processed(id_: str, attempt: int = 1, lease: int = 1) -> DataProcessed:
    return DataProcessed(
        step=id_, attempt=attempt, lease=lease, outcome=outcome(id_), log=f"{id_}.log"
    )


def broken(id_: str) -> StepFailed:
    return StepFailed(step=id_, attempt=1, lease=1, error=BROKEN)


def test_a_run_starts_with_its_plan_and_its_first_steps() -> None:
    Given(RUN).when(start(*DIAMOND)).then(
        RunStarted(
            pipeline="flights",
            revision=3,
            bundle="b" * 64,
            root="/data",
            params={"min_month": 1},
            run_time=NOON,
            steps=4,
            parallel=64,
        ),
        RunPlanned(part=1, parts=1, steps=DIAMOND),
        StepScheduled(step="a", attempt=1),
    )


def test_a_run_is_started_once() -> None:
    run_after(start(*CHAIN)).when(start(*CHAIN)).rejected("run_exists")


def test_a_run_without_steps_is_refused() -> None:
    Given(RUN).when(start()).rejected("empty_plan")


def test_a_large_plan_is_stored_in_parts() -> None:
    plan = tuple(step(f"a_step_with_a_long_name_{number:05d}") for number in range(2_000))
    events = Given(RUN).when(start(*plan)).events
    parts = [event for event in events if isinstance(event, RunPlanned)]
    assert len(parts) > 1
    assert [part.part for part in parts] == list(range(1, len(parts) + 1))
    assert {part.parts for part in parts} == {len(parts)}
    assert tuple(one for part in parts for one in part.steps) == plan


def test_a_step_is_scheduled_when_all_its_inputs_are_done() -> None:
    run = run_after(start(*DIAMOND), claim("a"))
    run.when(success("a")).then(
        processed("a"), StepScheduled(step="b", attempt=1), StepScheduled(step="c", attempt=1)
    )
    run = run_after(start(*DIAMOND), claim("a"), success("a"), claim("c"), claim("b"))
    run.when(success("c")).then(processed("c"))
    run.when(success("c")).and_so().when(success("b")).then(
        processed("b"), StepScheduled(step="d", attempt=1)
    )


def test_an_input_named_twice_counts_once() -> None:
    run = run_after(start(step("a"), step("b", "a", "a")), claim("a"))
    run.when(success("a")).then(processed("a"), StepScheduled(step="b", attempt=1))


def test_a_step_is_scheduled_on_its_engine() -> None:
    plan = PlannedStep(id="a", kind="transform", engine="spark")
    assert Given(RUN).when(start(plan)).events[-1] == StepScheduled(
        step="a", attempt=1, engine="spark"
    )


def test_the_last_success_completes_the_run() -> None:
    run = run_after(start(step("a"), step("b")), claim("a"), claim("b"), success("a"))
    run.when(success("b")).then(processed("b"), RunCompleted())


def test_at_most_parallel_steps_are_open() -> None:
    plan = [step(name) for name in "abcde"]
    events = Given(RUN).when(start(*plan, parallel=2)).events
    assert [event.step for event in events if isinstance(event, StepScheduled)] == ["a", "b"]
    run = run_after(start(*plan, parallel=2), claim("a"), claim("b"))
    run.when(success("b")).then(processed("b"), StepScheduled(step="c", attempt=1))


def test_steps_that_became_ready_first_go_first() -> None:
    plan = (step("a"), step("b"), step("c"), step("d", "a"))
    run = run_after(start(*plan, parallel=1), claim("a"))
    run.when(success("a")).then(processed("a"), StepScheduled(step="b", attempt=1))
    run = run_after(
        start(*plan, parallel=1), claim("a"), success("a"), claim("b"), success("b"), claim("c")
    )
    run.when(success("c")).then(processed("c"), StepScheduled(step="d", attempt=1))


def test_each_kind_of_step_has_a_fact_of_its_own() -> None:
    kinds: dict[str, type[StepSucceeded]] = {
        "ingest": DataIngested,
        "validate": DataValidated,
        "clean": DataCleaned,
        "transform": DataProcessed,
        "check": QualityChecked,
        "store": DataStored,
        "index": DataIndexed,
        "notify": NotificationSent,
        "a kind from elsewhere": DataProcessed,
    }
    for kind, fact in kinds.items():
        events = run_after(start(step("a", kind=kind)), claim("a")).when(success("a")).events
        assert type(events[0]) is fact


def test_column_edges_follow_the_success_in_parts() -> None:
    edges = tuple(ColumnEdge(f"source_{number}", "column", "column") for number in range(2_000))
    events = run_after(start(step("a")), claim("a")).when(success("a", edges=edges)).events
    traced = events[1:-1]
    assert isinstance(events[0], DataProcessed)
    assert isinstance(events[-1], RunCompleted)
    assert len(traced) > 1
    found: list[ColumnEdge] = []
    for event in traced:
        assert isinstance(event, ColumnsTraced)
        assert event.parts == len(traced)
        assert sum(len(edge.source) for edge in event.edges) < part_bytes_max
        found += event.edges
    assert tuple(found) == edges


def test_what_waits_for_a_failed_step_is_skipped_and_the_rest_goes_on() -> None:
    plan = (*DIAMOND, step("e", "d"), step("x"), step("y", "x"))
    run = run_after(start(*plan), claim("a"), claim("x"), success("a"), claim("b"), claim("c"))
    run = run.when(success("c")).and_so()
    run.when(failure("b")).then(
        broken("b"), StepSkipped(step="d", because="b"), StepSkipped(step="e", because="b")
    )
    run = run.when(failure("b")).and_so()
    run.when(success("x")).then(processed("x"), StepScheduled(step="y", attempt=1))


def test_a_step_is_skipped_once_whoever_fails() -> None:
    plan = (step("a"), step("b"), step("c", "a", "b"), step("d", "c"))
    run = run_after(start(*plan), claim("a"), claim("b"))
    run.when(failure("a")).then(
        broken("a"), StepSkipped(step="c", because="a"), StepSkipped(step="d", because="a")
    )
    run.when(failure("a")).and_so().when(failure("b")).then(
        broken("b"), RunFailed(step="a", failed=2, skipped=2, error=BROKEN)
    )


def test_a_run_fails_when_nothing_is_left_to_do() -> None:
    run = run_after(start(*CHAIN), claim("a"))
    run.when(failure("a")).then(
        broken("a"),
        StepSkipped(step="b", because="a"),
        StepSkipped(step="c", because="a"),
        RunFailed(step="a", failed=1, skipped=2, error=BROKEN),
    )


def test_what_could_be_counted_of_a_failure_is_kept() -> None:
    failed = Failed(error=BROKEN, outcome=outcome("a"), log="a.log")
    with_counts = ReportStep(step="a", attempt=1, lease=1, outcome=failed)
    events = run_after(start(step("a")), claim("a")).when(with_counts).events
    assert events[0] == StepFailed(
        step="a", attempt=1, lease=1, error=BROKEN, outcome=outcome("a"), log="a.log"
    )


def test_reused_steps_are_done_from_the_start() -> None:
    events = Given(RUN).when(start(*CHAIN, reused=[reused("a"), reused("b")])).events
    assert events[2:] == (
        StepReused(step="a", from_run=EARLIER_RUN, outcome=outcome("a")),
        StepReused(step="b", from_run=EARLIER_RUN, outcome=outcome("b")),
        StepScheduled(step="c", attempt=1),
    )


def test_a_run_of_reused_steps_alone_is_over_at_once() -> None:
    events = Given(RUN).when(start(*CHAIN, reused=[reused(name) for name in "abc"])).events
    assert events[-1] == RunCompleted()


def test_reused_steps_take_no_place_of_others() -> None:
    plan = [step(name) for name in "abcdef"]
    events = (
        Given(RUN)
        .when(start(*plan, parallel=2, reused=[reused("a"), reused("c"), reused("f")]))
        .events
    )
    scheduled = [event.step for event in events if isinstance(event, StepScheduled)]
    assert scheduled == ["b", "d"]
    run = run_after(
        start(*plan, parallel=2, reused=[reused("a"), reused("c"), reused("f")]),
        claim("b"),
        success("b"),
        claim("d"),
        claim("e"),
        success("d"),
    )
    run.when(success("e")).then(processed("e"), RunCompleted())


def test_a_finished_run_remembers_what_it_was() -> None:
    state = run_after(start(step("a")), claim("a"), success("a")).state
    assert isinstance(state, Finished)
    assert (state.status, state.facts.pipeline) == ("completed", "flights")


def test_a_claim_starts_the_step() -> None:
    run_after(start(step("a"))).when(claim("a")).then(
        StepStarted(step="a", attempt=1, lease=1, worker="worker:ada")
    )
