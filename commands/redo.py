"""What is decided when rows of a quarantine are to be put back."""

from collections.abc import Mapping

from msgspec.structs import replace

from commands.blueprint import Blueprints
from commands.catalog import RedoPayload
from commands.lookup import Lookup
from commands.ports import EventStore
from commands.steps.fingerprint import code_hash, definition_of
from commands.stream import Streams
from domain.errors import Rejection
from domain.ids import pipeline_stream, run_stream
from domain.pipeline.aggregate import Revision, runnable, startable
from domain.pipeline.events import Definition
from domain.pipeline.params import resolve
from domain.pipeline.spec import PipelineSpec, decode_spec
from domain.pipeline.steps import Transform, inputs_of, kind_of
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
        envelopes = await self._store.load(run_stream(payload.run))
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
        """The same under another revision, which must make what comes before the step alike."""
        definition = revision.definition
        old, new = (decode_spec(bytes(one.spec)) for one in (before, definition))
        known = {one.id for one in new.steps}
        if step not in known or kind_of(new.step(step)) != kind_of(old.step(step)):
            raise _changed(step, revision.number)
        above = _above(old, step)
        for name in above:
            if name not in known or _words(old, name, before) != _words(new, name, definition):
                raise _changed(name, revision.number)
        if _above(new, step) != above:
            raise _changed(step, revision.number)
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
            reused=tuple(one for one in start.reused if one.step in above),
        )


def _above(spec: PipelineSpec, step: str) -> set[str]:
    """The steps that `step` has its rows from, near and far."""
    found: set[str] = set()
    stack = [step]
    while stack:
        for name in inputs_of(spec.step(stack.pop())).values():
            if name not in found:
                found.add(name)
                stack.append(name)
    return found


def _words(spec: PipelineSpec, step: str, definition: Definition) -> Mapping[str, object]:
    files, one = definition.files, spec.step(step)
    code = code_hash(files) if isinstance(one, Transform) and one.python else ""
    return {**definition_of(one, spec, files), "kind": kind_of(one), "code": code}


def _changed(step: str, revision: int) -> Rejection:
    return Rejection(
        "step_changed",
        f"step {step!r} is another one in revision {revision}: run the pipeline anew",
        {"step": step},
    )
