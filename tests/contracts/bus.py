"""One way to open every bus, so that the suites do not see which one they test."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Protocol
from uuid import UUID

import anyio
import pytest

from adapters.clock import SystemClock
from adapters.jetstream.api import JetStreamApi
from adapters.jetstream.connection import Connection, connect
from adapters.jetstream.feed import JetStreamFeed
from adapters.jetstream.publisher import JetStreamPublisher
from adapters.jetstream.server import NatsServer
from adapters.jetstream.tasks import JetStreamTaskQueue, JetStreamTaskSource
from adapters.jetstream.topology import Topology, ensure
from adapters.memory.bus import MemoryBus
from commands.ports import EventPublisher, Task, TaskQueue, TaskSource
from domain.catalog import CATALOG
from domain.record import Recorded, to_state
from projections.ports import EventFeed
from tests.contracts.events import envelopes, new_stream

ACK_SECONDS = 0.5
"""So long a task is held in these suites."""

clock = SystemClock()


class Bus(Protocol):
    """Every face of a bus, and what can happen to it."""

    def publisher(self) -> EventPublisher: ...

    def feed(self) -> AbstractAsyncContextManager[EventFeed]: ...

    def queue(self) -> TaskQueue: ...

    def source(self) -> AbstractAsyncContextManager[TaskSource]: ...

    async def purge_tasks(self) -> None: ...

    async def put_foreign(self) -> None:
        """Somebody else publishes something that is no event."""
        ...

    async def wipe(self) -> None:
        """All that the bus holds is lost."""
        ...


class OnJetStream(Bus):
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._topology = Topology(ack_seconds=ACK_SECONDS)
        self._api = JetStreamApi(connection)

    def publisher(self) -> EventPublisher:
        return JetStreamPublisher(self._connection, self._topology)

    def feed(self) -> AbstractAsyncContextManager[EventFeed]:
        return JetStreamFeed.open(self._connection, self._topology)

    def queue(self) -> TaskQueue:
        return JetStreamTaskQueue(self._connection, self._topology)

    def source(self) -> AbstractAsyncContextManager[TaskSource]:
        return JetStreamTaskSource.open(self._connection, self._topology)

    async def purge_tasks(self) -> None:
        await JetStreamTaskQueue(self._connection, self._topology).purge()

    async def put_foreign(self) -> None:
        await self._connection.request("headwater.event.run.mine.noise", b"\xff")

    async def wipe(self) -> None:
        for stream in (self._topology.events, self._topology.tasks):
            await self._api.call(f"STREAM.DELETE.{stream}")


class InMemory(Bus):
    def __init__(self) -> None:
        self._bus = MemoryBus(clock, ack_seconds=ACK_SECONDS)

    def publisher(self) -> EventPublisher:
        return self._bus.publisher()

    @asynccontextmanager
    async def feed(self) -> AsyncIterator[EventFeed]:
        feed = self._bus.feed()
        yield feed
        feed.close()

    def queue(self) -> TaskQueue:
        return self._bus.queue()

    @asynccontextmanager
    async def source(self) -> AsyncIterator[TaskSource]:
        yield self._bus.source()

    async def purge_tasks(self) -> None:
        await self._bus.queue().purge()

    async def put_foreign(self) -> None:
        self._bus.put_foreign()

    async def wipe(self) -> None:
        self._bus.wipe()


@asynccontextmanager
async def open_bus(adapter: str, directory: Path) -> AsyncIterator[Bus]:
    """The bus of this name, ready."""
    if adapter != "jetstream":
        yield InMemory()
        return
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(NatsServer.start(directory))
        connection = await stack.enter_async_context(connect(server.url, server.token))
        await ensure(JetStreamApi(connection), Topology(ack_seconds=ACK_SECONDS))
        yield OnJetStream(connection)


@pytest.fixture(params=["jetstream", "memory", "memory on trio"])
def adapter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def anyio_backend(adapter: str) -> str:
    return "trio" if adapter.endswith("trio") else "asyncio"


@pytest.fixture
async def bus(adapter: str, tmp_path: Path, anyio_backend: str) -> AsyncIterator[Bus]:
    async with open_bus(adapter, tmp_path / "nats") as opened:
        yield opened


def records(count: int, *, after: int = 0) -> Sequence[Recorded]:
    """Events at the positions behind `after`."""
    return [
        Recorded(
            position=after + one.version,
            previous=after + one.version - 1,
            event_id=one.event_id,
            stream=one.stream,
            version=one.version,
            tag=one.tag,
            state=to_state(one, CATALOG),
        )
        for one in envelopes(new_stream(), 0, count)
    ]


def task(step: str = "clean", *, attempt: int = 1, run: UUID | None = None) -> Task:
    """A task of a run of its own, or of `run`."""
    return Task(run=run or clock.new_id(), step=step, attempt=attempt)


async def received(feed: EventFeed, count: int) -> Sequence[Recorded]:
    """The next `count` events of a feed."""
    found: list[Recorded] = []
    with anyio.fail_after(10):
        while len(found) < count:
            found.extend(await feed.next(count - len(found), 1.0))
    return found
