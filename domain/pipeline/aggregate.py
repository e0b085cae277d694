"""What a pipeline decides: its revisions, and whether runs may start."""

from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from domain.decider import Decider
from domain.errors import Rejection
from domain.limits import drafts_max
from domain.pipeline.commands import (
    PausePipeline,
    PipelineCommand,
    RegisterPipeline,
    ResumePipeline,
    RetirePipeline,
)
from domain.pipeline.events import (
    Definition,
    PipelineEvent,
    PipelinePaused,
    PipelineRegistered,
    PipelineResumed,
    PipelineRetired,
    PipelineRevised,
)


class Revision(Struct, frozen=True):
    """A definition and its number."""

    number: int
    definition: Definition


class Unregistered(Struct, frozen=True):
    """No event yet."""


class Revisions(Struct, frozen=True, kw_only=True):
    """What a pipeline has been given so far."""

    pipeline: str
    last: int
    """The highest number, drafts included."""
    active: Revision | None = None
    drafts: tuple[Revision, ...] = ()
    """The newest ones, oldest first."""
    project: str = ""
    """The project that the name belongs to; empty as long as it belongs to none."""


class Active(Struct, frozen=True):
    """Runs may start (drafts only, as long as no revision is active)."""

    revisions: Revisions


class Paused(Struct, frozen=True):
    """No run may start."""

    revisions: Revisions
    reason: str


class Retired(Struct, frozen=True):
    """Out of use."""

    revisions: Revisions


PipelineState = Unregistered | Active | Paused | Retired


def evolve(state: PipelineState, event: PipelineEvent) -> PipelineState:
    """The state after `event`."""
    match event:
        case PipelineRegistered() | PipelineRevised():
            revisions = _added(state, event)
            return (
                Paused(revisions, state.reason) if isinstance(state, Paused) else Active(revisions)
            )
        case PipelinePaused():
            return Paused(_revisions(state), event.reason)
        case PipelineResumed():
            return Active(_revisions(state))
        case PipelineRetired():
            return Retired(_revisions(state))


def decide(
    state: PipelineState,
    command: PipelineCommand,
    at: datetime,  # noqa: ARG001  # all deciders have one signature
) -> tuple[PipelineEvent, ...]:
    """Events that follow from `command`. Raises `Rejection`."""
    match command:
        case RegisterPipeline():
            return _register(state, command)
        case PausePipeline():
            known = _known(state)
            return (
                ()
                if isinstance(state, Paused)
                else (PipelinePaused(pipeline=known.pipeline, reason=command.reason),)
            )
        case ResumePipeline():
            known = _known(state)
            return (
                ()
                if isinstance(state, Active)
                else (PipelineResumed(pipeline=known.pipeline, reason=command.reason),)
            )
        case RetirePipeline():
            known = _known(state)
            return (PipelineRetired(pipeline=known.pipeline, reason=command.reason),)


PIPELINE: Decider[PipelineState, PipelineCommand, PipelineEvent] = Decider(
    Unregistered(), evolve, decide
)


def runnable(state: PipelineState, revision: int | None) -> tuple[Revision, bool]:
    """The revision that a run starts from (the active one for None), and whether it is a draft.

    Raises `Rejection`.
    """
    known = startable(state)
    active = known.active
    if active is not None and revision in (None, active.number):
        return active, False
    for draft in known.drafts:
        if draft.number == revision:
            return draft, True
    wanted = "an active revision" if revision is None else f"revision {revision} to run"
    raise Rejection(
        "revision_not_found", f"pipeline {known.pipeline!r} has no {wanted.removeprefix('an ')}"
    )


def runnable_in(revision: Revision, env: str | None) -> None:
    """Raise `Rejection` where a revision was made for another environment than `env`; None will
    do with any."""
    made_for = revision.definition.env
    if env is None or env == made_for:
        return
    was = f"for environment {made_for!r}" if made_for else "without an environment"
    raise Rejection(
        "env_mismatch",
        f"revision {revision.number} was made {was}, not for {env!r}",
        {
            "env": made_for,
            "hint": f"run the file, or apply it anew: headwater apply FILE --env {env}",
        },
    )


def startable(state: PipelineState) -> Revisions:
    """The pipeline's revisions, if runs of it may start at all. Raises `Rejection`."""
    known = _known(state)
    if isinstance(state, Paused):
        why = f": {state.reason}" if state.reason else ""
        raise Rejection("pipeline_paused", f"pipeline {known.pipeline!r} is paused{why}")
    return known


def _revisions(state: PipelineState) -> Revisions:
    return Revisions(pipeline="", last=0) if isinstance(state, Unregistered) else state.revisions


def _known(state: PipelineState) -> Revisions:
    if isinstance(state, Unregistered):
        raise Rejection("pipeline_not_found", "there is no pipeline of this name")
    if isinstance(state, Retired):
        raise Rejection("pipeline_retired", f"pipeline {state.revisions.pipeline!r} is retired")
    return state.revisions


def _added(state: PipelineState, event: PipelineRegistered | PipelineRevised) -> Revisions:
    known = _revisions(state)
    if isinstance(event, PipelineRegistered):
        # What was active before it was retired must not become active again by a mere draft.
        known = Revisions(pipeline=event.pipeline, last=known.last)
    project = event.project or known.project
    before = replace(known, pipeline=event.pipeline, last=event.revision, project=project)
    revision = Revision(event.revision, event.definition)
    if event.draft:
        return replace(before, drafts=(*before.drafts, revision)[-drafts_max:])
    return replace(before, active=revision)


def _register(state: PipelineState, command: RegisterPipeline) -> tuple[PipelineEvent, ...]:
    before = _revisions(state)
    revive = isinstance(state, Unregistered | Retired)
    if not revive:
        _hold_owner(before, command)
    number = before.active.number if before.active and not revive else 0
    if command.expected_revision not in (None, number):
        raise Rejection(
            "revision_conflict",
            f"pipeline {command.pipeline!r} is at revision {number}, "
            f"not {command.expected_revision}",
            {"revision": number},
        )
    if not revive and _holds(before, command):
        return ()
    event = PipelineRegistered if revive else PipelineRevised
    return (
        event(
            pipeline=command.pipeline,
            revision=before.last + 1,
            draft=command.draft,
            definition=command.definition,
            warnings=command.warnings,
            project=command.project,
        ),
    )


def _hold_owner(before: Revisions, command: RegisterPipeline) -> None:
    """Raise `Rejection` where the name belongs to another project, and is to stay there."""
    # A folder without a project's file is its own project; it is still itself when it gets one.
    is_itself = before.project in ("", command.project, command.definition.root)
    if is_itself or (command.take_over and command.project):
        return
    whose = f"project {command.project!r}" if command.project else "no project"
    raise Rejection(
        "owned_elsewhere",
        f"pipeline {command.pipeline!r} belongs to project {before.project!r}, and this one comes "
        f"from {whose}",
        {
            "pipeline": command.pipeline,
            "project": before.project,
            "hint": "take another name, or move the pipeline here: --take-over",
        },
    )


def _holds(before: Revisions, command: RegisterPipeline) -> bool:
    moves = command.project and before.project not in ("", command.project)
    return not moves and revision_of(before, command) is not None


def revision_of(known: Revisions, command: RegisterPipeline) -> int | None:
    """The number under which this very definition is known already."""
    candidates = [known.active] if known.active else []
    if command.draft:
        candidates += reversed(known.drafts)
    for revision in candidates:
        if _identity(revision.definition) == _identity(command.definition):
            return revision.number
    return None


def _identity(definition: Definition) -> tuple[str, str, str]:
    """What makes it the same: what it says, where its paths begin, and its environment."""
    return definition.bundle, definition.root, definition.env
