"""Live events from the bus: unfiltered, without acknowledgements, silent when something fails."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import anyio
from nats.aio.subscription import Subscription

from adapters.jetstream.api import JetStreamApi, Refused
from adapters.jetstream.connection import Connection
from adapters.jetstream.message import Message
from adapters.jetstream.publisher import event_of
from adapters.jetstream.topology import Topology, ensure
from domain.errors import Malformed, NotFound, Unavailable
from domain.record import Recorded
from projections.ports import EventFeed

waiting_messages_max = 4_096
"""Events held for a slow consumer; it reads what is dropped from the store."""

waiting_bytes_max = 32 * 1024 * 1024
"""The same in bytes."""

heartbeat_seconds = 0.5
"""The server says so often that the consumer is alive."""

silence_seconds_max = 1.5
"""Without a heartbeat for so long the consumer is made anew."""

retry_seconds = 0.1
"""Between two attempts to make it."""


class JetStreamFeed(EventFeed):
    """What one reader has not taken yet of the events that a consumer hears; `open` makes one."""

    def __init__(self, consumer: "_Consumer") -> None:
        self._consumer = consumer
        self._waiting: deque[Recorded] = deque()
        self._bytes = 0
        self._arrived = asyncio.Event()
        self.dropped = 0
        """Events that a slow reader did not get from here."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, connection: Connection, topology: Topology
    ) -> AsyncIterator["JetStreamFeed"]:
        """A feed until the block ends; listening, if the bus is well."""
        async with open_feeds(connection, topology, 1) as (feed,):
            yield feed

    async def next(self, limit: int, seconds: float) -> Sequence[Recorded]:
        """As promised by the port."""
        end = anyio.current_time() + seconds
        while not self._waiting:
            left = end - anyio.current_time()
            if left <= 0:
                return ()
            self._arrived.clear()
            joined = False
            # A cluster that is electing a leader does not answer; the store can be asked meanwhile.
            with anyio.move_on_after(left):
                joined = await self._consumer.join()
            pause = min(left, silence_seconds_max if joined else retry_seconds)
            with anyio.move_on_after(pause):
                await self._arrived.wait()
        taken = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        self._bytes -= sum(len(event.state) for event in taken)
        return taken

    def wake(self) -> None:
        """Look at the connection again."""
        self._arrived.set()

    def take(self, event: Recorded) -> None:
        """Hold an event for the reader."""
        self._waiting.append(event)
        self._bytes += len(event.state)
        while len(self._waiting) > waiting_messages_max or self._bytes > waiting_bytes_max:
            self._bytes -= len(self._waiting.popleft().state)
            self.dropped += 1
        self._arrived.set()


@asynccontextmanager
async def open_feeds(
    connection: Connection, topology: Topology, count: int
) -> AsyncIterator[Sequence[JetStreamFeed]]:
    """Several readers of one consumer: each hears everything, and each message comes once."""
    consumer = _Consumer(connection, topology)
    feeds = [JetStreamFeed(consumer) for _ in range(count)]
    consumer.readers = feeds
    await consumer.join()
    with connection.waking(consumer.wake):
        try:
            yield feeds
        finally:
            with anyio.CancelScope(shield=True):
                await consumer.leave()


class _Consumer:
    """An ephemeral consumer of the whole events stream, from now on.

    Made anew after every reconnect and wherever its heartbeat is missing, such as after the stream
    was wiped. What came between is lost here: a reader's place is its own checkpoint.
    """

    def __init__(self, connection: Connection, topology: Topology) -> None:
        self.readers: Sequence[JetStreamFeed] = ()
        self._connection = connection
        self._api = JetStreamApi(connection)
        self._topology = topology
        self._joining = asyncio.Lock()
        self._subscription: Subscription | None = None
        self._name = ""
        self._generation = -1
        self._heard = 0.0

    def wake(self) -> None:
        """Have every reader look at the connection again."""
        for reader in self.readers:
            reader.wake()

    async def join(self) -> bool:
        """Be there; False where that is not possible now."""
        if not self._is_deaf():
            return True
        async with self._joining:
            return not self._is_deaf() or await self._make()

    async def leave(self) -> None:
        """Hear nothing more."""
        if self._subscription is None:
            return
        await self._connection.unsubscribe(self._subscription)
        self._subscription = None
        with suppress(Unavailable):
            operation = f"CONSUMER.DELETE.{self._topology.events}.{self._name}"
            await self._connection.publish(f"$JS.API.{operation}", b"")

    def _is_deaf(self) -> bool:
        silence = anyio.current_time() - self._heard
        return self._generation != self._connection.generation or silence > silence_seconds_max

    async def _make(self) -> bool:
        await self.leave()
        generation = self._connection.generation
        if not self._connection.is_connected:
            return False
        inbox = self._connection.new_inbox()
        try:
            self._subscription = await self._connection.subscribe(inbox, self._take)
            await self._create(inbox)
        except (Unavailable, Refused, NotFound):
            return False
        self._generation = generation
        self._heard = anyio.current_time()
        return True

    async def _create(self, inbox: str) -> None:
        stream = self._topology.events
        self._name = inbox.rpartition(".")[2]
        config = {
            "name": self._name,
            "deliver_subject": inbox,
            "deliver_policy": "new",
            "ack_policy": "none",
            "max_deliver": 1,
            "mem_storage": True,
            "num_replicas": 1,
            "idle_heartbeat": int(heartbeat_seconds * 1e9),
            "inactive_threshold": int(30 * 1e9),
        }
        request = {"stream_name": stream, "config": config}
        try:
            await self._api.call(f"CONSUMER.CREATE.{stream}.{self._name}", request)
        except NotFound:
            await ensure(self._api, self._topology)
            await self._api.call(f"CONSUMER.CREATE.{stream}.{self._name}", request)

    def _take(self, message: Message) -> None:
        self._heard = anyio.current_time()
        try:
            event = event_of(message.headers, message.data)
        except Malformed:  # a heartbeat, or a message of others
            return
        for reader in self.readers:
            reader.take(event)
