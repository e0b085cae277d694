"""From a spec to what the orchestrator needs: steps in order, with inputs and retry policy."""

from domain.pipeline.spec import PipelineSpec
from domain.pipeline.steps import Retry, Step, kind_of, needs_of
from domain.run.events import PlannedStep
from domain.run.plan import in_order
from domain.run.retry import RetryPolicy


def plan(spec: PipelineSpec) -> tuple[PlannedStep, ...]:
    """The steps of a bound spec in an order in which each follows its inputs.

    Raises `ValueError` with the ids of a cycle, or with an input that no step has.
    """
    return in_order([_planned(step, spec.defaults.retry) for step in spec.steps])


def policy(retry: Retry | None) -> RetryPolicy:
    """The policy that the file's words say; one attempt where it says nothing."""
    if retry is None:
        return RetryPolicy()
    return RetryPolicy(
        attempts=retry.attempts,
        initial=retry.initial.seconds,
        max=retry.max.seconds,
        multiplier=retry.multiplier,
    )


def _planned(step: Step, default: Retry | None) -> PlannedStep:
    return PlannedStep(
        id=step.id,
        kind=kind_of(step),
        inputs=needs_of(step),
        retry=policy(step.retry or default),
    )
