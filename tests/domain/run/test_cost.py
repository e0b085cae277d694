"""An event of a large run costs what an event of a small run costs."""

import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import pytest

from domain.decider import fold
from domain.run.aggregate import RUN
from domain.run.commands import RunCommand
from domain.run.events import PlannedStep, RunEvent, StepScheduled
from domain.run.state import Finished, RunState
from tests.domain.run.stories import claim, failure, start, step, success
from tests.domain.specification import NOON


def lines_run(work: Callable[[], object]) -> int:
    """How many lines of Python run: a measure of cost that no busy machine changes."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


class Worker:
    """Works on each step as soon as it is scheduled."""

    def __init__(self, plan: Sequence[PlannedStep], report: Callable[[str], RunCommand]) -> None:
        self._report = report
        self.state: RunState = RUN.initial
        self.events: list[RunEvent] = []
        self.send(start(*plan))

    def send(self, command: RunCommand) -> None:
        events = RUN.decide(self.state, command, NOON)
        self.state = fold(RUN, self.state, events)
        self.events += events

    def work(self) -> None:
        seen = 0
        while not isinstance(self.state, Finished):
            event = self.events[seen]
            seen += 1
            if isinstance(event, StepScheduled):
                self.send(claim(event.step))
                self.send(self._report(event.step))


def mean_cost(plan: Sequence[PlannedStep], report: Callable[[str], RunCommand]) -> float:
    """Lines for each event behind the start of a run."""
    worker = Worker(plan, report)
    before = len(worker.events)
    return lines_run(worker.work) / (len(worker.events) - before)


def fan(size: int) -> list[PlannedStep]:
    """Steps that know nothing of each other."""
    return [step(f"s{place}") for place in range(size)]


def chain(size: int) -> list[PlannedStep]:
    """Each step waits for the one before it."""
    return [step("s0"), *(step(f"s{place}", f"s{place - 1}") for place in range(1, size))]


def funnel(size: int) -> list[PlannedStep]:
    """Many roots that all lead to the same long tail."""
    roots = [step(f"r{place}") for place in range(size // 2)]
    tail = [step("t0", *(root.id for root in roots))]
    tail += [step(f"t{place}", f"t{place - 1}") for place in range(1, size // 2)]
    return [*roots, *tail]


@pytest.mark.parametrize("shape", [fan, chain, funnel])
@pytest.mark.parametrize("report", [success, failure])
def test_an_event_costs_the_same_in_a_large_run(
    shape: Callable[[int], list[PlannedStep]], report: Callable[[str], RunCommand]
) -> None:
    assert mean_cost(shape(2_000), report) < 2 * mean_cost(shape(100), report)
