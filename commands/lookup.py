"""What workers ask of the write side besides commands: leases, and the definitions of revisions."""

from uuid import UUID

from commands.ports import Definitions, EventStore, Leases, LeaseState
from commands.stream import Streams, history
from domain.errors import NotFound
from domain.ids import pipeline_stream, run_stream
from domain.pipeline.aggregate import PipelineState, Unregistered
from domain.pipeline.events import (
    Definition,
    PipelineEvent,
    PipelineRegistered,
    PipelineRevised,
)
from domain.run.evolve import running_of
from domain.run.state import Cancelling, Finished, InWork, Running


class Lookup(Leases, Definitions):
    """Answers from the streams themselves, so never from the past."""

    def __init__(self, streams: Streams, store: EventStore) -> None:
        self._streams = streams
        self._store = store

    async def lease_state(self, run: UUID, step: str, attempt: int, lease: int) -> LeaseState:
        """Whether the lease still counts. Raises `Unavailable`."""
        state = (await self._streams.read(run_stream(run))).state
        if isinstance(state, Finished):
            return LeaseState(open=False, cancelling=state.status == "cancelled")
        if not isinstance(state, Running | Cancelling):
            return LeaseState(open=False, cancelling=False)
        running = running_of(state)
        place = running.plan.index.get(step)
        held = running.steps[place] if place is not None else None
        return LeaseState(
            open=isinstance(held, InWork) and (held.attempt, held.lease) == (attempt, lease),
            cancelling=isinstance(state, Cancelling),
        )

    async def definition(self, pipeline: str, revision: int) -> Definition:
        """The definition of any revision that ever was. Raises `NotFound`, `Unavailable`."""
        stream = pipeline_stream(pipeline)
        state: PipelineState = (await self._streams.read(stream)).state
        if not isinstance(state, Unregistered):
            known = state.revisions
            for candidate in (known.active, *known.drafts):
                if candidate is not None and candidate.number == revision:
                    return candidate.definition
            for envelope in await history(self._store, stream):
                event: PipelineEvent = envelope.data
                if (
                    isinstance(event, PipelineRegistered | PipelineRevised)
                    and event.revision == revision
                ):
                    return event.definition
        raise NotFound(f"pipeline {pipeline!r} has no revision {revision}")
