"""A run's directed graph of steps, by index: which step waits for which."""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from domain.run.events import PlannedStep


class Plan(Struct, frozen=True):
    """The whole graph. It never changes during a run, so all states of a run share one."""

    steps: tuple[PlannedStep, ...] = ()
    index: dict[str, int] = {}
    """Step id → place in `steps`."""
    dependents: tuple[tuple[int, ...], ...] = ()
    """For each step, those that wait for it."""


class Circle(ValueError):
    """Steps that wait for each other; `steps` begins and ends with the same id."""

    def __init__(self, steps: Sequence[str]) -> None:
        super().__init__("the steps wait for each other: " + " → ".join(steps))
        self.steps = tuple(steps)


def build(steps: Sequence[PlannedStep]) -> Plan:
    """Index a plan whose steps follow their inputs."""
    index = {step.id: place for place, step in enumerate(steps)}
    dependents: list[list[int]] = [[] for _ in steps]
    for place, step in enumerate(steps):
        for source in dict.fromkeys(step.inputs):
            dependents[index[source]].append(place)
    return Plan(tuple(steps), index, tuple(tuple(places) for places in dependents))


def in_order(steps: Sequence[PlannedStep]) -> tuple[PlannedStep, ...]:
    """Steps in an order in which each follows its inputs, otherwise as written.

    Raises `Circle` with the ids of a cycle, and `ValueError` for an input that no step has.
    """
    known = {step.id: step for step in steps}
    done: dict[str, PlannedStep] = {}
    for first in steps:
        _visit(first, known, done)
    return tuple(done.values())


def _visit(first: PlannedStep, known: dict[str, PlannedStep], done: dict[str, PlannedStep]) -> None:
    # A stack instead of recursion: a chain of 10,000 steps is allowed.
    path: dict[str, None] = {}
    stack: list[tuple[PlannedStep, Iterator[str]]] = []

    def enter(step: PlannedStep) -> None:
        path[step.id] = None
        stack.append((step, iter(step.inputs)))

    if first.id not in done:
        enter(first)
    while stack:
        step, inputs = stack[-1]
        source = next((source for source in inputs if source not in done), None)
        if source is None:
            done[step.id] = step
            path.pop(step.id)
            stack.pop()
        elif source not in known:
            raise ValueError(f"step {step.id} needs {source}, which is no step")
        elif source in path:
            raise Circle([*list(path)[list(path).index(source) :], source])
        else:
            enter(known[source])
