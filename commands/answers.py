"""What an accepted reply says besides the stored events: ids of new things, work for a claim."""

from typing import Any

import msgspec

from commands.steps.ports import StepInput, StepWork
from domain.envelope import Metadata
from domain.ids import StreamId
from domain.pipeline.aggregate import Revisions, Unregistered, revision_of
from domain.pipeline.commands import RegisterPipeline
from domain.pipeline.events import PipelineRegistered, PipelineRevised
from domain.run.events import StepStarted
from domain.run.evolve import running_of
from domain.run.state import Done


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
    if events and isinstance(events[-1], StepStarted):
        more["work"] = msgspec.to_builtins(_work(stream, origin, events[-1], state))
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


def _registered(event: PipelineRegistered | PipelineRevised) -> dict[str, Any]:
    return {
        "pipeline": event.pipeline,
        "revision": event.revision,
        "draft": event.draft,
        "bundle": event.definition.bundle,
        "warnings": list(event.warnings),
    }


def _work(stream: StreamId, origin: Metadata | None, started: StepStarted, state: Any) -> StepWork:
    run = running_of(state)
    inputs = []
    for name in run.plan.steps[run.plan.index[started.step]].inputs:
        done = run.steps[run.plan.index[name]]
        if isinstance(done, Done) and done.output is not None:
            inputs.append(StepInput(step=name, version=done.output, origin=done.origin))
    facts = run.facts
    redo = facts.redo if facts.redo and facts.redo.step == started.step else None
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
        inputs=tuple(inputs),
        fresh=facts.no_cache or started.step in facts.fresh,
        redo=redo,
        traceparent=origin.traceparent if origin else None,
    )
