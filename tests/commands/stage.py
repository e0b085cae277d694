"""The write side in memory, with actors, for tests of commands."""

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import anyio
import msgspec

from adapters.clock import SystemClock
from adapters.memory.eventstore import MemoryEventStore
from commands.blueprint import Blueprint, Blueprints
from commands.dispatcher import CommandDispatcher
from commands.lookup import Lookup
from commands.ports import Binder, Bound, CommandContext, Envelope, EventStore
from commands.reply import Reply
from domain.errors import Rejection
from domain.pipeline.events import Definition
from domain.pipeline.params import Param
from domain.run.commands import Failed, Succeeded
from domain.run.events import PlannedStep, StepError, StepOutcome
from runtime.actor import ActorLimits, StreamActors

ADA = CommandContext(principal="test:ada", traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01")


class Sketch(msgspec.Struct, frozen=True):
    """A pipeline as these tests write it."""

    pipeline: str
    steps: tuple[PlannedStep, ...]
    params: dict[str, Param] = {}
    parallel: int = 64


def read_sketch(definition: Definition) -> Blueprint:
    """The blueprint of a sketch."""
    sketch = msgspec.json.decode(definition.spec, type=Sketch)
    return Blueprint(plan=sketch.steps, parallel=sketch.parallel, params=sketch.params)


class SketchBinder(Binder):
    """Binds sketches, and counts how often."""

    def __init__(self) -> None:
        self.bound = 0
        self.warnings: tuple[str, ...] = ()

    async def bind(
        self, spec: Mapping[str, Any], files: Mapping[str, str], root: str
    ) -> tuple[str, Bound]:
        self.bound += 1
        try:
            sketch = msgspec.convert(spec, Sketch)
        except msgspec.ValidationError as error:
            problems = [{"path": "", "message": str(error), "hint": ""}]
            raise Rejection("invalid_pipeline", str(error), {"problems": problems}) from error
        encoded = msgspec.json.encode(sketch)
        whole = encoded + msgspec.json.encode(dict(files))
        definition = Definition(
            bundle=hashlib.sha256(whole).hexdigest(),
            spec=msgspec.Raw(encoded),
            files=dict(files),
            root=root,
        )
        bound = Bound(definition=definition, plan=sketch.steps, parallel=64, warnings=self.warnings)
        return sketch.pipeline, bound


def sketch(pipeline: str, /, *steps: str, **params: Any) -> dict[str, Any]:
    """A pipeline whose steps are written as `"c: a b"`, c after a and b."""
    planned = []
    for step in steps:
        id_, _, inputs = step.partition(":")
        planned.append({"id": id_, "kind": "transform", "inputs": inputs.split()})
    return {"pipeline": pipeline, "steps": planned, "params": params}


SUCCEEDED = msgspec.to_builtins(Succeeded(outcome=StepOutcome(rows_out=1)))
FAILED = msgspec.to_builtins(Failed(error=StepError(code="sql_error", message="no such column")))


class Stage:
    """A dispatcher over actors over a store."""

    def __init__(
        self,
        store: EventStore,
        actors: StreamActors,
        binder: SketchBinder,
        spawn: Callable[..., object],
    ) -> None:
        self.spawn = spawn
        """Starts a task that ends with the stage."""
        self.store = store
        self.actors = actors
        self.binder = binder
        self.lookup = Lookup(actors, store)
        self.dispatcher = CommandDispatcher(
            actors, store, binder, SystemClock(), Blueprints(read_sketch)
        )

    async def send(self, command: str, payload: Any = None, /, **fields: Any) -> Reply:
        """The reply to a command."""
        given = fields if payload is None else payload
        return await self.dispatcher.dispatch(command, given, ADA)

    async def started(self, *steps: str) -> str:
        """The id of a new run of a new pipeline with these steps."""
        spec = sketch("flights", *steps)
        await self.send("pipeline.register", spec=spec)
        reply = await self.send("run.start", pipeline="flights")
        assert reply["status"] == "accepted", reply
        return str(reply["run"])

    async def claimed(self, run: str, step: str, attempt: int = 1) -> dict[str, Any]:
        """The work of a fresh claim."""
        reply = await self.send("run.claim", run=run, step=step, attempt=attempt, worker="w1")
        assert reply["status"] == "accepted", reply
        work: dict[str, Any] = reply["work"]
        return work

    async def reported(self, work: Mapping[str, Any], outcome: Any = SUCCEEDED) -> Reply:
        """The reply to a report about claimed work."""
        names = ("run", "step", "attempt", "lease")
        return await self.send(
            "run.report", {**{name: work[name] for name in names}, "outcome": outcome}
        )

    async def history(self, stream: str) -> Sequence[Envelope]:
        """All events of a stream such as `run/…`."""
        from domain.ids import parse_stream

        return await self.store.load(parse_stream(stream))


@asynccontextmanager
async def open_stage(
    store: EventStore | None = None, limits: ActorLimits | None = None
) -> AsyncIterator[Stage]:
    """A stage whose actors run until the end of the block."""
    store = store or MemoryEventStore()
    async with anyio.create_task_group() as tasks:

        def spawn(name: str, work: Any) -> None:
            tasks.start_soon(work, name=name)

        actors = StreamActors(store, SystemClock(), spawn, limits)
        yield Stage(store, actors, SketchBinder(), tasks.start_soon)
        await actors.drain()


def run_id(text: str) -> UUID:
    """A run's id from a reply."""
    return UUID(text)
