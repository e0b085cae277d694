"""Events to the bus: in the order of their positions, behind a fence."""

import asyncio
from collections.abc import Mapping, Sequence
from uuid import UUID

from msgspec import to_builtins

from adapters import telemetry
from adapters.jetstream.api import (
    JetStreamApi,
    Stored,
    StoredMessage,
    failure,
    stored,
    wrong_last,
)
from adapters.jetstream.connection import Connection, NobodyListens
from adapters.jetstream.message import Message
from adapters.jetstream.topology import Topology, ensure
from adapters.jetstream.wire import one_line
from commands.ports import Carried, EventPublisher
from domain.errors import Conflict, Malformed, NotFound, Unavailable
from domain.ids import StreamId, parse_stream
from domain.record import Recorded, read_state

in_flight_max = 256
"""Messages sent before their acknowledgements are awaited."""

foreign_max = 1_000
"""Messages of others at the stream's end that are looked past."""

publish_seconds_max = 5.0
"""Until the acknowledgements of what is in flight are given up."""


class JetStreamPublisher(EventPublisher):
    """The sending end of the events stream. It wants a connection of its own.

    Messages are sent without waiting for each other, so one that is refused must take all behind it
    along. The expected sequence alone does not: where one foreign message has come between, the
    first is refused and the second finds just the sequence that it expects. So each also names the
    message that must be before it. That makes the last acknowledgement tell of all of them; the
    first is asked for because it knows best why nothing goes.
    """

    def __init__(self, connection: Connection, topology: Topology) -> None:
        self._connection = connection
        self._api = JetStreamApi(connection)
        self._topology = topology

    async def tail(self) -> tuple[int, Carried | None]:
        """The last sequence and the newest event; makes the stream where it is missing."""
        stream = self._topology.events
        try:
            state = await self._api.stream_state(stream)
        except NotFound:
            await ensure(self._api, self._topology)
            state = await self._api.stream_state(stream)
        lowest = max(state.first_seq, state.last_seq - foreign_max, 1)
        for sequence in range(state.last_seq, lowest - 1, -1):
            message = await self._api.message(stream, sequence)
            carried = None if message is None else _carried(message)
            if carried is not None:
                return state.last_seq, carried
        return state.last_seq, None

    async def publish(self, events: Sequence[Recorded], epoch: str, sequence: int) -> int:
        """As promised by the port; what was acknowledged before an error stays published."""
        for start in range(0, len(events), in_flight_max):
            part = events[start : start + in_flight_max]
            with telemetry.publish(self._topology.events, _traces(part), len(part)):
                sequence = await self._publish_part(part, epoch, sequence)
        return sequence

    async def purge(self) -> int:
        """Empty the stream, making it where it is missing; returns its last sequence."""
        stream = self._topology.events
        try:
            await self._api.purge(stream)
        except NotFound:
            await ensure(self._api, self._topology)
        return (await self._api.stream_state(stream)).last_seq

    async def _publish_part(self, events: Sequence[Recorded], epoch: str, sequence: int) -> int:
        last = len(events) - 1
        answers: dict[int, asyncio.Future[Message]] = {}
        try:
            for offset, event in enumerate(events):
                before = events[offset - 1] if offset else None
                subject = self._topology.event_subject(event)
                head = event_head(event, epoch, sequence + offset, before)
                if offset in (0, last):
                    answers[offset] = self._connection.send_request(subject, event.state, head)
                else:
                    self._connection.send(subject, event.state, head)
            await self._connection.relieve()
            async with asyncio.timeout(publish_seconds_max):
                for offset, answer in answers.items():
                    self._check(stored(await answer), sequence + offset)
        except NobodyListens:
            raise Conflict(self._topology.events, sequence) from None
        except TimeoutError:
            raise Unavailable("the bus does not acknowledge events") from None
        finally:
            for answer in answers.values():
                answer.cancel()
        return sequence + len(events)

    def _check(self, answer: Stored, sequence: int) -> None:
        """Raise unless the message went to the place right behind `sequence`."""
        if answer.error is not None:
            if answer.error.err_code in wrong_last:
                raise Conflict(self._topology.events, sequence)
            raise failure(answer.error)
        if answer.duplicate or answer.seq != sequence + 1:
            raise Conflict(self._topology.events, sequence)


def _traces(events: Sequence[Recorded]) -> Sequence[str]:
    """The traces of the events, each once; none where nobody records."""
    if not telemetry.is_recording():
        return ()
    found = (read_state(event.state).traceparent for event in events)
    return list(dict.fromkeys(one for one in found if one is not None))


def event_head(event: Recorded, epoch: str, sequence: int, before: Recorded | None) -> bytes:
    """What travels beside an event's state, and the fence: it stands right behind `sequence`, and
    behind the event `before` it where that was just sent."""
    behind = f"Nats-Expected-Last-Msg-Id: {epoch}:{before.position}\r\n" if before else ""
    text = (
        f"NATS/1.0\r\nNats-Msg-Id: {epoch}:{event.position}\r\n"
        f"Nats-Expected-Last-Sequence: {sequence}\r\n{behind}"
        f"Headwater-Epoch: {epoch}\r\n"
        f"Headwater-Position: {event.position}\r\n"
        f"Headwater-Previous: {event.previous}\r\n"
        f"Headwater-Event-Id: {to_builtins(event.event_id)}\r\n"
        f"Headwater-Stream: {event.stream}\r\n"
        f"Headwater-Version: {event.version}\r\n"
        f"Headwater-Tag: {event.tag}\r\n"
    )
    if b'"traceparent":' in event.state:  # most have none, and reading costs more than looking
        traceparent = read_state(event.state).traceparent
        if traceparent:
            text += f"traceparent: {one_line(traceparent)}\r\n"
    return f"{text}\r\n".encode()


def event_of(headers: Mapping[str, str], state: bytes) -> Recorded:
    """The event of a message. Raises `Malformed` where it is none of ours."""
    try:
        stream: StreamId = parse_stream(headers["Headwater-Stream"])
        return Recorded(
            position=int(headers["Headwater-Position"]),
            previous=int(headers["Headwater-Previous"]),
            event_id=UUID(headers["Headwater-Event-Id"]),
            stream=stream,
            version=int(headers["Headwater-Version"]),
            tag=headers["Headwater-Tag"],
            state=state,
        )
    except (KeyError, ValueError) as error:
        raise Malformed(f"not an event: {error}") from error


def _carried(message: StoredMessage) -> Carried | None:
    try:
        event = event_of(message.headers, b"")
    except Malformed:
        return None
    epoch = message.headers.get("Headwater-Epoch", "")
    return Carried(
        sequence=message.sequence, position=event.position, event_id=event.event_id, epoch=epoch
    )
