"""What is stored around an event: who, when, why, and where in the order of things."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from msgspec import Struct

from domain.errors import Defect
from domain.ids import Position, StreamId, Version

E = TypeVar("E")


class Metadata(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """Where an event comes from. Ids of one chain share `correlation_id`."""

    command_id: UUID
    command_type: str
    payload_hash: str
    """SHA-256 of the command's canonical payload, in hexadecimal."""
    correlation_id: UUID
    causation_id: UUID
    """The id of the message that caused this one: the command's own id when nothing else did."""
    principal: str
    """Who asked, such as `cli:ada@host` or `worker:…`."""
    traceparent: str | None = None
    """The W3C trace context in which the event was decided."""


class EventEnvelope(Struct, Generic[E], frozen=True, gc=False, kw_only=True):
    """One stored event. `position` is 0 until the store has given it one."""

    event_id: UUID
    stream: StreamId
    version: Version
    position: Position = 0
    tag: str
    recorded_at: datetime
    """UTC, when the decision was made."""
    metadata: Metadata
    data: E


def check_places(
    stream: StreamId, expected: Version, envelopes: Sequence[EventEnvelope[Any]]
) -> None:
    """Raises `Defect` where the envelopes are not the events of `stream` behind `expected`."""
    prefix = f"{stream.category}."
    for version, envelope in enumerate(envelopes, expected + 1):
        if (
            envelope.version != version
            or envelope.stream != stream
            or not envelope.tag.startswith(prefix)
        ):
            raise Defect(
                f"{envelope.tag} as version {envelope.version} of {envelope.stream} "
                f"is not version {version} of {stream}"
            )
