"""What the read side needs from the world. Each docstring is the contract that adapters keep."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, Protocol
from uuid import UUID

from msgspec import Struct

from domain.chain import Link, StoredRow
from domain.envelope import EventEnvelope
from domain.ids import Position, StreamId, Version
from domain.record import Recorded
from projections.stretch import Stretch

Value = str | int | float | None
Row = Mapping[str, Value]


class Column(Struct, frozen=True):
    """A column of a view's table."""

    name: str
    type: Literal["text", "integer", "real"] = "text"


class Table(Struct, frozen=True, kw_only=True):
    """A table of a view. Rows are equal when all columns are."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    indexes: tuple[tuple[str, ...], ...] = ()


class Put(Struct, frozen=True, gc=False):
    """Insert the row of this key, or set these columns of it; others keep their value."""

    table: str
    key: tuple[Value, ...]
    values: Row


class Add(Struct, frozen=True, gc=False):
    """Add to numbers of the row of this key, which starts at 0."""

    table: str
    key: tuple[Value, ...]
    amounts: Mapping[str, int | float]


class Delete(Struct, frozen=True, gc=False):
    """Remove the row of this key, if it is there."""

    table: str
    key: tuple[Value, ...]


class DeleteWhere(Struct, frozen=True, gc=False):
    """Remove all rows whose key columns have these values."""

    table: str
    values: Row


Change = Put | Add | Delete | DeleteWhere


class Bulk(Struct, frozen=True, gc=False):
    """Changes of one kind and the same columns, so that a store can write them at once."""

    kind: Literal["put", "add", "delete"]
    table: str
    columns: tuple[str, ...]
    """What is set or added to; for `delete` by what rows are found."""
    rows: Sequence[tuple[Value, ...]]
    """The key, then values of the columns; for `delete` the values alone."""


class Checkpoint(Struct, frozen=True):
    """How far a view has come, and in which store."""

    store_id: UUID
    position: Position
    event_id: UUID | None
    events: int = 0
    """Events applied since the view was empty."""
    digest: str = ""
    """Running hash over the ids of all applied events, in order, in hexadecimal
    (`projections.projection.digest_after`)."""


class EventLog(Protocol):
    """All events in the order of their positions; the same promises as on the write side."""

    @property
    def store_id(self) -> UUID:
        """Made once with the store; another one after it was replaced or started anew."""
        ...

    async def read(self, after: Position, limit: int) -> Sequence[Recorded]:
        """At most `limit` events behind `after`, in order."""
        ...

    async def stretch(self, after: Position, limit: int) -> Stretch:
        """The same events for folding: as columns, up to where one is missing.

        Raises `Malformed` where one of them has no id that can be read.
        """
        ...

    async def head(self) -> Position:
        """Position of the newest event, 0 in an empty store."""
        ...

    async def event_id_at(self, position: Position) -> UUID | None:
        """The id of the event at `position`, or None if there is none."""
        ...


class ChainPage(Struct, frozen=True, kw_only=True):
    """A part of the store as it lies there, whatever has happened to it; seen in one moment."""

    rows: Sequence[StoredRow]
    """Events in order of position. What a field holds of another type than it should is empty, and
    -1 for a number, so that its link cannot fit."""
    links: Sequence[tuple[Position, Link]]
    """Positions and recorded links, in the order in which they lie there."""
    until: Position
    """Rows and links behind this position are on the next page."""
    unreadable: Mapping[Position, str] = {}
    """Events of which only a link could be read, with the reason."""
    given: Position = 0
    """The position given last, by the store's own count; 0 where it keeps none."""
    is_last: bool = False
    broken: str = ""
    """Why nothing behind `until` can be read; the page is then the last one."""


class EventChain(Protocol):
    """Stored events beside the links that were recorded with them, for whoever checks them.

    Reads what lies there and repairs nothing, also while others append.
    """

    @property
    def store_id(self) -> UUID:
        """The store's id, in which the chain begins."""
        ...

    async def page(self, after: Position, limit: int) -> ChainPage:
        """Events and links behind `after`, about `limit` of each. Raises `Unavailable` where there
        is no store, or no chain yet."""
        ...

    async def damage(self) -> Sequence[str]:
        """What the storage itself finds broken, such as an index that does not fit its table."""
        ...


class EventFeed(Protocol):
    """Live events, unfiltered and in order as long as the bus is well; it may lose or repeat."""

    async def next(self, limit: int, seconds: float) -> Sequence[Recorded]:
        """Up to `limit` messages as soon as there is one; none after `seconds`. Reconnects by
        itself; a lost connection looks like silence."""
        ...


class EventStreams(Protocol):
    """Single streams of events, by the same store as the log."""

    async def load(self, stream: StreamId, after: Version = 0) -> Sequence[EventEnvelope[Any]]:
        """Events of a stream behind version `after`, in order, with their positions.

        An unknown stream has none. Raises `Malformed`, `Unavailable`.
        """
        ...


class Ticker(Protocol):
    """Time that only goes forward."""

    def monotonic(self) -> float:
        """Seconds from some fixed moment, never going back."""
        ...


class Progress(Protocol):
    """How far a view is served, for those who wait for their own write."""

    @property
    def position(self) -> Position:
        """The last position that was announced; 0 before the first."""
        ...

    def reached(self, position: Position) -> None:
        """Announce a position, waking who waits for it. Announcing a smaller one moves back."""
        ...

    async def wait(self, position: Position, seconds: float) -> bool:
        """True as soon as `position` is reached, False after `seconds` without."""
        ...


class ReadModels(Protocol):
    """Tables of all views, with one checkpoint for each view."""

    async def checkpoint(self, view: str, version: int) -> Checkpoint | None:
        """None where the view was never built, or is of another version."""
        ...

    async def create(
        self,
        view: str,
        version: int,
        tables: Sequence[Table],
        expected: Checkpoint | None = None,
    ) -> None:
        """Make the view's tables anew, empty and without a checkpoint.

        Raises `Conflict` where its checkpoint of this version is another one than `expected`:
        somebody else has made it meanwhile, or goes on with it.
        """
        ...

    async def apply_once(
        self,
        view: str,
        expected: Checkpoint | None,
        changes: Sequence[Bulk],
        checkpoint: Checkpoint,
    ) -> None:
        """Apply `changes` in order and move from `expected` to `checkpoint`, in one transaction.

        Raises `Conflict` where the view is not at `expected` (somebody else has applied),
        `StorageFull`, `Unavailable`.
        """
        ...

    async def query(self, name: str, arguments: Mapping[str, Value]) -> Sequence[Row]:
        """Rows of a named query with bound arguments. Raises `NotFound` for an unknown name."""
        ...

    def beside(
        self, view: str, version: int, tables: Sequence[Table]
    ) -> AbstractAsyncContextManager["Shadow"]:
        """Empty tables of the same shape beside the live ones, dropped at the end."""
        ...


class Difference(Struct, frozen=True, kw_only=True):
    """One row in which a live view and a fresh fold of the store are not alike."""

    table: str
    key: Mapping[str, Value]
    expected: Row | None
    found: Row | None
    stream: str | None = None


class Shadow(Protocol):
    """A fold of the store beside a live view, which may go on being written meanwhile."""

    async def pin(self) -> Checkpoint | None:
        """Look at the live view as it is now, and at nothing newer until pinned again.

        Returns the checkpoint of that moment, or None where it has none of this version.
        """
        ...

    async def apply(self, changes: Sequence[Bulk]) -> None:
        """Apply changes in order."""
        ...

    async def rows(self) -> int:
        """How many rows the fold has, in all tables."""
        ...

    async def differences(self, limit: int) -> Sequence[Difference]:
        """Rows that differ from the pinned live tables, ordered by table and key, at most
        `limit`; `stream` is left open. A table that is missing or of another shape is told by
        one difference with an empty key."""
        ...

    async def swap(self, checkpoint: Checkpoint) -> None:
        """Put these tables in the place of the live ones with `checkpoint`, in one transaction.

        Raises `Conflict` where the live view is further than `checkpoint`, unless it was so when
        it was pinned; `StorageFull`, `Unavailable`.
        """
        ...
