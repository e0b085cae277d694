"""A run's first step is begun while the run's beginning is on its way to the disk."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import anyio
import pytest
from trio.testing import MockClock

from adapters.memory.eventstore import MemoryEventStore
from commands.ports import Envelope
from domain.errors import Conflict, StorageFull
from domain.ids import Position, StreamId, Version
from runtime.workers.step import StepLimits
from tests.commands.stage import sketch
from tests.simulation.shop import Shop, at_once, long, open_shop

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Time jumps as soon as everybody waits."""
    return "trio", {"clock": MockClock(autojump_threshold=0)}


class SlowStore(MemoryEventStore):
    """Takes its time for each append, and fails as the test says."""

    seconds = 0.0
    fails: Exception | None = None

    async def append(
        self, stream: StreamId, expected: Version, envelopes: Sequence[Envelope]
    ) -> Sequence[Position]:
        await anyio.sleep(self.seconds)
        failure, self.fails = self.fails, None
        if failure is not None:
            raise failure
        return await super().append(stream, expected, envelopes)


async def known(shop: Shop, *steps: str, **words: Any) -> None:
    """A pipeline whose definition the worker has at hand, since it has worked on it before."""
    spec = sketch("flights", *steps)
    spec["steps"] = [step | words for step in spec["steps"]]
    await shop.stage.send("pipeline.register", spec=spec)
    run = str((await shop.stage.send("run.start", pipeline="flights"))["run"])
    await shop.put(run, spec["steps"][0]["id"])
    await anyio.sleep(100)
    shop.runner.works.clear()
    shop.stage.dispatcher.employ(shop.part)


async def test_a_step_is_begun_before_the_beginning_of_its_run_is_stored() -> None:
    store = SlowStore()
    async with open_shop(at_once, store=store) as shop:
        await known(shop, "a", "b: a")
        store.seconds = 0.2
        replies: list[Any] = []

        async def start() -> None:
            replies.append(await shop.stage.send("run.start", pipeline="flights"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(start)
            await anyio.sleep(0.1)
            assert [(one.step, one.lease) for one in shop.runner.works] == [("a", 1)]
            assert replies == []
        assert "work" not in replies[0]
        await anyio.sleep(20)
        assert (await shop.tags(replies[0]["run"]))[-1] == "run.completed.v1"
        assert [one.step for one in shop.runner.works] == ["a", "b"]


async def test_what_was_begun_for_a_run_that_is_not_stored_is_ended() -> None:
    store = SlowStore()
    async with open_shop(long, store=store) as shop:
        await known(shop, "a")
        for _ in range(3 * StepLimits().steps_max):
            store.seconds, store.fails = 5, StorageFull("no room")
            refused = await shop.stage.send("run.start", pipeline="flights")
            assert refused["code"] == "storage_full"
        store.seconds = 0
        await anyio.sleep(1)
        assert shop.runner.cancelled == len(shop.runner.works) == 3 * StepLimits().steps_max
        assert shop.part.busy == 0
        run = str((await shop.stage.send("run.start", pipeline="flights"))["run"])
        await anyio.sleep(100)
        assert (await shop.tags(run))[-1] == "run.completed.v1"


async def test_a_run_that_another_process_has_begun_is_not_begun_here() -> None:
    store = SlowStore()
    async with open_shop(long, store=store) as shop:
        await known(shop, "a")
        run = str(UUID(int=5))
        first = await shop.stage.send("run.start", pipeline="flights", run=run)
        assert first["status"] == "accepted"
        shop.stage.actors._actors.clear()  # as in a process that knows nothing of it
        again = await shop.stage.send("run.start", pipeline="flights", run=run)
        assert again["code"] == "run_exists"
        await anyio.sleep(100)
        assert shop.runner.cancelled == 1
        assert (await shop.tags(run)).count("run.step_started.v1") == 1


async def test_a_beginning_that_is_decided_twice_is_begun_once() -> None:
    store = SlowStore()
    async with open_shop(long, store=store) as shop:
        await known(shop, "a")
        store.seconds, store.fails = 1, Conflict("run", 0)
        run = str((await shop.stage.send("run.start", pipeline="flights"))["run"])
        await anyio.sleep(100)
        assert len(shop.runner.works) - shop.runner.cancelled == 1
        assert (await shop.tags(run))[-1] == "run.completed.v1"


async def test_a_step_that_changes_something_outside_waits_for_its_lease() -> None:
    store = SlowStore()
    async with open_shop(at_once, store=store) as shop:
        await known(shop, "a", kind="store")
        store.seconds = 5
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shop.stage.send, "run.start", {"pipeline": "flights"})
            await anyio.sleep(4)
            assert shop.runner.works == []
        await anyio.sleep(20)
        assert [one.step for one in shop.runner.works] == ["a"]
