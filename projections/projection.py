"""From events to rows: what a view is, and how a batch of events is folded into it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from domain.catalog import CATALOG, Catalog
from domain.errors import Defect, HeadwaterError, Malformed
from domain.ids import Position
from domain.record import Recorded, from_record, to_state
from projections.changeset import ChangeSet
from projections.ports import Change, Checkpoint, EventLog, Row, Table

E = TypeVar("E")


class Stored(Struct, Generic[E], frozen=True, gc=False):
    """The part of a stored event that views are made of."""

    recorded_at: str
    """RFC 3339, in UTC."""
    principal: str
    correlation_id: str
    data: E
    traceparent: str | None = None


class Fact(Struct, Generic[E], frozen=True, gc=False):
    """An event as a view sees it."""

    position: Position
    id: str
    """The id of its stream, such as the run's."""
    data: E
    meta: Stored[E]


class Handler(Struct, Generic[E], frozen=True):
    """What one kind of event changes."""

    event: type[Any]
    """Its class, which stands for its tag."""
    changes: Callable[[Fact[E]], Sequence[Change]]
    """Pure: the same fact gives the same changes."""
    shape: type[E] | None = None
    """A smaller class with the fields that are wanted, if not all are; `Raw` ones stay bytes."""


# Handlers of one view take different events; each is typed where it is made.
AnyHandler = Handler[Any]
_Reader = tuple[msgspec.json.Decoder[Stored[Any]], Callable[[Fact[Any]], Sequence[Change]]]


class Projection:
    """A view: name, version, tables, and what each kind of event changes in them.

    It holds no clock and makes no ids: the same events give the same rows, byte for byte.
    """

    def __init__(
        self,
        *,
        name: str,
        version: int,
        tables: Mapping[Table, Callable[[Row], str | None]],
        handlers: Iterable[AnyHandler],
        catalog: Catalog = CATALOG,
    ) -> None:
        """`tables` maps each table to the stream from which a row of it comes."""
        self.name = name
        self.version = version
        self.tables = tuple(tables)
        self._streams = {table.name: stream for table, stream in tables.items()}
        self._catalog = catalog
        tags = {catalog.kind_of(tag): tag for tag in catalog.tags}
        self._readers: dict[str, _Reader] = {
            tags[handler.event]: (
                msgspec.json.Decoder(Stored[handler.shape or handler.event]),  # type: ignore[misc]  # a class at run time
                handler.changes,
            )
            for handler in handlers
        }
        self._unwanted = frozenset(catalog.tags) - self._readers.keys()

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that it wants; all others only move its checkpoint."""
        return tuple(self._readers)

    def stream_of(self, table: str, row: Row) -> str | None:
        """The stream from which a row comes, such as `run/0193…`."""
        stream = self._streams.get(table)
        return stream(row) if stream else None

    def project(self, record: Recorded) -> Sequence[Change]:
        """What an event changes. Raises `Malformed` for one that cannot be read."""
        reader = self._readers.get(record.tag)
        if reader is None:
            if record.tag in self._unwanted:
                return ()
            record = _upcast(record, self._catalog)
            reader = self._readers.get(record.tag)
            if reader is None:
                return ()
        decoder, changes = reader
        try:
            stored = decoder.decode(record.state)
            # to_builtins writes a UUID as text four times as fast as str.
            id_: str = msgspec.to_builtins(record.stream.id)
            return changes(Fact(record.position, id_, stored.data, stored))
        except msgspec.MsgspecError as error:
            raise Malformed(f"a stored {record.tag} cannot be read: {error}") from error


def _upcast(record: Recorded, catalog: Catalog) -> Recorded:
    """The record as it would be stored today. Raises `Malformed`."""
    envelope = from_record(record, catalog)
    return replace(record, tag=catalog.tag_of(envelope.data), state=to_state(envelope, catalog))


_PRIME = (1 << 127) - 1
_FACTOR = 0x5851F42D4C957F2D14057B7EF767814F


def digest_after(digest: str, ids: Iterable[UUID]) -> str:
    """Go on with a running hash: a polynomial over the ids of all events in order.

    It tells a missing, doubled, changed or exchanged event at little cost, whatever the batches
    were. It is no protection against somebody who wants to deceive.
    """
    value = int(digest or "0", 16)
    for id_ in ids:
        value = (value * _FACTOR + id_.int + 1) % _PRIME
    return f"{value:032x}"


_BUGS = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What a mistake in a pure function raises."""


class Fold:
    """Events on their way into a view: merged changes, and the checkpoint behind them."""

    def __init__(self, projection: Projection, start: Checkpoint) -> None:
        self._projection = projection
        self._changes = ChangeSet(projection.tables)
        self.checkpoint = start
        """Behind the last event that was taken."""

    def add(self, records: Sequence[Recorded]) -> HeadwaterError | None:
        """Take events in order, up to the first that cannot be taken; returns why it cannot.

        The reasons are `Malformed` for a gap before it or bytes that cannot be read, and
        `Defect` where the view's own code fails.
        """
        taken, position = 0, self.checkpoint.position
        problem: HeadwaterError | None = None
        project, add = self._projection.project, self._changes.add
        for record in records:
            if record.previous != position:
                problem = _gap(record, position)
                break
            try:
                changes = project(record)
            except HeadwaterError as error:
                problem = error
                break
            except _BUGS as error:
                problem = _bug(self._projection, error)
                break
            if changes:
                add(changes)
            position = record.position
            taken += 1
        if taken:
            self.checkpoint = checkpoint_behind(self.checkpoint, records[:taken])
        return problem

    def drain(self) -> list[Change]:
        """The merged changes since the last drain."""
        return self._changes.drain()


def checkpoint_behind(before: Checkpoint, records: Sequence[Recorded]) -> Checkpoint:
    """The checkpoint after the events behind `before`."""
    last = records[-1]
    return replace(
        before,
        position=last.position,
        event_id=last.event_id,
        events=before.events + len(records),
        digest=digest_after(before.digest, (record.event_id for record in records)),
    )


def _gap(record: Recorded, position: Position) -> Malformed:
    return Malformed(
        f"the event before position {record.position} is at {record.previous}, "
        f"but the view is at {position}",
        hint="an event is missing from the store; `headwater doctor` looks into it",
    )


def _bug(projection: Projection, error: Exception) -> Defect:
    defect = Defect(f"view {projection.name} failed: {type(error).__name__}: {error}")
    defect.__cause__ = error
    return defect


def beginning(log: EventLog) -> Checkpoint:
    """The checkpoint of an empty view."""
    return Checkpoint(store_id=log.store_id, position=0, event_id=None, digest=digest_after("", ()))
