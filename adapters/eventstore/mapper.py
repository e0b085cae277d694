"""Between our envelopes and the `eventsourcing` library's stored events.

What the library calls a topic is our tag, so a stored name never contains an import path. Any
program that has the library reads the table with its stock recorder.
"""

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any
from uuid import UUID

import msgspec
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import JSONTranscoder, Mapper, Notification, StoredEvent
from msgspec import Struct

from domain.catalog import CATALOG, Catalog
from domain.envelope import EventEnvelope
from domain.errors import Malformed
from domain.ids import Category, StreamId
from domain.record import Recorded, bounded_state, from_record, read_state
from projections.stretch import Stretch

Row = tuple[int, str, int, str, bytes]
"""rowid, originator_id, originator_version, topic, state"""

NarrowRow = tuple[int, str, str, bytes]
"""rowid, originator_id, topic, state"""

_encoder = msgspec.json.Encoder()
_ids = msgspec.json.Decoder(list[UUID])
_id_head = b'{"event_id":"'
_id_start, _id_end = len(_id_head), len(_id_head) + 36


class Mapped(Struct, frozen=True):
    """An envelope under the two names by which the library knows an event's place."""

    envelope: EventEnvelope[Any]

    @property
    def originator_id(self) -> UUID:
        """The stream's id."""
        return self.envelope.stream.id

    @property
    def originator_version(self) -> int:
        """The place in the stream."""
        return self.envelope.version


class EnvelopeMapper(Mapper[UUID]):
    """The library's mapper for envelopes; tags and upcasts come from the catalogue."""

    def __init__(self, catalog: Catalog = CATALOG) -> None:
        super().__init__(JSONTranscoder())
        self._catalog = catalog

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID]) -> StoredEvent:
        """Raises `TooLarge` where the payload is above its limit."""
        if not isinstance(domain_event, Mapped):
            raise TypeError(f"only envelopes are stored here, not {type(domain_event).__name__}")
        envelope = domain_event.envelope
        return StoredEvent(
            originator_id=envelope.stream.id,
            originator_version=envelope.version,
            topic=envelope.tag,
            state=bounded_state(envelope, self._catalog),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Mapped:
        """Upcast if old; with a position where the library gives one. Raises `Malformed`."""
        position = stored_event.id if isinstance(stored_event, Notification) else 0
        id_ = stored_event.originator_id
        record = Recorded(
            position=position,
            previous=0,
            event_id=event_id_of(stored_event.state),
            stream=StreamId(
                category_of(stored_event.topic), id_ if isinstance(id_, UUID) else UUID(id_)
            ),
            version=stored_event.originator_version,
            tag=stored_event.topic,
            state=stored_event.state,
        )
        return Mapped(from_record(record, self._catalog))


def category_of(tag: str) -> Category:
    """The kind of stream that events of this tag stand in. Raises `Malformed`."""
    match tag.partition(".")[0]:
        case "run":
            return "run"
        case "pipeline":
            return "pipeline"
        case _:
            raise Malformed(f"no stream is known for the tag {tag!r}", hint="update Headwater")


def records_of(rows: Sequence[Row], previous: int) -> list[Recorded]:
    """Rows in order of position as records, the first one behind `previous`. Raises `Malformed`.

    Nothing is decoded but ids, and those in one go.
    """
    event_ids = _event_ids([row[4] for row in rows])
    names = list(dict.fromkeys(row[1] for row in rows))
    streams = dict(zip(names, _uuids(names), strict=True))
    known: dict[tuple[str, str], StreamId] = {}
    records: list[Recorded] = []
    for (position, name, version, tag, state), event_id in zip(rows, event_ids, strict=True):
        stream = known.get((name, tag))
        if stream is None:
            stream = known[name, tag] = StreamId(category_of(tag), streams[name])
        records.append(
            Recorded(
                position=position,
                previous=previous,
                event_id=event_id,
                stream=stream,
                version=version,
                tag=tag,
                state=state,
            )
        )
        previous = position
    return records


def stretch_from(rows: Sequence[NarrowRow], previous: int) -> Stretch:
    """Rows in order of position, the first one behind `previous`. Raises `Malformed`.

    Built for refolding millions of events: what is done to one is done here to whole columns.
    """
    columns = tuple(zip(*rows, strict=True)) if rows else ((), (), (), ())
    return stretch_of_columns(columns, previous)


def stretch_of_columns(columns: Sequence[Sequence[Any]], previous: int) -> Stretch:
    """The same of positions, names of streams, tags and states. Raises `Malformed`."""
    positions, names, tags, states = columns
    known = list(dict.fromkeys(names))
    texts: dict[str, str] = dict(zip(known, msgspec.to_builtins(_uuids(known)), strict=True))
    return Stretch(
        previous=previous,
        positions=positions,
        event_ids=_event_numbers(states),
        streams=[texts[name] for name in names],
        tags=tags,
        states=states,
    )


def event_id_of(state: bytes) -> UUID:
    """The id of a stored event. Raises `Malformed`."""
    return _event_ids((state,))[0]


def _event_ids(states: Sequence[bytes]) -> list[UUID]:
    if _are_ours(states):
        joined = b'","'.join([state[_id_start:_id_end] for state in states])
        try:
            return _ids.decode(b'["' + joined + b'"]')
        except msgspec.MsgspecError:
            pass
    return [read_state(state).event_id for state in states]


def _event_numbers(states: Sequence[bytes]) -> list[int]:
    if _are_ours(states):
        try:
            return [int(state[_id_start:_id_end].replace(b"-", b""), 16) for state in states]
        except ValueError:
            pass
    return [read_state(state).event_id.int for state in states]


def _are_ours(states: Iterable[bytes]) -> bool:
    # The id is the first field of the JSON that we write. JSON that others have written in
    # another order is read in full.
    return all(map(bytes.startswith, states, repeat(_id_head)))


def _uuids(texts: Iterable[str]) -> list[UUID]:
    try:
        return _ids.decode(_encoder.encode(list(texts)))
    except msgspec.MsgspecError as error:
        raise Malformed(f"a stored id is no UUID: {error}") from error
