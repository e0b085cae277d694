"""Why something is as it is: the facts that led to a run or a step, and what it waits for.

    revision ─► run started ─► what made the step ready ─► scheduled ─► started ─► its outcome

Every fact is an event, with the command that led to it, who sent that, and its trace.
"""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.decider import fold
from domain.envelope import EventEnvelope
from domain.errors import NotFound
from domain.ids import pipeline_stream, run_stream
from domain.pipeline.events import PipelineRegistered, PipelineRevised
from domain.run.aggregate import RUN
from domain.run.events import (
    CancelRequested,
    ColumnsTraced,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunPlanned,
    RunStarted,
    StepFailed,
    StepReused,
    StepScheduled,
    StepSkipped,
    StepSucceeded,
)
from domain.run.state import (
    Broken,
    Cancelling,
    Done,
    Finished,
    InWork,
    Running,
    RunState,
    Scheduled,
    Skipped,
    StepState,
    Waiting,
)
from projections.limits import facts_told_max, waits_told_max
from projections.ports import EventStreams
from projections.questions import Document, Question, Text, did_you_mean

Envelope = EventEnvelope[Any]


class WhyQuestion(Question, frozen=True, kw_only=True):
    """Arguments of `events.why`."""

    run: UUID
    step: Text | None = None
    """The run as a whole where it is missing."""


async def why(streams: EventStreams, question: WhyQuestion) -> Document:
    """The chain of facts, oldest first, and what is waited for. Raises `NotFound`."""
    events = await streams.load(run_stream(question.run))
    if not events or not isinstance(events[0].data, RunStarted):
        raise NotFound(f"there is no run {question.run}", hint="`headwater runs` lists them")
    started, step = events[0].data, question.step
    state: RunState = fold(RUN, RUN.initial, (event.data for event in events))
    if step is not None:
        _must_know(events, step)
    own = _of_run(events) if step is None else _of_step(events, step)
    told = [*await _revision(streams, started), events[0], *own[-facts_told_max:]]
    return {
        "run": str(question.run),
        "pipeline": started.pipeline,
        "step": step,
        "status": _status(state, step, own),
        "chain": [_fact(event) for event in told],
        "omitted": max(0, len(own) - facts_told_max),
        "waiting_for": list(_waits(state, step))[:waits_told_max],
    }


def _must_know(events: Sequence[Envelope], step: str) -> None:
    plans = [event.data for event in events if isinstance(event.data, RunPlanned)]
    known = [planned.id for plan in plans for planned in plan.steps]
    if step not in known:
        hint = did_you_mean(step, known) or f"its steps are {', '.join(known[:20])}"
        raise NotFound(f"the run has no step {step!r}", hint=hint)


async def _revision(streams: EventStreams, started: RunStarted) -> list[Envelope]:
    """The event that made the revision which the run is pinned to."""
    return [
        event
        for event in await streams.load(pipeline_stream(started.pipeline))
        if isinstance(event.data, PipelineRegistered | PipelineRevised)
        and event.data.definition.bundle == started.bundle
        and event.data.revision == started.revision
    ][-1:]


_ENDS = CancelRequested | RunCancelled | RunCompleted | RunFailed


def _of_run(events: Sequence[Envelope]) -> list[Envelope]:
    """What ended a run, or is about to: failures for good, a wish to stop, the end."""
    return [
        event
        for event in events
        if isinstance(event.data, _ENDS)
        or (isinstance(event.data, StepFailed) and event.data.final)
    ]


def _of_step(events: Sequence[Envelope], step: str) -> list[Envelope]:
    """The facts of a step, each that came from another step behind the fact that it came from."""
    found: dict[int, Envelope] = {}
    first_of = {event.metadata.command_id: event for event in reversed(events)}
    for event in events:
        data = event.data
        if isinstance(data, ColumnsTraced) or getattr(data, "step", None) != step:
            continue
        if isinstance(data, StepScheduled | StepSkipped):
            cause = first_of[event.metadata.command_id]
            if not isinstance(cause.data, RunStarted):
                found[cause.version] = cause
        if not isinstance(data, RunFailed):
            found[event.version] = event
    return [found[version] for version in sorted(found)]


def _fact(event: Envelope) -> Document:
    meta = event.metadata
    return {
        "position": event.position,
        "event_id": str(event.event_id),
        "stream": str(event.stream),
        "tag": event.tag,
        "recorded_at": msgspec.to_builtins(event.recorded_at),
        "principal": meta.principal,
        "command_type": meta.command_type,
        "command_id": str(meta.command_id),
        "causation_id": str(meta.causation_id),
        "correlation_id": str(meta.correlation_id),
        "traceparent": meta.traceparent,
        "data": _short(event.data),
    }


_SAID = frozenset(
    (
        *("pipeline", "revision", "draft", "params", "retry_of", "step", "attempt", "lease"),
        *("worker", "due", "because", "reason", "from_run", "final", "error", "failed", "skipped"),
    )
)


def _short(event: Struct) -> Document:
    """What a line can say of an event: no plan, no definition, and of an outcome its rows."""
    names = [name for name in event.__struct_fields__ if name in _SAID]
    said = {name: msgspec.to_builtins(getattr(event, name)) for name in names}
    outcome = getattr(event, "outcome", None)
    if outcome is not None:
        said["rows_in"], said["rows_out"] = outcome.rows_in, outcome.rows_out
    return said


def _status(state: RunState, step: str | None, own: Sequence[Envelope]) -> str:
    run = _open(state)
    if step is None:
        return state.status if isinstance(state, Finished) else "running"
    if run is not None:
        return _words(run.steps[run.plan.index[step]])
    last = own[-1].data if own else None
    match last:
        case StepReused():
            return "reused"
        case StepFailed():
            return "cancelled" if last.error.code == "cancelled" else "failed"
        case StepSkipped():
            return "skipped"
    return "succeeded" if isinstance(last, StepSucceeded) else "cancelled"


def _words(state: StepState) -> str:
    match state:
        case Waiting():
            return "waiting"
        case Scheduled():
            return "scheduled"
        case InWork():
            return "running"
        case Done():
            return "succeeded"
        case Broken():
            return "failed"
        case Skipped():
            return "skipped"


def _open(state: RunState) -> Running | None:
    if isinstance(state, Cancelling):
        return state.running
    return state if isinstance(state, Running) else None


def _waits(state: RunState, step: str | None) -> Iterator[Document]:
    """What is waited for, as steps of the run and as whoever works on them."""
    run = _open(state)
    if run is None:
        return
    if step is None:
        for place, planned in enumerate(run.plan.steps):
            if isinstance(run.steps[place], Scheduled | InWork):
                yield _wait(planned.id, run.steps[place])
        return
    own = run.steps[run.plan.index[step]]
    match own:
        case Waiting(open_inputs=0):
            if run.active < run.facts.parallel:
                yield {"for": "turn", "before": run.offered}
            else:
                yield {"for": "place", "parallel": run.facts.parallel, "open": run.active}
        case Waiting():
            inputs = run.plan.steps[run.plan.index[step]].inputs
            for name in dict.fromkeys(inputs):
                before = run.steps[run.plan.index[name]]
                if not isinstance(before, Done):
                    yield _wait(name, before)
        case Scheduled():
            yield {"for": "worker", "step": step, "attempt": own.attempt}
        case InWork():
            yield _wait(step, own)
        case _:
            return


def _wait(step: str, state: StepState) -> Document:
    told: Document = {"for": "step", "step": step, "status": _words(state)}
    if isinstance(state, InWork):
        told |= {"worker": state.worker, "attempt": state.attempt, "lease": state.lease}
    return told
