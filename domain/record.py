"""An event as it is stored and carried: one JSON object of metadata and payload."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from domain.catalog import CATALOG, Catalog
from domain.envelope import EventEnvelope, Metadata
from domain.errors import Malformed, TooLarge
from domain.ids import Position, StreamId, Version
from domain.limits import definition_bytes_max, event_bytes_max

_DEFINITIONS = frozenset({"pipeline.registered", "pipeline.revised"})
"""Facts, without their version, that carry a whole definition."""


class StoredState(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """The JSON beside an event's stream, version and tag."""

    event_id: UUID
    recorded_at: datetime
    command_id: UUID
    command_type: str
    payload_hash: str
    correlation_id: UUID
    causation_id: UUID
    principal: str
    traceparent: str | None = None
    data: Raw


class Recorded(Struct, frozen=True, kw_only=True, gc=False):
    """A stored event as bytes, for carriers that need not understand it."""

    position: Position
    previous: Position
    """Position of the event before it in the store; 0 before the first."""
    event_id: UUID
    stream: StreamId
    version: Version
    tag: str
    state: bytes
    """JSON of `StoredState`."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(StoredState)


def to_state(envelope: EventEnvelope[Any], catalog: Catalog = CATALOG) -> bytes:
    """The JSON to store for an event."""
    meta = envelope.metadata
    return _encoder.encode(
        StoredState(
            event_id=envelope.event_id,
            recorded_at=envelope.recorded_at,
            command_id=meta.command_id,
            command_type=meta.command_type,
            payload_hash=meta.payload_hash,
            correlation_id=meta.correlation_id,
            causation_id=meta.causation_id,
            principal=meta.principal,
            traceparent=meta.traceparent,
            data=Raw(catalog.encode(envelope.data)),
        )
    )


def bounded_state(envelope: EventEnvelope[Any], catalog: Catalog = CATALOG) -> bytes:
    """The JSON to store for an event. Raises `TooLarge` where its payload is above its limit."""
    state = to_state(envelope, catalog)
    if len(state) > event_bytes_max:
        _refuse_large(envelope, catalog)
    return state


def _refuse_large(envelope: EventEnvelope[Any], catalog: Catalog) -> None:
    fact = envelope.tag.rpartition(".")[0]
    limit = definition_bytes_max if fact in _DEFINITIONS else event_bytes_max
    size = len(catalog.encode(envelope.data))
    if size > limit:
        raise TooLarge(
            f"a {envelope.tag} of {size} bytes is above the limit of {limit} bytes",
            hint="events carry references and counts; put data into a dataset",
        )


def read_state(state: bytes) -> StoredState:
    """Metadata and the payload still as bytes. Raises `Malformed`."""
    try:
        return _decoder.decode(state)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"a stored event cannot be read: {error}") from error


def upcast_state(tag: str, state: bytes, catalog: Catalog = CATALOG) -> tuple[str, bytes]:
    """Tag and JSON of a stored event as it would be stored today. Raises `Malformed`."""
    stored = read_state(state)
    data = catalog.decode(tag, stored.data)
    return catalog.tag_of(data), _encoder.encode(replace(stored, data=Raw(catalog.encode(data))))


def from_record(record: Recorded, catalog: Catalog = CATALOG) -> EventEnvelope[Any]:
    """The event of a record, upcast if it is old. Raises `Malformed`."""
    state = read_state(record.state)
    return EventEnvelope(
        event_id=state.event_id,
        stream=record.stream,
        version=record.version,
        position=record.position,
        tag=record.tag,
        recorded_at=state.recorded_at,
        metadata=Metadata(
            command_id=state.command_id,
            command_type=state.command_type,
            payload_hash=state.payload_hash,
            correlation_id=state.correlation_id,
            causation_id=state.causation_id,
            principal=state.principal,
            traceparent=state.traceparent,
        ),
        data=catalog.decode(record.tag, state.data),
    )
