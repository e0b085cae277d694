"""From events to rows: what a view is, and how a batch of events is folded into it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate, repeat
from operator import mul
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from domain.catalog import CATALOG, Catalog
from domain.errors import Defect, HeadwaterError, Malformed
from domain.ids import Position
from domain.record import upcast_state
from projections.changeset import ChangeSet
from projections.ports import Bulk, Change, Checkpoint, EventLog, Row, Table
from projections.stretch import Stretch, part_of

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
_Reader = tuple[Callable[[bytes], Stored[Any]], Callable[[Fact[Any]], Sequence[Change]]]


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
                msgspec.json.Decoder(Stored[handler.shape or handler.event]).decode,  # type: ignore[misc]  # a class at run time
                handler.changes,
            )
            for handler in handlers
        }
        self.unwanted = frozenset(catalog.tags) - self._readers.keys()
        """Tags of events that only move its checkpoint."""

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that it wants; all others only move its checkpoint."""
        return tuple(self._readers)

    def stream_of(self, table: str, row: Row) -> str | None:
        """The stream from which a row comes, such as `run/0193…`."""
        stream = self._streams.get(table)
        return stream(row) if stream else None

    def project(self, position: Position, stream: str, tag: str, state: bytes) -> Sequence[Change]:
        """What an event changes. Raises `Malformed` for one that cannot be read."""
        reader = self._readers.get(tag)
        if reader is None:
            if tag in self.unwanted:
                return ()
            tag, state = upcast_state(tag, state, self._catalog)
            reader = self._readers.get(tag)
            if reader is None:
                return ()
        decode, changes = reader
        try:
            stored = decode(state)
            return changes(Fact(position, stream, stored.data, stored))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Malformed(f"a stored {tag} cannot be read: {error}") from error


_PRIME = (1 << 127) - 1
_FACTOR = 0x5851F42D4C957F2D14057B7EF767814F


_POWERS = tuple(accumulate(repeat(_FACTOR, 256), lambda a, b: a * b % _PRIME, initial=1))
_SUMS = tuple(accumulate(_POWERS, initial=0))


def digest_after(digest: str, ids: Sequence[int]) -> str:
    """Go on with a running hash: a polynomial over the ids of all events in order.

    It tells a missing, doubled, changed or exchanged event at little cost, whatever the batches
    were. It is no protection against somebody who wants to deceive.
    """
    value = int(digest or "0", 16)
    step = len(_POWERS) - 1
    for start in range(0, len(ids), step):
        part = ids[start : start + step]
        # For each id, value = (value * _FACTOR + id + 1) % _PRIME, in one sum with one remainder.
        terms = sum(map(mul, reversed(part), _POWERS)) + _SUMS[len(part)]
        value = (value * _POWERS[len(part)] + terms) % _PRIME
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

    def add(self, stretch: Stretch) -> HeadwaterError | None:
        """Take events in order, up to the first that cannot be taken; returns why it cannot.

        The reasons are `Malformed` for a gap before it or bytes that cannot be read, and
        `Defect` where the view's own code fails.
        """
        if stretch and stretch.previous != self.checkpoint.position:
            return _gap(stretch, self.checkpoint.position)
        taken, problem = self._take(stretch)
        if taken:
            self.checkpoint = checkpoint_behind(self.checkpoint, part_of(stretch, taken))
        return problem

    def _take(self, stretch: Stretch) -> tuple[int, HeadwaterError | None]:
        """How many events were taken, and why not all."""
        if self._projection.unwanted.issuperset(stretch.tags):
            return len(stretch), None
        project, add = self._projection.project, self._changes.add
        unwanted = self._projection.unwanted
        taken = -1
        try:
            for taken, tag in enumerate(stretch.tags):
                if tag not in unwanted:
                    add(
                        project(
                            stretch.positions[taken],
                            stretch.streams[taken],
                            tag,
                            stretch.states[taken],
                        )
                    )
        except HeadwaterError as error:
            return taken, error
        except _BUGS as error:
            return taken, _bug(self._projection, error)
        return len(stretch), None

    def drain(self) -> list[Bulk]:
        """The merged changes since the last drain."""
        return self._changes.drain()


def checkpoint_behind(before: Checkpoint, stretch: Stretch) -> Checkpoint:
    """The checkpoint after the events behind `before`, of which there is at least one."""
    return replace(
        before,
        position=stretch.positions[-1],
        event_id=UUID(int=stretch.event_ids[-1]),
        events=before.events + len(stretch),
        digest=digest_after(before.digest, stretch.event_ids),
    )


def _gap(stretch: Stretch, position: Position) -> Malformed:
    return Malformed(
        f"the event before position {stretch.positions[0]} is at {stretch.previous}, "
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
