"""A run's directed graph of steps, by index: which step waits for which."""

from collections.abc import Sequence

from msgspec import Struct

from domain.run.events import PlannedStep


class Plan(Struct, frozen=True):
    """The whole graph. It never changes during a run, so all states of a run share one."""

    steps: tuple[PlannedStep, ...] = ()
    index: dict[str, int] = {}
    """Step id → place in `steps`."""
    dependents: tuple[tuple[int, ...], ...] = ()
    """For each step, those that wait for it."""


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

    Raises `ValueError` with the ids of a cycle, or with an input that no step has.
    """
    known = {step.id: step for step in steps}
    done: dict[str, PlannedStep] = {}
    for first in steps:
        _visit(first, known, done)
    return tuple(done.values())


def _visit(
    first: PlannedStep, known: dict[str, PlannedStep], done: dict[str, PlannedStep]
) -> None:
    # A stack instead of recursion: a chain of 10,000 steps is allowed.
    path: dict[str, int] = {}
    stack = [first]
    while stack:
        step = stack[-1]
        if step.id in done:
            stack.pop()
            continue
        path.setdefault(step.id, len(path))
        waiting = [source for source in step.inputs if source not in done]
        if not waiting:
            done[step.id] = step
            path.pop(step.id, None)
            stack.pop()
            continue
        source = waiting[0]
        if source not in known:
            raise ValueError(f"step {step.id} needs {source}, which is no step")
        if source in path:
            circle = [*list(path)[list(path).index(source) :], source]
            raise ValueError("the steps wait for each other: " + " → ".join(circle))
        stack.append(known[source])


def descendants(plan: Plan, place: int) -> tuple[int, ...]:
    """Every step that waits for `place`, directly or not, in the plan's order."""
    seen: set[int] = set()
    stack = list(plan.dependents[place])
    while stack:
        current = stack.pop()
        if current not in seen:
            seen.add(current)
            stack.extend(plan.dependents[current])
    return tuple(sorted(seen))
