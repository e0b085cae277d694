"""The order of a plan."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.run.events import PlannedStep
from domain.run.plan import build, in_order
from tests.domain.run.stories import step


@st.composite
def graphs(draw: st.DrawFn) -> list[PlannedStep]:
    """Steps without a cycle, written in any order."""
    size = draw(st.integers(1, 25))
    steps = [step("s0")]
    for place in range(1, size):
        sources = sorted(draw(st.sets(st.integers(0, place - 1))))
        steps.append(step(f"s{place}", *(f"s{source}" for source in sources)))
    return draw(st.permutations(steps))


@given(graphs())
def test_each_step_follows_its_inputs(steps: list[PlannedStep]) -> None:
    ordered = in_order(steps)
    assert sorted(ordered, key=lambda one: one.id) == sorted(steps, key=lambda one: one.id)
    seen: set[str] = set()
    for one in ordered:
        assert seen >= set(one.inputs)
        seen.add(one.id)
    assert in_order(ordered) == ordered


@given(graphs())
def test_dependents_are_the_inputs_turned_round(steps: list[PlannedStep]) -> None:
    plan = build(in_order(steps))
    forward = {
        (plan.steps[place].id, plan.steps[dependent].id)
        for place, dependents in enumerate(plan.dependents)
        for dependent in dependents
    }
    assert forward == {(source, one.id) for one in steps for source in one.inputs}


def test_a_circle_is_named() -> None:
    with pytest.raises(ValueError, match="b → d → c → b"):
        in_order([step("a"), step("b", "a", "d"), step("c", "b"), step("d", "c")])
    with pytest.raises(ValueError, match="a → a"):
        in_order([step("a", "a")])


def test_an_unknown_input_is_named() -> None:
    with pytest.raises(ValueError, match="step b needs z, which is no step"):
        in_order([step("a"), step("b", "a", "z")])


def test_ten_thousand_steps_in_a_chain_or_in_a_fan_are_put_in_order() -> None:
    chain = [step("s0"), *(step(f"s{place}", f"s{place - 1}") for place in range(1, 10_000))]
    fan = [step(f"s{place}") for place in range(9_999)]
    fan.append(step("all", *(one.id for one in fan)))
    for steps in (chain, fan):
        shuffled = list(steps)
        Random(7).shuffle(shuffled)
        ordered = in_order(shuffled)
        assert len(ordered) == 10_000
        assert ordered[-1].id in ("s9999", "all")
