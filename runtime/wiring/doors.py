"""What answers on the bus: commands to the dispatcher, queries to the views."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

import anyio
import msgspec
from msgspec import Struct

from adapters import telemetry
from adapters.jetstream.client import causation_header, correlation_header, principal_header
from adapters.jetstream.endpoints import Endpoint
from adapters.jetstream.topology import Topology
from commands.dispatcher import CommandDispatcher
from commands.lookup import Lookup
from commands.ports import CommandContext
from commands.reply import refused
from domain.errors import Malformed
from runtime.session import Document
from runtime.wiring.readside import ReadSide

principal_characters_max = 200
"""Of the name that a caller gives itself."""

T = TypeVar("T")

Answer = Callable[[dict[str, Any]], Awaitable[Document]]


class Visits:
    """Who is asking for something right now: a block around each request."""

    def __init__(self) -> None:
        self.open = 0
        """Requests that are being answered."""
        self.first = anyio.Event()
        """Set once anybody has asked anything."""
        self._last = time.monotonic()

    @property
    def quiet(self) -> float:
        """Seconds since the last request began or ended."""
        return time.monotonic() - self._last

    def __enter__(self) -> None:
        if not self.first.is_set():
            self.first.set()
        self.open += 1
        self._last = time.monotonic()

    def __exit__(self, *_raised: object) -> None:
        self.open -= 1
        self._last = time.monotonic()


class _Lease(Struct):
    """Asked by workers, which may be newer and say more."""

    run: UUID
    step: str
    attempt: int
    lease: int


class _Definition(Struct):
    """The same."""

    pipeline: str
    revision: int


class _Verify(Struct, forbid_unknown_fields=True):
    repair: bool = False


class _Replay(Struct, forbid_unknown_fields=True):
    view: str


def command_endpoints(
    dispatcher: CommandDispatcher, topology: Topology, visits: Visits
) -> Sequence[Endpoint]:
    """One door for all commands, so that an unknown one is told which there are."""
    prefix = topology.command_subject("")

    async def answer(subject: str, payload: bytes, headers: dict[str, str]) -> bytes:
        command = subject.removeprefix(prefix)
        parent = headers.get("traceparent")
        with visits, telemetry.command(command, subject, parent=parent) as span:
            try:
                context = CommandContext(
                    principal=_principal(headers),
                    traceparent=span.traceparent or parent,
                    correlation_id=_id(headers, correlation_header),
                    causation_id=_id(headers, causation_header),
                )
                reply = await dispatcher.dispatch(command, payload, context)
            except Malformed as error:
                reply = refused(error)
            if reply["status"] == "rejected":
                span.fail(str(reply["code"]), str(reply["message"]))
            return msgspec.json.encode(reply)

    return [Endpoint("commands", topology.command_subject("*.*"), answer)]


def query_endpoints(views: ReadSide, topology: Topology, visits: Visits) -> Sequence[Endpoint]:
    """One door for all views, with what can be asked of the views themselves."""
    prefix = topology.query_subject("")

    async def verify(arguments: dict[str, Any]) -> Document:
        return await views.verify(repair=_read(arguments, _Verify).repair)

    async def replay(arguments: dict[str, Any]) -> Document:
        return await views.replay(_read(arguments, _Replay).view)

    special: dict[str, Answer] = {"views.verify": verify, "views.replay": replay}

    async def answer(subject: str, payload: bytes, _headers: dict[str, str]) -> bytes:
        name, arguments = subject.removeprefix(prefix), _arguments(payload)
        with visits:
            ask = special.get(name)
            found = await (ask(arguments) if ask else views.queries.answer(name, arguments))
            return msgspec.json.encode(found)

    return [Endpoint("queries", topology.query_subject("*.*"), answer)]


def lookup_endpoints(lookup: Lookup, topology: Topology) -> Sequence[Endpoint]:
    """What workers on other machines ask of the streams themselves."""

    async def lease(_subject: str, payload: bytes, _headers: dict[str, str]) -> bytes:
        asked = _read(_arguments(payload), _Lease)
        state = await lookup.lease_state(asked.run, asked.step, asked.attempt, asked.lease)
        return msgspec.json.encode(state)

    async def definition(_subject: str, payload: bytes, _headers: dict[str, str]) -> bytes:
        asked = _read(_arguments(payload), _Definition)
        return msgspec.json.encode(await lookup.definition(asked.pipeline, asked.revision))

    return [
        Endpoint("lease", f"{topology.prefix}.lookup.lease", lease),
        Endpoint("definition", f"{topology.prefix}.lookup.definition", definition),
    ]


def _principal(headers: dict[str, str]) -> str:
    """Who asks. Nobody checks it yet: whoever has the token may say any name."""
    return headers.get(principal_header, "nats")[:principal_characters_max]


def _id(headers: dict[str, str], name: str) -> UUID | None:
    """The id in a header; None where there is none. Raises `Malformed`."""
    try:
        return UUID(headers[name]) if name in headers else None
    except ValueError as error:
        raise Malformed(f"the header {name} is no UUID", path=name) from error


def _arguments(payload: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(payload or b"{}", type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Malformed(
            f"the arguments are not a JSON object: {error}", hint='write {"limit": 10}, or nothing'
        ) from error


def _read(arguments: dict[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(arguments, kind)
    except msgspec.ValidationError as error:
        raise Malformed(str(error)) from error
