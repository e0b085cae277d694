"""Publisher, feed and queue through the death of the server and the loss of its files."""

import os
import shutil
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import pytest

from adapters.jetstream.connection import Connection, connect
from adapters.jetstream.feed import JetStreamFeed
from adapters.jetstream.publisher import JetStreamPublisher
from adapters.jetstream.server import NatsServer
from adapters.jetstream.tasks import JetStreamTaskQueue, JetStreamTaskSource
from adapters.jetstream.topology import Topology
from adapters.memory.eventstore import MemoryEventStore
from commands.outbox import OutboxRelay
from commands.ports import Task, TaskDelivery
from domain.errors import Unavailable
from projections.ports import EventFeed
from tests.contracts.bus import clock, records, task
from tests.contracts.events import envelopes, new_stream

pytestmark = pytest.mark.anyio

TOPOLOGY = Topology()


def strike(server: NatsServer, directory: Path, how: str) -> None:
    """Do to the server what the test is about."""
    if how == "kill":
        os.kill(server.pid, signal.SIGKILL)
    else:
        shutil.rmtree(directory / "jetstream")


async def lost(connection: Connection) -> None:
    """Return when the server has gone."""
    generation = connection.generation
    with anyio.fail_after(10):
        await connection.wait_changed(generation)


async def ensured(connection: Connection, one: Task) -> None:
    """Put a task in the queue as soon as that is possible."""
    queue = JetStreamTaskQueue(connection, TOPOLOGY)
    with anyio.fail_after(10):
        while True:
            await connection.connected(10)
            try:
                await queue.ensure(one)
            except Unavailable:
                continue
            return


async def relayed(relay: OutboxRelay, connection: Connection, position: int) -> None:
    """Step until the bus has come to `position`."""
    with anyio.fail_after(10):
        while relay.position < position:
            await connection.connected(10)
            try:
                await relay.step()
            except Unavailable:
                continue


async def grown(store: MemoryEventStore, events: int) -> None:
    stream = new_stream()
    await store.append(stream, 0, envelopes(stream, 0, events))


async def heard(feed: EventFeed, position: int) -> Sequence[int]:
    """Positions from the feed up to and including `position`."""
    seen: list[int] = []
    with anyio.fail_after(10):
        while position not in seen:
            seen.extend(one.position for one in await feed.next(10, 0.5))
    return seen


@pytest.mark.parametrize("how", ["kill", "wipe"])
async def test_a_waiting_worker_gets_what_comes_afterwards(
    server: NatsServer, connection: Connection, other: Connection, directory: Path, how: str
) -> None:
    found: list[TaskDelivery] = []

    async def work(source: JetStreamTaskSource) -> None:
        found.extend(await source.next(1, 30.0))

    one = task()
    async with JetStreamTaskSource.open(other, TOPOLOGY) as source:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work, source)
            await connection.flush()
            strike(server, directory, how)
            await lost(connection)
            await ensured(connection, one)
        assert [delivery.task for delivery in found] == [one]
        await found[0].finish()
    assert await JetStreamTaskQueue(connection, TOPOLOGY).ensure(one)


async def test_a_waiting_task_outlives_the_server(
    server: NatsServer, connection: Connection, directory: Path
) -> None:
    one = task()
    queue = JetStreamTaskQueue(connection, TOPOLOGY)
    await queue.ensure(one)
    strike(server, directory, "kill")
    await lost(connection)
    await connection.connected(10)
    async with JetStreamTaskSource.open(connection, TOPOLOGY) as source:
        (delivery,) = await source.next(1, 10.0)
        assert delivery.task == one
        assert not await queue.ensure(one)


async def test_without_a_server_a_worker_is_told(tmp_path: Path) -> None:
    async with AsyncExitStack() as running, AsyncExitStack() as using:
        server = await running.enter_async_context(NatsServer.start(tmp_path / "nats"))
        connection = await using.enter_async_context(connect(server.url, server.token))
        source = await using.enter_async_context(JetStreamTaskSource.open(connection, TOPOLOGY))
        feed = await using.enter_async_context(JetStreamFeed.open(connection, TOPOLOGY))
        await running.aclose()
        with pytest.raises(Unavailable):
            await source.next(1, 0.05)
        assert list(await feed.next(1, 0.05)) == []


@pytest.mark.parametrize("how", ["kill", "wipe"])
async def test_relay_and_feed_go_on(
    server: NatsServer, connection: Connection, other: Connection, directory: Path, how: str
) -> None:
    store = MemoryEventStore()
    relay = OutboxRelay(store, JetStreamPublisher(connection, TOPOLOGY), clock)
    async with JetStreamFeed.open(other, TOPOLOGY) as feed:
        await grown(store, 3)
        await relayed(relay, connection, 3)
        assert await heard(feed, 3) == [1, 2, 3]
        epoch = relay.epoch

        strike(server, directory, how)
        await lost(connection)
        with anyio.fail_after(10):
            positions: list[int] = []
            while not positions:
                await grown(store, 1)
                await relayed(relay, connection, await store.head())
                positions.extend(one.position for one in await feed.next(100, 0.2))
        await grown(store, 1)
        await relayed(relay, connection, await store.head())
        assert (await heard(feed, await store.head()))[-1] == await store.head()

    assert (relay.epoch == epoch) == (how == "kill")
    sequence, carried = await JetStreamPublisher(connection, TOPOLOGY).tail()
    assert carried is not None
    assert (sequence, carried.position) == (await store.head(), await store.head())


async def test_a_reader_of_a_bus_that_does_not_answer_is_not_held_up(tmp_path: Path) -> None:
    async with (
        NatsServer.start(tmp_path) as server,
        connect(server.url, server.token) as connection,
        JetStreamFeed.open(connection, TOPOLOGY) as feed,
    ):
        os.kill(server.pid, signal.SIGSTOP)
        try:
            with anyio.fail_after(4):  # an answer would be waited for longer
                for _ in range(10):
                    assert await feed.next(10, 0.2) == ()
        finally:
            os.kill(server.pid, signal.SIGCONT)


async def test_a_slow_reader_loses_the_oldest_and_nothing_breaks(
    connection: Connection, other: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.jetstream.feed.waiting_messages_max", 10)
    async with JetStreamFeed.open(other, TOPOLOGY) as feed:
        await JetStreamPublisher(connection, TOPOLOGY).publish(records(30), "e", 0)
        with anyio.fail_after(10):
            while feed.dropped < 20:
                await other.flush()
        assert await heard(feed, 30) == list(range(21, 31))
