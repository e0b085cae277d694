"""From a spec to the orchestrator's plan."""

import pytest

from domain.pipeline.planning import plan
from domain.pipeline.spec import PipelineSpec, decode_spec
from domain.run.plan import Circle
from domain.run.retry import RetryPolicy


def spec_of(*steps: dict[str, object], **more: object) -> PipelineSpec:
    """A pipeline of these steps."""
    return decode_spec({"pipeline": "p", "steps": list(steps), **more})


def query(id_: str, *inputs: str, **more: object) -> dict[str, object]:
    """A step that reads `inputs`."""
    return {"id": id_, "kind": "transform", "sql": "x", "inputs": list(inputs), **more}


def test_steps_follow_their_inputs() -> None:
    steps = plan(spec_of(query("c", "b", "a"), query("b", "a"), query("a")))
    assert [(step.id, step.inputs) for step in steps] == [
        ("a", ()),
        ("b", ("a",)),
        ("c", ("b", "a")),
    ]
    assert {step.kind for step in steps} == {"transform"}


def test_a_step_read_twice_is_one_input() -> None:
    (one, two) = plan(
        spec_of(query("a"), {**query("b"), "inputs": {"left_side": "a", "right_side": "a"}})
    )
    assert (one.id, two.inputs) == ("a", ("a",))


def test_retries_of_the_step_come_before_the_defaults() -> None:
    steps = plan(
        spec_of(
            query("a"),
            query("b", retry={"attempts": 5, "initial": "500ms"}),
            defaults={"retry": {"attempts": 3, "max": "10s"}},
        )
    )
    assert steps[0].retry == RetryPolicy(attempts=3, max=10.0)
    assert steps[1].retry == RetryPolicy(attempts=5, initial=0.5)


def test_a_circle_is_told() -> None:
    with pytest.raises(Circle, match="a → b → a"):
        plan(spec_of(query("a", "b"), query("b", "a")))
