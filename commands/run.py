"""Handlers of the commands that address a run."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from commands.blueprint import Blueprints
from commands.catalog import (
    CancelPayload,
    ClaimPayload,
    RedoPayload,
    ReportPayload,
    RetryPayload,
    StartPayload,
)
from commands.ports import EventStore, Hands
from commands.redo import Redos
from commands.reply import Reply, refused
from commands.request import Request
from commands.stream import Streams, history
from domain.errors import Rejection
from domain.ids import StreamId, pipeline_stream, redo_of, run_stream
from domain.limits import redos_max
from domain.pipeline.aggregate import runnable, runnable_in, startable
from domain.pipeline.params import resolve
from domain.run.ahead import HARMLESS
from domain.run.commands import CancelRun, ClaimStep, ReportStep, StartRun
from domain.run.redo import hold_unsettled
from domain.run.rerun import rerun


class RunHandlers:
    """Starts, cancels and retries runs; gives out leases and takes reports."""

    def __init__(self, streams: Streams, store: EventStore, blueprints: Blueprints) -> None:
        self._streams = streams
        self._store = store
        self._blueprints = blueprints
        self.hands: Hands | None = None
        """Workers of this process, where there are any."""
        self._redos = Redos(streams, store, blueprints)

    async def start(self, request: Request, payload: StartPayload) -> Reply:
        """Begin a run of the pipeline's active revision, or of the one that is asked for."""
        stream = run_stream(payload.run or request.command_id)
        try:
            decision = await self._start(payload)
        except Rejection as rejection:
            # The pipeline may have changed since the same command was accepted.
            before = await self._streams.answered(stream, request.identity)
            return before or refused(rejection)
        return await self._begin(request, stream, decision)

    async def retry(self, request: Request, payload: RetryPayload) -> Reply:
        """Begin a run that does another one again."""
        stream = run_stream(request.command_id)
        try:
            decision = await self._retry(payload)
        except Rejection as rejection:
            before = await self._streams.answered(stream, request.identity)
            return before or refused(rejection)
        return await self._begin(request, stream, decision)

    async def redo(self, request: Request, payload: RedoPayload) -> Reply:
        """Begin a run that puts back what a step of another one has set apart.

        Its id follows from what is put back, so that of two such commands one is refused; a run
        that ended before it had put anything back makes room for the next.
        """
        for number in range(redos_max):
            run = redo_of(payload.run, payload.step, number)
            before = await self._streams.answered(run_stream(run), request.identity)
            if before is not None:
                return before
            if not await history(self._store, run_stream(run)):
                decision = await self._redos.decide(payload)
                reply = await self._begin(request, run_stream(run), decision)
                if reply.get("code") != "run_exists":
                    return reply
            earlier = await history(self._store, run_stream(run))
            hold_unsettled(run, [one.data for one in earlier])
        raise Rejection("too_many_redos", f"{redos_max} runs have tried to put these rows back")

    async def cancel(self, request: Request, payload: CancelPayload) -> Reply:
        """Ask a run to stop."""
        decision = CancelRun(reason=payload.reason)
        return await self._streams.execute(request.command(run_stream(payload.run), decision))

    async def claim(self, request: Request, payload: ClaimPayload) -> Reply:
        """Ask for a step's lease; the reply carries the work."""
        decision = ClaimStep(
            step=payload.step,
            attempt=payload.attempt,
            worker=payload.worker,
            crashed=payload.crashed,
        )
        return await self._streams.execute(request.command(run_stream(payload.run), decision))

    async def report(self, request: Request, payload: ReportPayload) -> Reply:
        """Tell what came of a lease; the reply carries the next work where some is taken."""
        decision = ReportStep(
            step=payload.step,
            attempt=payload.attempt,
            lease=payload.lease,
            outcome=payload.outcome,
            take=payload.take,
            takes=payload.takes,
            then=payload.then,
            next=payload.next,
        )
        return await self._streams.execute(request.command(run_stream(payload.run), decision))

    async def _begin(self, request: Request, stream: StreamId, decision: StartRun) -> Reply:
        """Store a run's beginning; a worker at hand has its first step with the same append."""
        hands = self.hands
        worker = hands.offer() if hands else ""
        if hands is None or not worker:
            return await self._streams.execute(request.command(stream, decision))
        work = None

        def foretold(more: Mapping[str, Any]) -> None:
            if (work := more.get("work")) is None:
                return
            step = next(one for one in decision.plan if one.id == work["step"])
            if step.kind in HARMLESS:
                hands.foretell(work, request.command_id)

        try:
            decision = replace(decision, take=worker)
            reply = await self._streams.execute(request.command(stream, decision, foretold))
            work = reply.pop("work", None)
            return reply
        finally:
            hands.give(work, request.command_id)

    async def _start(self, payload: StartPayload) -> StartRun:
        view = await self._streams.read(pipeline_stream(payload.pipeline))
        revision, draft = runnable(view.state, payload.revision)
        definition = revision.definition
        runnable_in(revision, payload.env)
        blueprint = self._blueprints.of(definition)
        return StartRun(
            pipeline=payload.pipeline,
            revision=revision.number,
            bundle=definition.bundle,
            draft=draft,
            root=definition.root,
            params=resolve(blueprint.params, payload.params),
            plan=blueprint.plan,
            parallel=blueprint.parallel,
            no_cache=payload.no_cache,
            fresh=tuple(dict.fromkeys(payload.fresh)),
            env=definition.env,
        )

    async def _retry(self, payload: RetryPayload) -> StartRun:
        envelopes = await history(self._store, run_stream(payload.run))
        decision = rerun(payload.run, [one.data for one in envelopes], payload.from_step)
        startable((await self._streams.read(pipeline_stream(decision.pipeline))).state)
        return decision
