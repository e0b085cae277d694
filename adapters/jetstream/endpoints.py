"""Answers to requests, many at a time, as a NATS micro service."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

import anyio
from anyio.abc import TaskStatus
from msgspec import Struct

from adapters.jetstream.connection import Callback, Connection, Headers
from adapters.jetstream.discovery import Discovery, EndpointStats, Identity
from adapters.jetstream.message import Message
from adapters.jetstream.reply import error_reply
from adapters.jetstream.wire import head_of
from domain.errors import (
    Defect,
    HeadwaterError,
    Malformed,
    TooLarge,
    Unavailable,
)

requests_max = 2_048
"""Requests of one service that are being answered; more are refused."""

requests_bytes_max = 64 * 1024 * 1024
"""Their payloads together."""

drain_seconds_max = 5.0
"""For what is being answered when the service stops."""

queue_group = "q"
"""Members of a group share the requests; the usual name among NATS micro services."""

_failed: HeadwaterError | None = Defect("the service failed on this request")

Handler = Callable[[str, bytes, dict[str, str]], Awaitable[bytes]]
"""Subject, payload and headers to the answer. Raises a `HeadwaterError` to refuse."""


class Endpoint(Struct, frozen=True):
    """A subject, perhaps with wildcards, and who answers there."""

    name: str
    subject: str
    handler: Handler


class ServiceIdentity(Struct, frozen=True, kw_only=True):
    """How a service is found: `name` in letters, digits, dash and underscore."""

    name: str
    version: str
    role: str
    description: str = ""


class Endpoints:
    """A service on the bus: `run` it in a task of its own.

    Requests are handled concurrently and without order, up to a limit; more are refused at once
    with `unavailable`. A handler's `HeadwaterError` becomes an error reply. Anything else that it
    raises is a defect: the request is told so, and `run` ends with it.
    """

    def __init__(
        self,
        connection: Connection,
        identity: ServiceIdentity,
        endpoints: Sequence[Endpoint],
        unwell: Callable[[], str] = str,
    ) -> None:
        """`unwell` says why the service is not healthy; nothing where it is."""
        self._connection = connection
        self._endpoints = endpoints
        self._identity = Identity(
            name=identity.name,
            id=connection.new_inbox().rpartition(".")[2],
            version=identity.version,
            description=identity.description,
            role=identity.role,
            started=datetime.now(UTC),
        )
        self._stats = [
            EndpointStats(name=one.name, subject=one.subject, queue_group=queue_group)
            for one in endpoints
        ]
        self._discovery = Discovery(connection, self._identity, self._stats, unwell)
        self._stopping = anyio.Event()
        self._answering: set[asyncio.Task[None]] = set()
        self._bytes = 0

    @property
    def id(self) -> str:
        """The id of this one among services of the same name."""
        return self._identity.id

    @property
    def requests(self) -> int:
        """Requests being answered now."""
        return len(self._answering)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until `stop` is called and what was taken is answered; ready when started.

        Raises `Unavailable` where it cannot start, and defects of handlers.
        """
        # The loop's own task group: this is done for every request, at half the price of anyio's.
        async with asyncio.TaskGroup() as answering:
            subscriptions = [
                await self._connection.subscribe(
                    one.subject, self._receiver(one.handler, stats, answering), queue_group
                )
                for one, stats in zip(self._endpoints, self._stats, strict=True)
            ]
            try:
                for subject, callback in self._discovery.callbacks().items():
                    subscriptions.append(await self._connection.subscribe(subject, callback))
                await self._connection.flush()
                task_status.started()
                await self._stopping.wait()
            finally:
                with anyio.CancelScope(shield=True):
                    await self._connection.drain(subscriptions)
            await self._drain()
            for task in self._answering:
                task.cancel()

    def stop(self) -> None:
        """Take no more requests; `run` returns when those taken are answered. Twice is fine."""
        self._stopping.set()

    async def _drain(self) -> None:
        if self._answering:
            await asyncio.wait(self._answering, timeout=drain_seconds_max)

    def _receiver(
        self, handler: Handler, stats: EndpointStats, answering: asyncio.TaskGroup
    ) -> Callback:
        """Takes a message and returns at once."""

        def receive(message: Message) -> None:
            size = len(message.data)
            if len(self._answering) >= requests_max or self._bytes + size > requests_bytes_max:
                error = Unavailable("too many requests at once", hint="try again in a moment")
                stats.count(0, error.message)
                self._reply(message, *error_reply(error))
                return
            self._bytes += size
            task = answering.create_task(self._answer(handler, stats, message))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

        return receive

    async def _answer(self, handler: Handler, stats: EndpointStats, message: Message) -> None:
        started = time.perf_counter_ns()
        body, refusal = b"", _failed
        try:
            body = await handler(message.subject, message.data, message.headers)
            refusal = None
        except HeadwaterError as error:
            refusal = error
        except RecursionError:
            refusal = Malformed("the payload is nested too deeply")
        except asyncio.CancelledError:
            refusal = Unavailable("the service is stopping", hint="try again in a moment")
            raise
        finally:
            self._bytes -= len(message.data)
            told = None if refusal is None else str(refusal)
            stats.count(time.perf_counter_ns() - started, told)
            self._reply(message, *((body, None) if refusal is None else error_reply(refusal)))
        await self._connection.relieve()  # until then it counts as a request that is answered

    def _reply(self, message: Message, body: bytes, headers: Headers | None) -> None:
        if not message.reply:
            return
        with suppress(Unavailable, Malformed):  # whoever asked is gone, or asked nonsense
            try:
                self._connection.send(message.reply, body, head_of(headers) if headers else b"")
            except TooLarge as error:
                told, headers = error_reply(error)
                self._connection.send(message.reply, told, head_of(headers))
