"""The work queue: one message per attempt of a step, handed to one worker at a time."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import anyio
import msgspec

from adapters.jetstream.api import JetStreamApi, Stored, failure, full_for_subject, stored
from adapters.jetstream.connection import Connection, NobodyListens
from adapters.jetstream.message import Message
from adapters.jetstream.topology import Topology, consumer_name, ensure
from commands.ports import Task, TaskDelivery, TaskQueue, TaskSource
from domain.errors import TimedOut, Unavailable

answer_seconds_max = 5.0
"""Until the queue's acknowledgement is given up."""

finish_seconds_max = 2.0
"""The server says nothing about deliveries of a stream that was wiped."""

heartbeat_seconds = 1.0
"""The server says so often that a pull is still waiting."""

silence_seconds_max = 2.5
"""Without that for so long the pull is sent again: it is lost when the server restarts."""

retry_seconds = 0.1
"""Between two pulls that fail at once."""

grace_seconds = 0.25
"""A pull ends by the server's word; it is waited for so much longer."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Task)
_log = logging.getLogger(__name__)


class JetStreamTaskQueue(TaskQueue):
    """Puts tasks in the queue; its streams are made where they are missing."""

    def __init__(self, connection: Connection, topology: Topology) -> None:
        self._connection = connection
        self._api = JetStreamApi(connection)
        self._topology = topology

    async def ensure(self, task: Task) -> bool:
        """As promised by the port. Raises `Unavailable`."""
        try:
            answer = await self._publish(task)
        except NobodyListens:
            await ensure(self._api, self._topology)
            answer = await self._publish(task)
        if answer.error is None:
            return True
        if answer.error.err_code == full_for_subject:
            return False
        raise failure(answer.error)

    async def purge(self) -> None:
        """Empty the queue: a new and only owner dispatches everything that is open again.

        Raises `Unavailable`.
        """
        await ensure(self._api, self._topology)
        await self._api.purge(self._topology.tasks)

    async def _publish(self, task: Task) -> Stored:
        headers = {"traceparent": task.traceparent} if task.traceparent else None
        subject = self._topology.task_subject(task)
        try:
            answer = await self._connection.request(
                subject, _encoder.encode(task), headers, answer_seconds_max
            )
        except TimedOut as error:
            raise Unavailable(f"the queue does not answer: {error.message}") from error
        return stored(answer)


class JetStreamDelivery(TaskDelivery):
    """One delivery of a task."""

    def __init__(self, connection: Connection, task: Task, reply: str) -> None:
        self._connection = connection
        self._task = task
        self._reply = reply
        self._generation = connection.generation

    @property
    def task(self) -> Task:
        """What is to be done."""
        return self._task

    async def keep_alive(self) -> None:
        """As promised by the port. Raises `Unavailable`."""
        await self._connection.publish(self._reply, b"+WPI")

    async def finish(self) -> None:
        """Take the task out of the queue; fine if it has gone already. Raises `Unavailable`.

        After a reconnect nobody may know this delivery any more, so no answer is waited for: a task
        that comes again is refused by its claim.
        """
        if self._generation != self._connection.generation:
            await self._connection.publish(self._reply, b"+ACK")
            return
        with suppress(NobodyListens, TimedOut):
            await self._connection.request(self._reply, b"+ACK", seconds=finish_seconds_max)

    async def give_back(self, seconds: float) -> None:
        """As promised by the port. Raises `Unavailable`."""
        delay = msgspec.json.encode({"delay": int(seconds * 1e9)})
        await self._connection.publish(self._reply, b"-NAK " + delay if seconds > 0 else b"-NAK")


class JetStreamTaskSource(TaskSource):
    """Where one worker gets its tasks; `open` makes one. One caller at a time.

    It pulls one task and waits at the server, so a task is here within a millisecond; only where
    the server tells that more are waiting it pulls the rest of `limit`. What comes too late for a
    caller is kept for the next one.
    """

    def __init__(self, connection: Connection, topology: Topology) -> None:
        self._connection = connection
        self._api = JetStreamApi(connection)
        self._topology = topology
        self._inbox = ""
        self._waiting: deque[JetStreamDelivery] = deque()
        self._arrived = asyncio.Event()
        self._pulls = 0
        self._open_until = 0.0
        self._expected = 0
        self._is_missing = False
        self._heard = 0.0
        self._generation = -1
        self._left_at_server = 0

    @classmethod
    @asynccontextmanager
    async def open(
        cls, connection: Connection, topology: Topology
    ) -> AsyncIterator["JetStreamTaskSource"]:
        """A source until the block ends; then unused tasks are given back. Raises `Unavailable`."""
        source = cls(connection, topology)
        source._inbox = connection.new_inbox()
        subscription = await connection.subscribe(f"{source._inbox}.*", source._take)
        with connection.waking(source._arrived.set):
            try:
                yield source
            finally:
                with anyio.CancelScope(shield=True):
                    await connection.drain([subscription])
                    for delivery in source._waiting:
                        with suppress(Unavailable):
                            await delivery.give_back(0)

    async def next(self, limit: int, seconds: float) -> Sequence[TaskDelivery]:
        """As promised by the port."""
        end = anyio.current_time() + seconds
        while not self._waiting:
            left = end - anyio.current_time()
            if left <= 0 and not self._is_pulling():
                return ()
            await self._connection.connected(max(left, 0.0))
            if self._is_missing:
                await self._mend()
            if not self._is_pulling():
                await self._pull(left)
            await self._wait(self._open_until - anyio.current_time())
        more = min(limit - len(self._waiting), self._left_at_server)
        if more > 0:
            await self._pull_at_once(more)
        return [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]

    def _is_pulling(self) -> bool:
        now = anyio.current_time()
        return (
            self._expected > 0
            and now < self._open_until
            and self._generation == self._connection.generation
            and now - self._heard < silence_seconds_max
        )

    async def _wait(self, seconds: float) -> None:
        with anyio.move_on_after(min(seconds, silence_seconds_max)):
            await self._arrived.wait()
        self._arrived.clear()

    async def _mend(self) -> None:
        """Make the queue again: it was wiped, or the server has just started.

        Whoever else was the one to make it: what it held is lost, and that is told.
        """
        await ensure(self._api, self._topology)
        await anyio.sleep(retry_seconds)
        self._is_missing = False
        self._connection.suspect()

    async def _pull(self, seconds: float) -> None:
        request = {"batch": 1, "expires": max(int(seconds * 1e9), 1_000_000)}
        if seconds > 2 * heartbeat_seconds:
            request["idle_heartbeat"] = int(heartbeat_seconds * 1e9)
        await self._send(request, seconds + grace_seconds)

    async def _pull_at_once(self, batch: int) -> None:
        await self._send({"batch": batch, "no_wait": True}, grace_seconds)
        while self._is_pulling():
            await self._wait(self._open_until - anyio.current_time())

    async def _send(self, request: Mapping[str, int], open_seconds: float) -> None:
        self._pulls += 1
        self._generation = self._connection.generation
        self._heard = anyio.current_time()
        self._open_until = self._heard + open_seconds
        self._expected = request["batch"]
        await self._connection.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{self._topology.tasks}.{consumer_name}",
            msgspec.json.encode(request),
            reply=f"{self._inbox}.{self._pulls}",
        )

    def _take(self, message: Message) -> None:
        self._heard = anyio.current_time()
        if message.subject.startswith(self._inbox):
            self._take_status(message)
            return
        self._expected -= 1
        try:
            task = _decoder.decode(message.data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            _log.warning("a task that cannot be read was removed: %s", error)
            self._connection.send(message.reply, b"+TERM")
        else:
            self._waiting.append(JetStreamDelivery(self._connection, task, message.reply))
            self._left_at_server = _pending(message.reply)
        self._arrived.set()

    def _take_status(self, message: Message) -> None:
        """A heartbeat, or the end of a pull."""
        if message.status == "100" or message.subject != f"{self._inbox}.{self._pulls}":
            return
        self._is_missing = message.status in {"409", "503"}
        self._expected = 0
        self._arrived.set()


def _pending(reply: str) -> int:
    """How many tasks the server has left, as the acknowledgement's subject says: last but for a
    random token where the subject names a domain."""
    words = reply.split(".")
    return int(words[8] if len(words) == 9 else words[10])
