"""Work on the steps behind one that is in work: with leases of their own, or ahead of them.

Nothing of it counts before a report is accepted that tells it; until then it is data under its own
hash and an outcome under its key, which whoever does the step in the end finds there.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from commands.steps.work import StepAhead, StepInput, StepWork
from domain.run.commands import Reused, StepResult, Succeeded
from domain.run.origin import origin_after


def steps_of(work: StepWork) -> tuple[str, ...]:
    """The steps of an assignment, in order."""
    return (work.step, *(one.step for one in work.ahead))


def attempts_of(work: StepWork) -> tuple[StepWork, ...]:
    """The attempts that become of an assignment, by their names."""
    return (work, *(replace(work, step=one.step, attempt=1, lease=1) for one in work.ahead))


def leased_behind(work: StepWork, step: str) -> tuple[str, ...]:
    """The steps behind one in an assignment that have leases."""
    return tuple(one.step for one in work.ahead[steps_of(work).index(step) :] if one.lease)


def work_behind(
    work: StepWork, step: str, made: Mapping[str, StepInput], *, ahead: bool
) -> StepWork | None:
    """The work on what follows `step` in an assignment, where the steps before it have `made` these
    outputs: under its lease, or `ahead` of it; None where nothing has what it works on."""
    for one in work.ahead[steps_of(work).index(step) :]:
        found = {**{each.step: each for each in one.given}, **made}
        if one.lease or (ahead and all(name in found for name in one.inputs)):
            return _work_on(work, one, found)
    return None


def work_leased(work: StepWork, step: str) -> StepWork | None:
    """The work on a step of an assignment that has a lease; None for any other."""
    for one in work.ahead:
        if one.step == step and one.lease:
            return _work_on(work, one, {each.step: each for each in one.given})
    return None


def _work_on(work: StepWork, one: StepAhead, found: Mapping[str, StepInput]) -> StepWork:
    return replace(
        work,
        step=one.step,
        attempt=1,
        lease=1,
        inputs=tuple(found[name] for name in one.inputs if name in found),
        fresh=one.fresh,
        redo=one.redo,
        ahead=(),
        traceparent=one.traceparent,
    )


def made_by(work: StepWork, kind: str, result: StepResult) -> StepInput | None:
    """A step's output as an input of those behind it; None where there is none to go on with."""
    if not isinstance(result, Succeeded | Reused) or result.outcome.output is None:
        return None
    before = work.inputs[0].origin if work.inputs else None
    origin = origin_after(kind, before, result.outcome)
    return StepInput(step=work.step, version=result.outcome.output, origin=origin)
