"""Doing a run again: what is taken over from it, and what is worked on anew."""

from collections.abc import Sequence
from uuid import UUID

from domain.errors import Rejection
from domain.run.commands import ReusedStep, StartRun
from domain.run.events import (
    RunCancelled,
    RunCompleted,
    RunEvent,
    RunFailed,
    RunPlanned,
    RunStarted,
    StepReused,
    StepSucceeded,
)
from domain.run.plan import Plan, build


def rerun(run: UUID, events: Sequence[RunEvent], from_step: str | None) -> StartRun:
    """The start of a new run that does `run` again, of the same revision with the same params.

    Steps that did not succeed are worked on again, `from_step` too, and all that follow any of
    these; the outcomes of all others are taken over. What follows `from_step` is reused where it
    comes out as before. Raises `Rejection`.
    """
    started = events[0] if events else None
    if not isinstance(started, RunStarted):
        raise Rejection("run_not_found", "there is no run with this id")
    if not isinstance(events[-1], RunCompleted | RunFailed | RunCancelled):
        raise Rejection("run_not_finished", "the run is not over yet; cancel it or wait for it")
    plan = build(
        [step for event in events if isinstance(event, RunPlanned) for step in event.steps]
    )
    done = {reused.step: reused for reused in _outcomes(run, events)}
    again = _again(plan, done, from_step)
    if not again:
        raise Rejection(
            "nothing_to_retry", "every step of the run succeeded; name a step to go on from"
        )
    return StartRun(
        pipeline=started.pipeline,
        revision=started.revision,
        bundle=started.bundle,
        draft=started.draft,
        root=started.root,
        params=started.params,
        plan=plan.steps,
        parallel=started.parallel,
        retry_of=run,
        retry_from=from_step,
        no_cache=started.no_cache,
        env=started.env,
        fresh=() if from_step is None else (from_step,),
        redo=started.redo,
        reused=tuple(done[step.id] for place, step in enumerate(plan.steps) if place not in again),
    )


def _outcomes(run: UUID, events: Sequence[RunEvent]) -> list[ReusedStep]:
    outcomes = []
    for event in events:
        if isinstance(event, StepReused):
            origin = event.from_run
        elif isinstance(event, StepSucceeded):
            origin = run
        else:
            continue
        outcomes.append(ReusedStep(step=event.step, from_run=origin, outcome=event.outcome))
    return outcomes


def _again(plan: Plan, done: dict[str, ReusedStep], from_step: str | None) -> set[int]:
    begin = {place for place, step in enumerate(plan.steps) if step.id not in done}
    if from_step is not None:
        if from_step not in plan.index:
            raise Rejection("step_not_found", f"the run has no step {from_step!r}")
        begin.add(plan.index[from_step])
    again = set(begin)
    stack = list(begin)
    while stack:
        for place in plan.dependents[stack.pop()]:
            if place not in again:
                again.add(place)
                stack.append(place)
    return again
