"""What a run decides: order, leases, retries, and the end. Nothing outside it does."""

from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from domain.decider import Decider
from domain.errors import Rejection
from domain.limits import crashes_max, leases_max, offered_max
from domain.parts import in_parts
from domain.run.ahead import HARMLESS
from domain.run.commands import (
    CancelRun,
    ClaimStep,
    Failed,
    ReportStep,
    Reused,
    RunCommand,
    StartRun,
    StepResult,
    Succeeded,
)
from domain.run.events import (
    CancelRequested,
    RunCancelled,
    RunCompleted,
    RunEvent,
    RunFailed,
    RunPlanned,
    RunStarted,
    StepError,
    StepFailed,
    StepReused,
    StepScheduled,
    StepSkipped,
    StepStarted,
)
from domain.run.evolve import evolve, running_of
from domain.run.retry import due
from domain.run.state import (
    Cancelling,
    Finished,
    InWork,
    Planning,
    Running,
    RunState,
    Scheduled,
    Unstarted,
    Waiting,
)
from domain.run.success import success

_CANCELLED = StepError(code="cancelled", message="the run was cancelled")


def decide(state: RunState, command: RunCommand, at: datetime) -> tuple[RunEvent, ...]:
    """Events that follow from `command` at `at` (UTC). Raises `Rejection`."""
    match command:
        case StartRun():
            return _start(state, command, at)
        case ClaimStep():
            return _claim(state, command, at)
        case ReportStep():
            return _report(state, command, at)
        case CancelRun():
            return _cancel(state, command)


RUN: Decider[RunState, RunCommand, RunEvent] = Decider(Unstarted(), evolve, decide)


class _Decision:
    """Events decided so far, and the state that they lead to."""

    def __init__(self, state: RunState) -> None:
        self.state = state
        self.events: list[RunEvent] = []

    def emit(self, event: RunEvent) -> None:
        self.state = evolve(self.state, event)
        self.events.append(event)


def _start(state: RunState, command: StartRun, at: datetime) -> tuple[RunEvent, ...]:
    if not isinstance(state, Unstarted):
        raise Rejection("run_exists", "a run with this id was started before")
    if not command.plan:
        raise Rejection("empty_plan", "a run needs at least one step")
    known = {step.id for step in command.plan}
    for step in command.fresh:
        if step not in known:
            raise Rejection("step_not_found", f"the pipeline has no step {step!r} to do anew")
    decision = _Decision(state)
    decision.emit(
        RunStarted(
            pipeline=command.pipeline,
            revision=command.revision,
            bundle=command.bundle,
            draft=command.draft,
            root=command.root,
            params=command.params,
            run_time=at,
            steps=len(command.plan),
            parallel=command.parallel,
            retry_of=command.retry_of,
            retry_from=command.retry_from,
            no_cache=command.no_cache,
            fresh=command.fresh,
            env=command.env,
            redo=command.redo,
        )
    )
    parts = in_parts(command.plan)
    for number, steps in enumerate(parts, 1):
        decision.emit(RunPlanned(part=number, parts=len(parts), steps=steps))
    for reused in command.reused:
        decision.emit(
            StepReused(step=reused.step, from_run=reused.from_run, outcome=reused.outcome)
        )
    if command.take:
        _take(decision, 1, _Hands(command.engine, command.take))
    _go_on(decision)
    return tuple(decision.events)


def _claim(state: RunState, command: ClaimStep, at: datetime) -> tuple[RunEvent, ...]:
    run = _open(state)
    step = run.steps[_place(run, command.step)]
    if not isinstance(step, Scheduled | InWork) or step.attempt != command.attempt:
        raise _not_open(command.step, command.attempt)
    decision = _Decision(state)
    if isinstance(step, Scheduled):
        if isinstance(state, Cancelling):
            raise _not_open(command.step, command.attempt)
        decision.emit(_started(command, step.lease + 1))
        _go_on(decision)
        return tuple(decision.events)
    is_holder = command.worker == step.worker
    crashes = step.crashes + (command.crashed and is_holder)
    may_go_on = crashes < crashes_max and step.leases < leases_max
    if may_go_on and not isinstance(state, Cancelling):
        return (_started(command, step.lease + 1, crashes),)
    lost = _CANCELLED if isinstance(state, Cancelling) else _worker_lost(step, crashes)
    _fail(decision, command.step, step, Failed(error=lost), at)
    _go_on(decision)
    return tuple(decision.events)


def _started(command: ClaimStep, lease: int, crashes: int = 0) -> StepStarted:
    return StepStarted(
        step=command.step,
        attempt=command.attempt,
        lease=lease,
        worker=command.worker,
        crashes=crashes,
    )


def _worker_lost(step: InWork, crashes: int) -> StepError:
    lost = f"{step.leases} workers in a row were lost while they worked on this step"
    died = f"{crashes} processes died while they worked on this step"
    return StepError(
        code="worker_lost",
        message=died if crashes >= crashes_max else lost,
        hint="look at the step's logs; it may need more memory than its worker has",
        retryable=True,
    )


def _report(state: RunState, command: ReportStep, at: datetime) -> tuple[RunEvent, ...]:
    if not isinstance(state, Running | Cancelling):
        raise _lease_lost(command)
    run = running_of(state)
    step = run.steps[_place(run, command.step)]
    if not isinstance(step, InWork) or (step.attempt, step.lease) != (
        command.attempt,
        command.lease,
    ):
        raise _lease_lost(command)
    decision = _Decision(state)
    _end(decision, command.step, command.outcome, at)
    hands = _Hands(run.plan.steps[run.plan.index[command.step]].engine, step.worker)
    for done in command.then:
        if _hold(decision, done.step, hands, ahead=True):
            _end(decision, done.step, done.outcome, at)
    if not _hold(decision, command.next, hands, ahead=True) and command.take:
        _take(decision, command.takes, hands)
    _go_on(decision)
    return tuple(decision.events)


def _end(decision: _Decision, step: str, result: StepResult, at: datetime) -> None:
    """What came of a step in work."""
    run = running_of(decision.state)
    place = run.plan.index[step]
    held = run.steps[place]
    assert isinstance(held, InWork)  # noqa: S101  # whoever asks has seen to it
    match result:
        case Succeeded() | Reused():
            for event in success(run, run.plan.steps[place], held, result):
                decision.emit(event)
        case Failed():
            _fail(decision, step, held, result, at)


class _Hands(Struct, frozen=True):
    """Who asks for steps."""

    engine: str
    worker: str


def _take(decision: _Decision, count: int, hands: _Hands) -> None:
    """Start the first step that is ready for a worker that asks for some; and others with it where
    so many are ready that they would wait behind those that are offered to everybody. One that
    changes what lies outside goes alone, since it should not wait in anybody's hands."""
    run = decision.state
    if not isinstance(run, Running):
        return
    ready = (run.plan.steps[one] for one in _next_ready(run, run.facts.parallel - run.active))
    fitting = [step for step in ready if step.engine == hands.engine]
    others = fitting[1 + max(offered_max - run.offered, 0) :]
    more = [step for step in others if step.kind in HARMLESS and fitting[0].kind in HARMLESS]
    for step in (*fitting[:1], *more[: count - 1]):
        _hold(decision, step.id, hands)


def _hold(decision: _Decision, step: str, hands: _Hands, *, ahead: bool = False) -> bool:
    """Whether a worker has a step's first lease: what is ready is started for it now, before all
    others that are ready. There is nothing to have where the run is to stop, and nothing that
    changes what lies outside can have been done ahead."""
    run = running_of(decision.state)
    place = run.plan.index.get(step)
    if place is None or run.plan.steps[place].engine != hands.engine:
        return False
    match run.steps[place]:
        case InWork(attempt=1, lease=1, worker=hands.worker):
            return True
        case Waiting(open_inputs=0):
            is_wrong = ahead and run.plan.steps[place].kind not in HARMLESS
            is_late = isinstance(decision.state, Cancelling) or run.active >= run.facts.parallel
            if is_wrong or is_late:
                return False
            decision.emit(StepScheduled(step=step, attempt=1, engine=hands.engine))
            decision.emit(StepStarted(step=step, attempt=1, lease=1, worker=hands.worker))
            return True
        case _:
            return False


def _fail(decision: _Decision, step_id: str, step: InWork, failure: Failed, at: datetime) -> None:
    run = running_of(decision.state)
    policy = run.plan.steps[run.plan.index[step_id]].retry
    retryable = failure.error.retryable and isinstance(decision.state, Running)
    again = due(policy, step.attempt, at) if retryable else None
    decision.emit(
        StepFailed(
            step=step_id,
            attempt=step.attempt,
            lease=step.lease,
            error=failure.error,
            final=again is None,
            outcome=failure.outcome,
            log=failure.log,
        )
    )
    if again is not None:
        engine = run.plan.steps[run.plan.index[step_id]].engine
        decision.emit(
            StepScheduled(step=step_id, attempt=step.attempt + 1, engine=engine, due=again)
        )
    elif isinstance(decision.state, Running):
        for place in _unreachable(run, run.plan.index[step_id]):
            decision.emit(StepSkipped(step=run.plan.steps[place].id, because=step_id))


def _unreachable(run: Running, failed: int) -> list[int]:
    """Steps that wait for a failed one, directly or not, in the plan's order.

    Stops at those that were skipped before: what waits for them was skipped with them, so that
    each edge of the plan is walked once in a run, however many steps fail.
    """
    found: set[int] = set()
    stack = [failed]
    while stack:
        for place in run.plan.dependents[stack.pop()]:
            if place not in found and isinstance(run.steps[place], Waiting):
                found.add(place)
                stack.append(place)
    return sorted(found)


def _go_on(decision: _Decision) -> None:
    """Schedule what is ready, or end what has come to its end."""
    state = decision.state
    if isinstance(state, Cancelling):
        if state.running.leases == 0:
            decision.emit(RunCancelled(reason=state.reason))
        return
    run = running_of(state)
    free = min(run.facts.parallel - run.active, offered_max - run.offered)
    for place in _next_ready(run, free):
        step = run.plan.steps[place]
        decision.emit(StepScheduled(step=step.id, attempt=1, engine=step.engine))
    run = running_of(decision.state)
    if run.unfinished:
        return
    if run.failed:
        decision.emit(
            RunFailed(
                step=run.first_failed,
                failed=run.failed,
                skipped=run.skipped,
                error=run.first_error or _CANCELLED,
            )
        )
    else:
        decision.emit(RunCompleted())


def _next_ready(run: Running, count: int) -> Iterator[int]:
    """Steps that nothing keeps from being scheduled, `count` at most, in the order in which they
    became ready."""
    for slot in range(run.ready_head, run.ready_tail):
        if count <= 0:
            return
        place = run.ready[slot]
        if isinstance(run.steps[place], Waiting):
            count -= 1
            yield place


def _cancel(state: RunState, command: CancelRun) -> tuple[RunEvent, ...]:
    if isinstance(state, Unstarted | Planning):
        raise Rejection("run_not_found", "there is no run with this id")
    if isinstance(state, Finished):
        raise Rejection("run_finished", f"the run is over: {state.status}")
    if isinstance(state, Cancelling):
        return ()
    decision = _Decision(state)
    decision.emit(CancelRequested(reason=command.reason))
    _go_on(decision)
    return tuple(decision.events)


def _open(state: RunState) -> Running:
    if isinstance(state, Running | Cancelling):
        return running_of(state)
    if isinstance(state, Finished):
        raise Rejection("step_not_open", f"the run is over: {state.status}")
    raise Rejection("run_not_found", "there is no run with this id")


def _place(run: Running, step: str) -> int:
    place = run.plan.index.get(step)
    if place is None:
        raise Rejection("step_not_found", f"the run has no step {step!r}")
    return place


def _not_open(step: str, attempt: int) -> Rejection:
    return Rejection("step_not_open", f"attempt {attempt} of step {step!r} is not open")


def _lease_lost(command: ReportStep) -> Rejection:
    return Rejection(
        "lease_lost",
        f"lease {command.lease} of step {command.step!r} is not the one that counts",
    )
