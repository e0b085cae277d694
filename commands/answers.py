"""What an accepted reply says besides the stored events: ids of new things, work for a claim."""

from collections.abc import Sequence
from typing import Any

import msgspec

from commands.steps.work import StepAhead, StepInput, StepWork
from domain.envelope import Metadata
from domain.ids import StreamId
from domain.pipeline.aggregate import Revisions, Unregistered, revision_of
from domain.pipeline.commands import RegisterPipeline
from domain.pipeline.events import PipelineRegistered, PipelineRevised
from domain.run.ahead import steps_ahead
from domain.run.events import Redo, StepStarted
from domain.run.evolve import running_of
from domain.run.state import Cancelling, Done, InWork, Running


def told(
    command_type: str,
    stream: StreamId,
    origin: Metadata | None,
    events: tuple[Any, ...],
    state: Any,
) -> dict[str, Any]:
    """The further keys of a reply, from a command's events and the state right after them."""
    match command_type:
        case "pipeline.register":
            return _registered(events[0])
        case "run.start" | "run.retry" | "run.redo":
            more: dict[str, Any] = {"run": str(stream.id)}
        case _:
            more = {}
    if given := _given(events, state):
        more["work"] = msgspec.to_builtins(_work(stream, origin, given, state))
    return more


def told_unchanged(command: Any, state: Any) -> dict[str, Any]:
    """The further keys of the reply to a command that had nothing to change."""
    if not isinstance(command, RegisterPipeline) or isinstance(state, Unregistered):
        return {}
    known: Revisions = state.revisions
    number = revision_of(known, command)
    return {
        "pipeline": command.pipeline,
        "revision": number,
        "draft": known.active is None or known.active.number != number,
        "bundle": command.definition.bundle,
        "warnings": list(command.warnings),
    }


def _given(events: tuple[Any, ...], state: Any) -> list[StepStarted]:
    """What is in work now by a command's events."""
    if not isinstance(state, Running | Cancelling):
        return []
    run = running_of(state)
    started = [event for event in events if isinstance(event, StepStarted)]
    return [one for one in started if isinstance(run.steps[run.plan.index[one.step]], InWork)]


def _registered(event: PipelineRegistered | PipelineRevised) -> dict[str, Any]:
    return {
        "pipeline": event.pipeline,
        "revision": event.revision,
        "draft": event.draft,
        "bundle": event.definition.bundle,
        "warnings": list(event.warnings),
    }


def _work(
    stream: StreamId, origin: Metadata | None, given: Sequence[StepStarted], state: Any
) -> StepWork:
    """The first lease that was given, with the others behind it, or with what can be done behind it
    without a lease."""
    run, started = running_of(state), given[0]
    facts = run.facts
    traceparent = origin.traceparent if origin else None
    leases = {one.step: one.lease for one in given[1:]}
    return StepWork(
        run=stream.id,
        step=started.step,
        attempt=started.attempt,
        lease=started.lease,
        pipeline=facts.pipeline,
        revision=facts.revision,
        bundle=facts.bundle,
        root=facts.root,
        params=facts.params,
        run_time=facts.run_time,
        inputs=_inputs(run, started.step),
        fresh=facts.no_cache or started.step in facts.fresh,
        redo=_redo(run, started.step),
        traceparent=traceparent,
        ahead=tuple(
            StepAhead(
                step=step,
                inputs=run.plan.steps[run.plan.index[step]].inputs,
                given=_inputs(run, step),
                lease=leases.get(step, 0),
                fresh=facts.no_cache or step in facts.fresh,
                redo=_redo(run, step),
                traceparent=traceparent,
            )
            for step in leases or steps_ahead(run, started.step)
        ),
    )


def _redo(run: Running, step: str) -> Redo | None:
    redo = run.facts.redo
    return redo if redo is not None and redo.step == step else None


def _inputs(run: Running, step: str) -> tuple[StepInput, ...]:
    """Those that are there."""
    inputs = []
    for name in run.plan.steps[run.plan.index[step]].inputs:
        done = run.steps[run.plan.index[name]]
        if isinstance(done, Done) and done.output is not None:
            inputs.append(StepInput(step=name, version=done.output, origin=done.origin))
    return tuple(inputs)
