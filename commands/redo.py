"""What is decided when rows of a quarantine are to be put back."""

from collections.abc import Mapping

from msgspec.structs import replace

from commands.blueprint import Blueprints
from commands.catalog import RedoPayload
from commands.lookup import Lookup
from commands.ports import EventStore
from commands.steps.fingerprint import code_hash, definition_of
from commands.stream import Streams, history
from domain.errors import Rejection
from domain.ids import pipeline_stream, run_stream
from domain.pipeline.aggregate import Revision, runnable, startable
from domain.pipeline.events import Definition
from domain.pipeline.params import resolve
from domain.pipeline.spec import PipelineSpec, decode_spec
from domain.pipeline.steps import Step, Transform, inputs_of, kind_of
from domain.run.commands import StartRun
from domain.run.redo import redo


class Redos:
    """Decides what the run does that puts rows back."""

    def __init__(self, streams: Streams, store: EventStore, blueprints: Blueprints) -> None:
        self._streams = streams
        self._store = store
        self._blueprints = blueprints
        self._lookup = Lookup(streams, store)

    async def decide(self, payload: RedoPayload) -> StartRun:
        """The start of that run. Raises `Rejection`."""
        envelopes = await history(self._store, run_stream(payload.run))
        start = redo(payload.run, [one.data for one in envelopes], payload.step, payload.rows)
        state = (await self._streams.read(pipeline_stream(start.pipeline))).state
        if payload.revision not in (None, start.revision):
            revision, draft = runnable(state, payload.revision)
            before = await self._lookup.definition(start.pipeline, start.revision)
            return replace(self._under(start, revision, before, payload.step), draft=draft)
        startable(state)
        if not payload.rows:
            raise Rejection(
                "nothing_changed",
                "the same rows under the same revision would be set apart again: name a file of "
                "mended rows, or a revision whose rules they keep",
            )
        return start

    def _under(
        self, start: StartRun, revision: Revision, before: Definition, step: str
    ) -> StartRun:
        """The same under another revision. What comes before the step must be alike in it; what
        stands beside the step is taken over where it is."""
        definition = revision.definition
        old, new = (decode_spec(bytes(one.spec)) for one in (before, definition))
        if not _has(new, step) or kind_of(new.step(step)) != kind_of(old.step(step)):
            raise _changed(step, revision.number)
        alike = _alike(start, (old, before), (new, definition))
        for one in start.reused:
            # What was put back there before would not be in it any more.
            if one.step not in alike and one.outcome.readmitted:
                raise _changed(one.step, revision.number)
        for name in (*inputs_of(old.step(step)).values(), *inputs_of(new.step(step)).values()):
            if name not in alike:
                raise _changed(name, revision.number)
        blueprint = self._blueprints.of(definition)
        return replace(
            start,
            revision=revision.number,
            bundle=definition.bundle,
            root=definition.root,
            params=resolve(blueprint.params, start.params),
            plan=blueprint.plan,
            parallel=blueprint.parallel,
            env=definition.env,
            reused=tuple(one for one in start.reused if one.step in alike),
        )


def _has(spec: PipelineSpec, step: str) -> bool:
    return any(one.id == step for one in spec.steps)


def _alike(
    start: StartRun, old: tuple[PipelineSpec, Definition], new: tuple[PipelineSpec, Definition]
) -> set[str]:
    """Steps that are the same under both revisions, and so are all that they have rows from."""
    taken = {one.step for one in start.reused}
    before, after = ({one.id: one for one in spec.steps} for spec, _ in (old, new))
    alike: set[str] = set()
    for step in start.plan:
        if (
            step.id in taken
            and step.id in after
            and alike.issuperset(step.inputs)
            and _words(before[step.id], *old) == _words(after[step.id], *new)
        ):
            alike.add(step.id)
    return alike


def _words(one: Step, spec: PipelineSpec, definition: Definition) -> Mapping[str, object]:
    files = definition.files
    code = code_hash(files) if isinstance(one, Transform) and one.python else ""
    return {**definition_of(one, spec, files), "kind": kind_of(one), "code": code}


def _changed(step: str, revision: int) -> Rejection:
    return Rejection(
        "step_changed",
        f"step {step!r} is another one in revision {revision}: run the pipeline anew",
        {"step": step},
    )
