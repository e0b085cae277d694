"""Folding a run's events into its state. Trusts history: checks nothing, refuses nothing."""

from msgspec.structs import replace

from domain.run.events import (
    CancelRequested,
    ColumnsTraced,
    DataCleaned,
    DataIndexed,
    DataIngested,
    DataProcessed,
    DataStored,
    DataValidated,
    NotificationSent,
    QualityChecked,
    QuarantineSettled,
    RunCancelled,
    RunCompleted,
    RunEvent,
    RunFailed,
    RunPlanned,
    RunStarted,
    StepFailed,
    StepOutcome,
    StepReused,
    StepScheduled,
    StepSkipped,
    StepStarted,
)
from domain.run.origin import origin_after
from domain.run.plan import build
from domain.run.state import (
    Broken,
    Cancelling,
    Done,
    Facts,
    Finished,
    InWork,
    Planning,
    Running,
    RunState,
    Scheduled,
    Skipped,
    StepState,
    Waiting,
)
from domain.vector import Vector


def evolve(state: RunState, event: RunEvent) -> RunState:
    """The state after `event`."""
    match event:
        case RunStarted():
            return Planning(facts=_facts(event))
        case RunPlanned():
            return _planned(state, event)
        case RunCompleted():
            return Finished(status="completed", facts=facts_of(state))
        case RunFailed():
            return Finished(status="failed", facts=facts_of(state))
        case RunCancelled():
            return Finished(status="cancelled", facts=facts_of(state))
        case CancelRequested():
            return Cancelling(running=running_of(state), reason=event.reason)
        case _:
            running = _stepped(running_of(state), event)
            return replace(state, running=running) if isinstance(state, Cancelling) else running


def facts_of(state: RunState) -> Facts:
    """What was pinned at the start; the run must have one."""
    return running_of(state).facts if not isinstance(state, (Planning, Finished)) else state.facts


def running_of(state: RunState) -> Running:
    """The open run inside a state that has one."""
    running = state.running if isinstance(state, Cancelling) else state
    assert isinstance(running, Running)  # noqa: S101  # history has no step before its plan
    return running


def _facts(event: RunStarted) -> Facts:
    return Facts(
        pipeline=event.pipeline,
        revision=event.revision,
        bundle=event.bundle,
        root=event.root,
        params=event.params,
        run_time=event.run_time,
        parallel=event.parallel,
        no_cache=event.no_cache,
        fresh=frozenset(event.fresh),
        redo=event.redo,
    )


def _planned(state: RunState, event: RunPlanned) -> RunState:
    assert isinstance(state, Planning)  # noqa: S101  # the plan follows the start in one append
    steps = state.steps + event.steps
    if event.part < event.parts:
        return replace(state, steps=steps)
    plan = build(steps)
    states: list[StepState] = [Waiting(len(set(step.inputs))) for step in steps]
    free = [place for place, step in enumerate(steps) if not step.inputs]
    return Running(
        facts=state.facts,
        plan=plan,
        steps=Vector(states),
        ready=Vector([*free, *[-1] * (len(steps) - len(free))]),
        ready_tail=len(free),
        unfinished=len(steps),
    )


def _stepped(
    run: Running,
    event: StepScheduled
    | StepStarted
    | DataIngested
    | DataValidated
    | DataCleaned
    | DataProcessed
    | QualityChecked
    | DataStored
    | DataIndexed
    | NotificationSent
    | ColumnsTraced
    | StepReused
    | QuarantineSettled
    | StepFailed
    | StepSkipped,
) -> Running:
    if isinstance(event, ColumnsTraced | QuarantineSettled):
        return run
    place = run.plan.index[event.step]
    step = run.steps[place]
    match event:
        case StepScheduled():
            return _scheduled(run, place, step, event)
        case StepStarted():
            return _started(run, place, step, event)
        case StepFailed():
            return _failed(run, place, step, event)
        case StepSkipped():
            return replace(
                run,
                steps=run.steps.replace(place, Skipped()),
                skipped=run.skipped + 1,
                unfinished=run.unfinished - 1,
            )
        case _:
            return _done(run, place, step, _made(run, place, event.outcome))


def _scheduled(run: Running, place: int, step: StepState, event: StepScheduled) -> Running:
    lease = step.lease if isinstance(step, Broken) else 0
    steps = run.steps.replace(place, Scheduled(event.attempt, lease))
    head = run.ready_head
    while head < run.ready_tail and not isinstance(steps[run.ready[head]], Waiting):
        head += 1
    return replace(
        run,
        steps=steps,
        ready_head=head,
        active=run.active + 1,
        offered=run.offered + isinstance(step, Waiting),
    )


def _started(run: Running, place: int, step: StepState, event: StepStarted) -> Running:
    again = isinstance(step, InWork)
    leases = step.leases + 1 if isinstance(step, InWork) else 1
    now = InWork(event.attempt, event.lease, leases, event.worker, event.crashes)
    return replace(
        run,
        steps=run.steps.replace(place, now),
        leases=run.leases + (0 if again else 1),
        offered=run.offered - (not again and event.attempt == 1),
    )


def _failed(run: Running, place: int, step: StepState, event: StepFailed) -> Running:
    closed = replace(
        run,
        steps=run.steps.replace(place, Broken(event.attempt, event.lease)),
        active=run.active - 1,
        leases=run.leases - isinstance(step, InWork),
    )
    if not event.final:
        return closed
    return replace(
        closed,
        unfinished=run.unfinished - 1,
        failed=run.failed + 1,
        first_failed=run.first_failed or event.step,
        first_error=run.first_error or event.error,
    )


def _made(run: Running, place: int, outcome: StepOutcome) -> Done:
    planned = run.plan.steps[place]
    first = run.steps[run.plan.index[planned.inputs[0]]] if planned.inputs else None
    before = first.origin if isinstance(first, Done) else None
    return Done(outcome.output, origin_after(planned.kind, before, outcome))


def _done(run: Running, place: int, step: StepState, done: Done) -> Running:
    steps = run.steps.replace(place, done)
    ready, tail = run.ready, run.ready_tail
    for dependent in run.plan.dependents[place]:
        waiting = steps[dependent]
        if isinstance(waiting, Waiting):
            steps = steps.replace(dependent, Waiting(waiting.open_inputs - 1))
            if waiting.open_inputs == 1:
                ready, tail = ready.replace(tail, dependent), tail + 1
    in_work = isinstance(step, InWork)
    return replace(
        run,
        steps=steps,
        ready=ready,
        ready_tail=tail,
        active=run.active - in_work,
        leases=run.leases - in_work,
        unfinished=run.unfinished - 1,
    )
