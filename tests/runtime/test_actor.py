"""Actors: one thing at a time for each stream, many streams at once, bounded."""

from collections.abc import Awaitable, Callable, Sequence
from uuid import uuid4

import anyio
import pytest
from msgspec import Raw

from adapters.clock import SystemClock
from adapters.memory.eventstore import MemoryEventStore
from commands.ports import Envelope, EventStore
from commands.stream import Command
from domain.errors import Defect, Unavailable
from domain.ids import Position, StreamId, Version, pipeline_stream
from domain.pipeline.commands import RegisterPipeline
from domain.pipeline.events import Definition
from runtime.actor import ActorLimits, StreamActors
from runtime.supervisor import open_supervisor
from tests.commands.stage import open_stage, sketch

pytestmark = pytest.mark.anyio


class GatedStore(EventStore):
    """A store whose appends wait for the test, and show how many wait at once."""

    def __init__(self) -> None:
        self.inner = MemoryEventStore()
        self.gate = anyio.Event()
        self.reached = anyio.Event()
        self.sizes: list[int] = []

    async def load(self, stream: StreamId, after: Version = 0) -> Sequence[Envelope]:
        return await self.inner.load(stream, after)

    async def append(
        self, stream: StreamId, expected: Version, envelopes: Sequence[Envelope]
    ) -> Sequence[Position]:
        self.sizes.append(len(envelopes))
        self.reached.set()
        await self.gate.wait()
        return await self.inner.append(stream, expected, envelopes)


async def test_what_waits_during_an_append_is_appended_at_once() -> None:
    store = GatedStore()
    async with open_stage(store) as stage:
        spec = sketch("flights", "a")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.send, "pipeline.register", {"spec": spec})
            await store.reached.wait()
            for verb in ("pause", "resume", "pause"):
                tasks.start_soon(stage.send, f"pipeline.{verb}", {"pipeline": "flights"})
            await anyio.wait_all_tasks_blocked()
            store.gate.set()
        assert store.sizes == [1, 3]


async def test_streams_do_not_wait_for_each_other() -> None:
    store = GatedStore()
    async with open_stage(store) as stage, anyio.create_task_group() as tasks:
        for name in ("a", "b", "c"):
            tasks.start_soon(stage.send, "pipeline.register", {"spec": sketch(name, "x")})
        await anyio.wait_all_tasks_blocked()
        assert store.sizes == [1, 1, 1]
        store.gate.set()


async def test_a_full_mailbox_says_try_again() -> None:
    store = GatedStore()
    limits = ActorLimits(mailbox_letters_max=2)
    async with open_stage(store, limits) as stage, anyio.create_task_group() as tasks:
        tasks.start_soon(stage.send, "pipeline.register", {"spec": sketch("flights", "a")})
        await store.reached.wait()
        for _ in range(2):
            tasks.start_soon(stage.send, "pipeline.pause", {"pipeline": "flights"})
        await anyio.wait_all_tasks_blocked()
        reply = await stage.send("pipeline.pause", pipeline="flights")
        assert reply["code"] == "unavailable"
        assert reply["details"]["hint"]
        store.gate.set()


async def test_a_batch_is_bounded() -> None:
    store = GatedStore()
    limits = ActorLimits(batch_commands_max=2)
    async with open_stage(store, limits) as stage:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.send, "pipeline.register", {"spec": sketch("flights", "a")})
            await store.reached.wait()
            for verb in ("pause", "resume", "pause"):
                tasks.start_soon(stage.send, f"pipeline.{verb}", {"pipeline": "flights"})
            await anyio.wait_all_tasks_blocked()
            store.gate.set()
        assert store.sizes == [1, 2, 1]


async def test_idle_streams_leave_the_memory_and_come_back() -> None:
    async with open_stage(limits=ActorLimits(actors_max=2)) as stage:
        for name in ("a", "b", "c", "d"):
            await stage.send("pipeline.register", spec=sketch(name, "x"))
        assert stage.actors.count == 2
        reply = await stage.send("pipeline.pause", pipeline="a")
        assert reply["version"] == 2


async def test_who_gives_up_waiting_does_not_undo_what_was_taken() -> None:
    store = GatedStore()
    async with open_stage(store) as stage:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.send, "pipeline.register", {"spec": sketch("flights", "a")})
            await store.reached.wait()
            tasks.cancel_scope.cancel()
        store.gate.set()
        reply = await stage.send("pipeline.pause", pipeline="flights")
        assert reply["version"] == 2


async def test_draining_answers_what_was_taken_and_takes_nothing_new() -> None:
    store = GatedStore()
    replies = []
    async with open_stage(store) as stage, anyio.create_task_group() as tasks:

        async def register() -> None:
            replies.append(await stage.send("pipeline.register", spec=sketch("flights", "a")))

        tasks.start_soon(register)
        await store.reached.wait()
        tasks.start_soon(stage.actors.drain)
        await anyio.wait_all_tasks_blocked()
        refused = await stage.send("pipeline.pause", pipeline="flights")
        assert refused["code"] == "unavailable"
        store.gate.set()
        await stage.actors.drain()
    assert replies[0]["status"] == "accepted"


async def test_reading_sees_what_others_wrote() -> None:
    store = MemoryEventStore()
    async with open_stage(store) as one, open_stage(store) as other:
        assert (await one.actors.read(pipeline_stream("flights"))).version == 0
        await other.send("pipeline.register", spec=sketch("flights", "a"))
        assert (await one.actors.read(pipeline_stream("flights"))).version == 1


class BrokenStore(MemoryEventStore):
    """A store with a mistake in it."""

    async def append(
        self, stream: StreamId, expected: Version, envelopes: Sequence[Envelope]
    ) -> Sequence[Position]:
        raise ZeroDivisionError


async def test_a_crash_is_a_defect_for_those_who_wait_and_seen_by_the_owner() -> None:
    async with open_supervisor() as supervisor:
        actors = StreamActors(BrokenStore(), SystemClock(), supervisor.spawn)
        with pytest.raises(Defect, match=str(pipeline_stream("flights"))):
            await actors.execute(_register())
        assert supervisor.crashes == ("actors: ZeroDivisionError: ",)
        assert (await actors.read(pipeline_stream("flights"))).version == 0


async def test_those_who_wait_when_it_is_stopped_are_told_to_ask_again() -> None:
    store = GatedStore()
    errors: list[Unavailable] = []
    async with anyio.create_task_group() as callers, anyio.create_task_group() as owner:

        def spawn(name: str, work: Callable[[], Awaitable[None]]) -> None:
            async def once() -> None:
                await work()

            owner.start_soon(once, name=name)

        actors = StreamActors(store, SystemClock(), spawn)

        async def ask() -> None:
            try:
                await actors.read(pipeline_stream("flights"))
                await actors.execute(_register())
            except Unavailable as error:
                errors.append(error)

        callers.start_soon(ask)
        await store.reached.wait()
        owner.cancel_scope.cancel()
    assert len(errors) == 1


def _register() -> Command:
    return Command(
        type="pipeline.register",
        stream=pipeline_stream("flights"),
        payload=RegisterPipeline(
            pipeline="flights", definition=Definition(bundle="b", spec=Raw(b"{}"))
        ),
        command_id=uuid4(),
        payload_hash="",
        principal="test",
    )
