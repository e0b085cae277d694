"""Requests to JetStream's own subjects, and their errors as ours."""

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from adapters.jetstream.connection import Connection, NobodyListens
from adapters.jetstream.message import Message, headers_of
from domain.errors import Failure, NotFound, StorageFull, TimedOut, Unavailable

api_seconds_max = 5.0
"""Until a request to JetStream is given up."""

wrong_last = frozenset({10070, 10071, 10164})
"""The fence: message id, sequence, and sequence again."""
full_for_subject = 10077
stream_exists = 10058
consumer_not_made = 10012
not_found = frozenset({10014, 10037, 10059})
"""Consumer, message, stream."""
no_storage = frozenset({10023, 10047})


class ApiError(Struct, frozen=True):
    """What JetStream answers instead of a result."""

    code: int
    err_code: int = 0
    description: str = ""


class StreamState(Struct, frozen=True):
    """How full a stream is."""

    first_seq: int = 0
    last_seq: int = 0
    messages: int = 0


class StoredMessage(Struct, frozen=True):
    """A message read back from a stream."""

    sequence: int
    subject: str
    headers: Mapping[str, str]


class Stored(Struct, frozen=True):
    """Acknowledgement of a published message."""

    seq: int = 0
    duplicate: bool = False
    error: ApiError | None = None


class Refused(Failure):
    """JetStream refused; only inside this package."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(f"JetStream refuses: {error.description} ({error.err_code})")
        self.error = error


class NotMade(Unavailable):
    """JetStream could not make a consumer: its files may be harmed."""


class _Answer(Struct):
    error: ApiError | None = None
    config: dict[str, Any] | None = None
    state: StreamState = StreamState()


class _Message(Struct):
    seq: int
    subject: str
    hdrs: str = ""


class _MessageAnswer(Struct):
    error: ApiError | None = None
    message: _Message | None = None


_stored = msgspec.json.Decoder(Stored)


class JetStreamApi:
    """The few calls that we need, each failing fast when the connection is lost."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def call(self, operation: str, body: Mapping[str, Any] | None = None) -> _Answer:
        """One request. Raises `NotFound`, `Refused`, `StorageFull`, `Unavailable`."""
        payload = b"" if body is None else msgspec.json.encode(body)
        answer = msgspec.json.decode(await self._ask(operation, payload), type=_Answer)
        if answer.error is not None:
            raise failure(answer.error)
        return answer

    async def stream_config(self, stream: str) -> dict[str, Any] | None:
        """How a stream is set up; None where it does not exist."""
        try:
            return (await self.call(f"STREAM.INFO.{stream}")).config
        except NotFound:
            return None

    async def stream_state(self, stream: str) -> StreamState:
        """Raises `NotFound` where it does not exist."""
        return (await self.call(f"STREAM.INFO.{stream}")).state

    async def purge(self, stream: str) -> None:
        """Remove all messages; sequences go on. Raises `NotFound`."""
        await self.call(f"STREAM.PURGE.{stream}", {})

    async def message(self, stream: str, sequence: int) -> StoredMessage | None:
        """The message at `sequence`, without its payload; None where there is none. Headers that
        cannot be read are somebody else's, and left out."""
        asked = msgspec.json.encode({"seq": sequence})
        answer = await self._ask(f"STREAM.MSG.GET.{stream}", asked)
        found = msgspec.json.decode(answer, type=_MessageAnswer)
        if found.error is not None:
            if found.error.err_code in not_found:
                return None
            raise failure(found.error)
        if found.message is None:
            return None
        return StoredMessage(
            sequence=found.message.seq,
            subject=found.message.subject,
            headers=_headers(found.message.hdrs),
        )

    async def _ask(self, operation: str, payload: bytes) -> bytes:
        subject = f"$JS.API.{operation}"
        try:
            answer = await self._connection.request(subject, payload, seconds=api_seconds_max)
        except TimedOut as error:
            raise Unavailable(f"JetStream does not answer: {error.message}") from error
        except NobodyListens as error:
            raise Unavailable(
                "the server has no JetStream, or it is just starting",
                hint="run nats-server with -js",
            ) from error
        return answer.data


def _headers(encoded: str) -> Mapping[str, str]:
    try:
        return headers_of(b64decode(encoded)) if encoded else {}
    except ValueError:
        return {}


def stored(answer: Message) -> Stored:
    """The acknowledgement. Raises `Unavailable` where it is none."""
    try:
        return _stored.decode(answer.data)
    except msgspec.MsgspecError as error:
        raise Unavailable(f"the bus gives an unreadable acknowledgement: {error}") from error


def failure(error: ApiError) -> Failure:
    """JetStream's error as ours."""
    if error.err_code in not_found:
        return NotFound(error.description)
    if error.err_code in no_storage:
        return StorageFull(f"JetStream has no storage left: {error.description}")
    if error.code in {500, 503}:
        kind = NotMade if error.err_code == consumer_not_made else Unavailable
        return kind(f"JetStream: {error.description} ({error.err_code})")
    return Refused(error)
