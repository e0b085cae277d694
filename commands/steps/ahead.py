"""Work on the steps behind one that is in work, ahead of their leases.

Nothing of it counts before a report is accepted that tells it; until then it is data under its own
hash and an outcome under its key, which whoever does the step in the end finds there.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from commands.steps.work import StepAhead, StepInput, StepWork
from domain.run.commands import Reused, StepResult, Succeeded
from domain.run.origin import origin_after


def work_ahead(work: StepWork, one: StepAhead, made: Mapping[str, StepInput]) -> StepWork:
    """The work that a worker would be given for a step behind `work`, where the steps before it
    have `made` these inputs of it."""
    found = {**{each.step: each for each in one.given}, **made}
    return replace(
        work,
        step=one.step,
        attempt=1,
        lease=1,
        inputs=tuple(found[name] for name in one.inputs if name in found),
        fresh=one.fresh,
        redo=None,
        ahead=(),
        traceparent=one.traceparent,
    )


def attempts_of(work: StepWork) -> tuple[StepWork, ...]:
    """The attempts that become of it, by their names."""
    ahead = (replace(work, step=one.step, attempt=1, lease=1) for one in work.ahead)
    return (work, *ahead)


def made_by(work: StepWork, kind: str, result: StepResult) -> StepInput | None:
    """A step's output as an input of those behind it; None where there is none to go on with."""
    if not isinstance(result, Succeeded | Reused) or result.outcome.output is None:
        return None
    before = work.inputs[0].origin if work.inputs else None
    origin = origin_after(kind, before, result.outcome)
    return StepInput(step=work.step, version=result.outcome.output, origin=origin)
