"""One connection to NATS that comes back by itself; errors of the library end here."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import anyio
import nats.errors
from nats.aio.client import Server
from nats.aio.subscription import Subscription

from adapters.jetstream import wire
from adapters.jetstream.message import Message, message_of
from domain.errors import Defect, Failure, Malformed, TimedOut, TooLarge, Unavailable

Headers = Mapping[str, str]
Callback = Callable[[Message], None]
"""Called in the reading loop, so that no message costs a task."""

connect_seconds_max = 5.0
"""Until a first connection is given up."""

reconnect_seconds = 0.1
"""Between two attempts to reconnect, and as much again at random."""

drain_seconds_max = 1.0
"""For messages that are on their way when a subscription ends."""

pending_bytes_max = 2 * 1024 * 1024
"""To be written to the socket, before whoever sends more has to wait."""

version_min = (2, 12)
"""The first nats-server with everything the bus needs."""

ping_seconds = 2
"""A dead peer is noticed after three times that; a broken socket at once."""

_log = logging.getLogger(__name__)


class NobodyListens(Unavailable):
    """No subscriber for this subject; only inside this package."""


class _ToughClient(wire.Receiver):
    """Goes on where the library gives up, and calls back without a queue and a task between.

    A message that cannot be read is dropped; it would end the reading loop. An error that the
    server tells leads to a new connection; it would end this one for ever.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ps = wire.WholeMessages(self)
        self.callbacks: dict[int, Callback] = {}
        """By the number of the subscription."""

    def take(self, sid: int, subject: bytes, reply: bytes, data: bytes, head: bytes) -> None:
        callback = self.callbacks.get(sid)
        if callback is None:
            return
        try:
            message = message_of(subject, reply, data, head)
        except ValueError as error:
            _log.warning("a message that cannot be read was dropped: %s", error)
            return
        try:
            callback(message)
        except Exception:  # noqa: BLE001  # shown; the connection has other subscriptions
            _log.exception("a message on %s could not be taken", message.subject)

    def send(self, message: bytes) -> None:
        """Put whole messages behind those that are to be written in the loop's next round."""
        self._pending.append(message)
        self._pending_data_size += len(message)
        if self._flush_queue is not None and self._flush_queue.empty():
            self._flush_queue.put_nowait(asyncio.get_running_loop().create_future())

    async def relieve(self) -> None:
        """Wait until the socket has taken most of what is to be written, where that is much."""
        if self._pending_data_size > pending_bytes_max:
            await self._flush_pending(force_flush=True)

    async def _process_err(self, err_msg: str) -> None:
        error = nats.errors.Error(f"nats: {err_msg}")
        await self._error_cb(error)
        if "permissions violation" not in err_msg.lower():
            await self._process_op_err(error)


class Connection:
    """A NATS connection; `connect` makes one.

    It reconnects for ever. While it is away every call raises `Unavailable` at once, and so does
    every request that was waiting for its answer: nothing is buffered and sent later.
    """

    def __init__(self, name: str) -> None:
        self._client = _ToughClient()
        self._name = name
        self._inbox = ""
        self._waiting: dict[str, asyncio.Future[Message]] = {}
        self._requests = 0
        self._generation = 0
        self._connected = asyncio.Event()
        self._changed = asyncio.Event()
        self._wakes: list[Callable[[], None]] = []
        self._last_error = ""

    @property
    def is_connected(self) -> bool:
        """Whether a server is there now."""
        return self._client.is_connected

    @property
    def is_closed(self) -> bool:
        """Whether it has ended for good: closed by us, or expelled by the server."""
        return self._client.is_closed

    @property
    def generation(self) -> int:
        """Counts what may have lost something: connections made and lost, a stream wiped."""
        return self._generation

    @property
    def payload_bytes_max(self) -> int:
        """Largest message of this server, headers included."""
        return self._client.max_payload

    async def connected(self, seconds: float) -> None:
        """Return when connected. Raises `Unavailable` after `seconds`."""
        with anyio.move_on_after(seconds):
            await self._connected.wait()
        self._require_connected()

    async def wait_changed(self, generation: int) -> int:
        """Return the new generation as soon as it is another one than `generation`."""
        while self._generation == generation:
            await self._changed.wait()
        return self._generation

    @contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Have `wake` called whenever the generation changes, until the block ends."""
        self._wakes.append(wake)
        try:
            yield
        finally:
            self._wakes.remove(wake)

    def suspect(self) -> None:
        """Tell everybody that something may have been missed, as after a reconnect."""
        self._generation += 1
        self._announce()

    async def publish(
        self, subject: str, payload: bytes, headers: Headers | None = None, reply: str = ""
    ) -> None:
        """Send a message, waiting where the socket is behind. Raises what `send` raises."""
        self.send(subject, payload, wire.head_of(headers) if headers else b"", reply)
        await self.relieve()

    def send(self, subject: str, payload: bytes, head: bytes = b"", reply: str = "") -> None:
        """Send a message with encoded headers (`wire.head_of`), whatever waits already.

        Raises `Unavailable`, `TooLarge`, `Malformed` for a bad subject.
        """
        self._require_connected()
        size = len(payload) + len(head)
        if size > self._client.max_payload:
            raise TooLarge(f"a message of {size} bytes is above the bus's {self.payload_bytes_max}")
        if subject.split(None, 1) != [subject]:
            raise Malformed(f"not a subject of NATS: {subject[:40]!r}")
        self._client.send(wire.message_of(subject, payload, head, reply))

    async def request(
        self, subject: str, payload: bytes, headers: Headers | None = None, seconds: float = 5.0
    ) -> Message:
        """Send and wait for one answer. Raises `TimedOut`, `Unavailable` where nobody listens or
        the connection is lost meanwhile, `TooLarge`."""
        answer = self.send_request(subject, payload, wire.head_of(headers) if headers else b"")
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError:
            raise TimedOut(f"no answer from {subject} within {seconds:g} s") from None
        finally:
            answer.cancel()

    def send_request(
        self, subject: str, payload: bytes, head: bytes = b""
    ) -> "asyncio.Future[Message]":
        """Send; the future holds the answer, or `Unavailable`. Cancel it to forget it.

        Raises what `send` raises.
        """
        token, answer = self._expect()
        try:
            self.send(subject, payload, head, f"{self._inbox}.{token}")
        except BaseException:
            answer.cancel()
            raise
        return answer

    async def relieve(self) -> None:
        """Wait until the socket has taken most of what was sent, where that is much."""
        await self._client.relieve()

    def _forget(self, token: str, answer: "asyncio.Future[Message]") -> None:
        self._waiting.pop(token, None)
        if not answer.cancelled():
            answer.exception()  # nobody may be left to look at it

    async def subscribe(self, subject: str, callback: Callback, queue: str = "") -> Subscription:
        """Have `callback` called for each message, one at a time, reconnects included."""
        self._require_connected()
        try:
            subscription = await self._client.subscribe(subject, queue=queue)
        except nats.errors.Error as error:
            raise translated(error) from error
        self._client.callbacks[subscription._id] = callback
        return subscription

    async def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription; waiting messages are dropped."""
        self._client.callbacks.pop(subscription._id, None)
        with suppress(nats.errors.Error):
            await subscription.unsubscribe()

    async def drain(self, subscriptions: Sequence[Subscription]) -> None:
        """End subscriptions after what the server has sent them already is handled."""
        with suppress(Unavailable, nats.errors.Error):
            for subscription in subscriptions:
                await self._client._send_unsubscribe(subscription._id)
            await self.flush(drain_seconds_max)
        for subscription in subscriptions:
            await self.unsubscribe(subscription)

    async def flush(self, seconds: float = 5.0) -> None:
        """Return when the server has taken everything sent so far. Raises `Unavailable`.

        A message to ourselves: the library's own `flush` sends a PING that overtakes what waits.
        """
        token, answer = self._expect()
        try:
            await self.publish(f"{self._inbox}.{token}", b"")
            async with asyncio.timeout(seconds):
                await answer
        except TimeoutError:
            raise Unavailable("the bus does not take what was sent") from None
        finally:
            answer.cancel()

    def _expect(self) -> "tuple[str, asyncio.Future[Message]]":
        """A token under the own inbox, and what will hold the message that comes there."""
        self._requests += 1
        token = str(self._requests)
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[token] = answer
        answer.add_done_callback(lambda done: self._forget(token, done))
        return token, answer

    def new_inbox(self) -> str:
        """A subject that nobody else uses."""
        return self._client.new_inbox()

    def _require_connected(self) -> None:
        if not self._client.is_connected:
            raise Unavailable(
                f"no connection to the bus ({self._last_error or 'not connected'})",
                hint="it is tried again all the time",
            )

    async def _open(self, url: str, token: str | None) -> None:
        options: dict[str, Any] = {"token": token} if token else {}
        try:
            async with asyncio.timeout(connect_seconds_max):
                await self._client.connect(
                    url.split(","),
                    name=self._name,
                    error_cb=self._on_error,
                    disconnected_cb=self._on_disconnect,
                    reconnected_cb=self._on_connect,
                    reconnect_to_server_handler=_select,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=reconnect_seconds,  # type: ignore[arg-type]  # takes floats
                    ping_interval=ping_seconds,
                    connect_timeout=2,
                    **options,
                )
        except (TimeoutError, OSError, nats.errors.Error) as error:
            reason = str(error) or self._last_error or "nobody answers"
            await self._close()
            raise Unavailable(f"cannot reach the bus at {url}: {reason}") from error
        await self._check_version()
        self._inbox = self.new_inbox()
        await self.subscribe(f"{self._inbox}.*", self._on_answer)
        await self._on_connect()

    async def _close(self) -> None:
        with suppress(OSError):  # what was still to be sent, to a server that has gone
            await self._client.close()

    async def _check_version(self) -> None:
        found = self._client.connected_server_version
        if (found.major, found.minor) < version_min:
            await self._close()
            wanted = ".".join(map(str, version_min))
            raise Unavailable(
                f"the bus is nats-server {found.major}.{found.minor}; at least {wanted} is needed"
            )

    def _on_answer(self, message: Message) -> None:
        answer = self._waiting.get(message.subject.rpartition(".")[2])
        if answer is None or answer.done():
            return
        if message.status == "503":
            answer.set_exception(NobodyListens("nobody answers on this subject now"))
        else:
            answer.set_result(message)

    async def _on_error(self, error: Exception) -> None:
        self._last_error = str(error) or type(error).__name__
        if self._generation == 0 and "authorization" in self._last_error.lower():
            raise error  # out of `_open`: trying again would not help
        _log.info("bus: %s", self._last_error)

    async def _on_connect(self) -> None:
        self._generation += 1
        self._connected.set()
        self._announce()

    async def _on_disconnect(self) -> None:
        self._generation += 1
        self._connected.clear()
        for answer in list(self._waiting.values()):
            if not answer.done():
                answer.set_exception(Unavailable("the connection to the bus was lost"))
        self._announce()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
        for wake in self._wakes:
            wake()


@asynccontextmanager
async def connect(
    url: str, token: str | None = None, *, name: str = "headwater"
) -> AsyncIterator[Connection]:
    """A connection until the block ends. Raises `Unavailable` where there is none in 5 s."""
    connection = Connection(name)
    await connection._open(url, token)
    try:
        yield connection
    finally:
        with anyio.CancelScope(shield=True):
            with suppress(Unavailable):
                await connection.flush(1.0)
            await connection._close()


def translated(error: nats.errors.Error) -> Failure | Defect:
    """An error of the library as one of ours."""
    match error:
        case nats.errors.MaxPayloadError():
            return TooLarge("the message is above the bus's largest")
        case nats.errors.TimeoutError():
            return TimedOut(f"the bus did not answer in time: {error}")
        case nats.errors.BadSubjectError() | nats.errors.BadHeaderError():
            return Malformed(f"not a subject or header of NATS: {error}")
        case nats.errors.MsgAlreadyAckdError():
            return Defect(f"a task was finished twice: {error}")
        case _:
            return Unavailable(f"the bus refused: {error}")


def _select(servers: list[Server], _info: dict[str, Any]) -> tuple[Server, float]:
    """Try the first at once, then each after a pause that differs between clients."""
    server = min(servers, key=lambda one: one.reconnects)
    pause = reconnect_seconds * (1 + random.random())  # noqa: S311 — jitter, not a secret
    return server, pause if server.reconnects else 0.0
