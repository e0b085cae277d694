"""Requests to services on the bus: commands, queries, and who is there."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import anyio
import msgspec
from msgspec import Struct

from adapters.jetstream.connection import Connection, Headers, NobodyListens
from adapters.jetstream.message import Message
from adapters.jetstream.reply import raise_error
from adapters.jetstream.topology import Topology
from commands.ports import CommandContext, CommandSender, Definitions, Leases, LeaseState
from commands.reply import error_of, is_accepted
from domain.errors import Malformed, TimedOut
from domain.pipeline.events import Definition

command_seconds_max = 30.0
"""Until a command without an answer is given up; its outcome is then unknown."""

tries_max = 4
"""Times that a request is sent within its time if it may be repeated: after a partition a server
may go on for a while to hand requests to somebody who is not there any more. Each time it waits
twice as long: 2, 4, 8 and 16 s for a command."""

nobody_seconds_max = 1.0
"""For somebody to answer on a subject."""

again_seconds = 0.1
"""Until a request that nobody has heard is sent again."""

gather_seconds_max = 0.5
"""For all services to answer."""

quiet_seconds = 0.1
"""Without another answer for so long everybody has answered."""

principal_header = "Headwater-Principal"
correlation_header = "Headwater-Correlation-Id"
causation_header = "Headwater-Causation-Id"

Document = dict[str, Any]


class NatsClient(CommandSender):
    """Asks services on the bus. After `Unavailable` or `TimedOut` the outcome is unknown."""

    def __init__(self, connection: Connection, topology: Topology) -> None:
        self._connection = connection
        self._topology = topology

    async def request(
        self,
        subject: str,
        payload: bytes,
        headers: Headers | None = None,
        timeout: float = command_seconds_max,  # noqa: ASYNC109 — an answer's limit, told to the bus
        tries: int = 1,
    ) -> bytes:
        """One answer. Waits for the connection if it is just being made again. `tries` are how
        often it is sent within `timeout`, as long as nobody answers.

        Raises what the service's error reply says, `TimedOut`, `Unavailable`, `TooLarge`.
        """
        await self._connection.connected(timeout)
        answer = None
        for number in range(tries):
            with suppress(TimedOut):
                seconds = timeout * 2**number / (2**tries - 1)
                answer = await self._ask(subject, payload, headers, seconds)
                break
        if answer is None:
            raise TimedOut(f"no answer from {subject} within {timeout:g} s")
        raise_error(answer.data, answer.headers)
        return answer.data

    async def _ask(
        self, subject: str, payload: bytes, headers: Headers | None, seconds: float
    ) -> Message:
        """Whoever answers is looked for again where nobody is there now: nobody has heard it, and
        a service that is just being started again, or a server that was, knows more in a moment."""
        end = anyio.current_time() + min(seconds, nobody_seconds_max)
        while True:
            try:
                return await self._connection.request(subject, payload, headers, seconds)
            except NobodyListens:
                if anyio.current_time() > end:
                    raise
            await anyio.sleep(again_seconds)

    async def send(
        self, command: str, payload: Mapping[str, Any] | Struct, context: CommandContext
    ) -> Mapping[str, Any]:
        """As promised by the port."""
        subject = self._topology.command_subject(command)
        body = msgspec.json.encode(payload)
        headers = _context_headers(context)
        may_repeat = isinstance(payload, Mapping) and bool(payload.get("command_id"))
        tries = tries_max if may_repeat else 1
        reply = _document(await self.request(subject, body, headers, tries=tries))
        if not is_accepted(reply):
            raise error_of(reply)
        return reply

    async def query(
        self,
        name: str,
        arguments: Mapping[str, Any],
        timeout: float = command_seconds_max,  # noqa: ASYNC109 — as above
    ) -> Document:
        """A view's answer. Raises what `request` raises."""
        subject, body = self._topology.query_subject(name), msgspec.json.encode(arguments)
        tries = tries_max if timeout <= command_seconds_max else 1
        return _document(await self.request(subject, body, None, timeout, tries))

    async def services(self) -> Sequence[Document]:
        """Everybody who answers, by name and id; empty where nobody is there.

        Each has "name", "id", "version", "role", "healthy", "endpoints" with their statistics.
        """
        told = await self._gather("$SRV.STATS")
        return sorted((_service(one) for one in told), key=lambda one: (one["name"], one["id"]))

    async def _gather(self, subject: str) -> Sequence[Document]:
        """All answers to one request, until it has been quiet for a moment."""
        answers: list[Message] = []
        arrived = asyncio.Event()

        def take(message: Message) -> None:
            answers.append(message)
            arrived.set()

        inbox = self._connection.new_inbox()
        subscription = await self._connection.subscribe(inbox, take)
        try:
            await self._connection.publish(subject, b"", reply=inbox)
            with anyio.move_on_after(gather_seconds_max):
                await arrived.wait()
                while arrived.is_set():
                    arrived.clear()
                    with anyio.move_on_after(quiet_seconds):
                        await arrived.wait()
        finally:
            with anyio.CancelScope(shield=True):
                await self._connection.unsubscribe(subscription)
        found = []
        for answer in answers:
            with suppress(Malformed):
                if answer.status is None:
                    found.append(_document(answer.data))
        return found


class NatsLookup(Leases, Definitions):
    """What workers ask of the write side, where that is another process."""

    def __init__(self, connection: Connection, topology: Topology) -> None:
        self._client = NatsClient(connection, topology)
        self._prefix = f"{topology.prefix}.lookup"

    async def lease_state(self, run: UUID, step: str, attempt: int, lease: int) -> LeaseState:
        """As promised by the port."""
        asked = {"run": run, "step": step, "attempt": attempt, "lease": lease}
        found = await self._client.request(f"{self._prefix}.lease", msgspec.json.encode(asked))
        return msgspec.json.decode(found, type=LeaseState)

    async def definition(self, pipeline: str, revision: int) -> Definition:
        """As promised by the port."""
        asked = {"pipeline": pipeline, "revision": revision}
        found = await self._client.request(f"{self._prefix}.definition", msgspec.json.encode(asked))
        return msgspec.json.decode(found, type=Definition)


def _context_headers(context: CommandContext) -> Headers:
    told = {
        principal_header: context.principal,
        "traceparent": context.traceparent,
        correlation_header: context.correlation_id,
        causation_header: context.causation_id,
    }
    return {key: str(value) for key, value in told.items() if value is not None}


def _service(told: Document) -> Document:
    endpoints = told.get("endpoints") or []
    return {
        "name": told.get("name", ""),
        "id": told.get("id", ""),
        "version": told.get("version", ""),
        "role": (told.get("metadata") or {}).get("role", ""),
        "healthy": all((one.get("data") or {}).get("healthy", True) for one in endpoints),
        "reason": next(
            (data["reason"] for one in endpoints if (data := one.get("data") or {}).get("reason")),
            None,
        ),
        "started": told.get("started"),
        "endpoints": endpoints,
    }


def _document(body: bytes) -> Document:
    try:
        return msgspec.json.decode(body, type=Document)
    except msgspec.MsgspecError as error:
        raise Malformed(f"the answer is not a JSON object: {error}") from error
