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
    """An ephemeral consumer of the whole events stream, from now on; `open` makes one.

    Made anew after every reconnect and wherever its heartbeat is missing, such as after the stream
    was wiped. What came between is lost here: its reader's place is its own checkpoint.
    """

    def __init__(self, connection: Connection, topology: Topology) -> None:
        self._connection = connection
        self._api = JetStreamApi(connection)
        self._topology = topology
        self._waiting: deque[Recorded] = deque()
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._subscription: Subscription | None = None
        self._consumer = ""
        self._generation = -1
        self._heard = 0.0
        self.dropped = 0
        """Events that a slow reader did not get from here."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, connection: Connection, topology: Topology
    ) -> AsyncIterator["JetStreamFeed"]:
        """A feed until the block ends; listening, if the bus is well."""
        feed = cls(connection, topology)
        await feed._join()
        with connection.waking(feed._arrived.set):
            try:
                yield feed
            finally:
                with anyio.CancelScope(shield=True):
                    await feed._leave()

    async def next(self, limit: int, seconds: float) -> Sequence[Recorded]:
        """As promised by the port."""
        end = anyio.current_time() + seconds
        while not self._waiting:
            left = end - anyio.current_time()
            if left <= 0:
                return ()
            self._arrived.clear()
            joined = await self._join() if self._is_deaf() else True
            pause = min(left, silence_seconds_max if joined else retry_seconds)
            with anyio.move_on_after(pause):
                await self._arrived.wait()
        taken = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        self._bytes -= sum(len(event.state) for event in taken)
        return taken

    def _is_deaf(self) -> bool:
        silence = anyio.current_time() - self._heard
        return self._generation != self._connection.generation or silence > silence_seconds_max

    async def _join(self) -> bool:
        """Make the consumer; False where that is not possible now."""
        await self._leave()
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
        self._consumer = inbox.rpartition(".")[2]
        config = {
            "name": self._consumer,
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
            await self._api.call(f"CONSUMER.CREATE.{stream}.{self._consumer}", request)
        except NotFound:
            await ensure(self._api, self._topology)
            await self._api.call(f"CONSUMER.CREATE.{stream}.{self._consumer}", request)

    async def _leave(self) -> None:
        if self._subscription is None:
            return
        await self._connection.unsubscribe(self._subscription)
        self._subscription = None
        with suppress(Unavailable):
            operation = f"CONSUMER.DELETE.{self._topology.events}.{self._consumer}"
            await self._connection.publish(f"$JS.API.{operation}", b"")

    async def _take(self, message: Message) -> None:
        self._heard = anyio.current_time()
        try:
            event = event_of(message.headers, message.data)
        except Malformed:  # a heartbeat, or a message of others
            return
        self._waiting.append(event)
        self._bytes += len(event.state)
        while len(self._waiting) > waiting_messages_max or self._bytes > waiting_bytes_max:
            self._bytes -= len(self._waiting.popleft().state)
            self.dropped += 1
        self._arrived.set()
