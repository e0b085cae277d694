"""What holds in every run, whatever its graph and whatever its workers do."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.decider import fold
from domain.errors import Rejection
from domain.limits import offered_max
from domain.run.aggregate import RUN, decide
from domain.run.ahead import steps_ahead
from domain.run.commands import DoneAhead, ReportStep, ReusedStep, RunCommand, Succeeded
from domain.run.events import PlannedStep, RunCancelled, RunCompleted, RunEvent, RunFailed
from domain.run.plan import in_order
from domain.run.state import (
    Cancelling,
    Done,
    Finished,
    InWork,
    Running,
    RunState,
    Scheduled,
    Unstarted,
)
from tests.domain.run.stories import (
    BROKEN,
    HICCUP,
    cancel,
    claim,
    failure,
    reused,
    start,
    step,
    success,
)
from tests.domain.run.test_plan import graphs
from tests.domain.specification import NOON


class Driver:
    """A run in the hands of workers who do what chance tells them."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.state: RunState = Unstarted()
        self.events: list[RunEvent] = []
        self.at: datetime = NOON

    def send(self, command: RunCommand) -> bool:
        """Decide and fold; False where the rules refuse."""
        self.at += timedelta(seconds=1)
        try:
            events = decide(self.state, command, self.at)
        except Rejection:
            return False
        self.state = fold(RUN, self.state, events)
        self.events += events
        return True

    def go_on(self) -> None:
        """One thing that may happen to an open run; something always can."""
        run = self.running()
        place = self.chance.choice(
            [place for place, one in enumerate(run.steps) if isinstance(one, Scheduled | InWork)]
        )
        id_, found = run.plan.steps[place].id, run.steps[place]
        assert isinstance(found, Scheduled | InWork)
        if isinstance(found, Scheduled) or self.chance.random() < 0.15:
            assert self.send(claim(id_, found.attempt))
            return
        # Most reports name the lease that counts, some come from workers that lost theirs.
        lease = found.lease - (self.chance.random() < 0.2)
        report = self.chance.choice(
            [
                success(id_, found.attempt, lease),
                success(id_, found.attempt, lease),
                failure(id_, found.attempt, lease, HICCUP),
                failure(id_, found.attempt, lease, BROKEN),
            ]
        )
        if isinstance(report.outcome, Succeeded) and self.chance.random() < 0.5:
            report = self.with_ahead(report)
        assert self.send(report) == (lease == found.lease)

    def with_ahead(self, report: ReportStep) -> ReportStep:
        """The same from a worker that went on before it had leases."""
        ahead = steps_ahead(self.running(), report.step)
        done = ahead[: self.chance.randint(0, len(ahead))]
        then = tuple(
            DoneAhead(step=one, outcome=self.chance.choice((success, failure))(one).outcome)
            for one in done
        )
        following = ahead[len(done)] if len(done) < len(ahead) else ""
        return replace(report, take="worker:eve", then=then, next=following)

    def running(self) -> Running:
        """The open run."""
        assert isinstance(self.state, Running | Cancelling)
        return self.state.running if isinstance(self.state, Cancelling) else self.state


def check(run: Running) -> None:
    """The counters say what a look at every step would say."""
    steps = list(run.steps)
    open_steps = [one for one in steps if isinstance(one, Scheduled | InWork)]
    assert run.active == len(open_steps) <= run.facts.parallel
    assert run.leases == sum(isinstance(one, InWork) for one in steps)
    offered = sum(isinstance(one, Scheduled) and one.attempt == 1 for one in steps)
    assert run.offered == offered <= offered_max
    assert run.ready_head <= run.ready_tail <= len(steps)
    for place, one in enumerate(steps):
        if isinstance(one, Scheduled | InWork):
            for source in run.plan.steps[place].inputs:
                assert isinstance(steps[run.plan.index[source]], Done)


@settings(max_examples=60, deadline=None)
@given(
    steps=graphs(),
    limits=st.tuples(st.integers(1, 3), st.integers(1, 4)),
    kept=st.sets(st.integers(0, 24)),
    seed=st.integers(0, 2**32),
    cancels=st.booleans(),
)
def test_every_run_ends(
    steps: list[PlannedStep],
    limits: tuple[int, int],
    kept: set[int],
    seed: int,
    cancels: bool,
) -> None:
    attempts, parallel = limits
    plan = in_order([step(one.id, *one.inputs, attempts=attempts) for one in steps])
    taken: Sequence[ReusedStep] = [reused(plan[place].id) for place in kept if place < len(plan)]
    driver = Driver(Random(seed))
    driver.send(start(*plan, parallel=parallel, reused=taken))
    turns = 0
    while not isinstance(driver.state, Finished):
        check(driver.running())
        if cancels and turns == len(plan):
            assert driver.send(cancel())
            turns += 1
            continue
        if isinstance(driver.state, Cancelling):
            finish_cancelled(driver)
            continue
        driver.go_on()
        turns += 1
        assert turns < 100 * len(plan) * attempts
    assert driver.state == fold(RUN, Unstarted(), driver.events)
    ends = RunCompleted | RunFailed | RunCancelled
    assert [isinstance(event, ends) for event in driver.events[-2:]] == [False, True]
    assert sum(isinstance(event, ends) for event in driver.events) == 1


def finish_cancelled(driver: Driver) -> None:
    """A worker ends its step because the run is to stop, or another finds that it vanished."""
    run = driver.running()
    place = next(place for place, one in enumerate(run.steps) if isinstance(one, InWork))
    id_, found = run.plan.steps[place].id, run.steps[place]
    assert isinstance(found, InWork)
    if driver.chance.random() < 0.5:
        assert driver.send(failure(id_, found.attempt, found.lease, HICCUP))
    else:
        assert driver.send(claim(id_, found.attempt))
