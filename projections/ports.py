"""What the read side needs from the world. Each docstring is the contract that adapters keep."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol
from uuid import UUID

from msgspec import Struct

from domain.ids import Position
from domain.record import Recorded

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


class Put(Struct, frozen=True):
    """Insert the row of this key, or set these columns of it; others keep their value."""

    table: str
    key: tuple[Value, ...]
    values: Row


class Add(Struct, frozen=True):
    """Add to numbers of the row of this key, which starts at 0."""

    table: str
    key: tuple[Value, ...]
    amounts: Mapping[str, int | float]


class Delete(Struct, frozen=True):
    """Remove the row of this key, if it is there."""

    table: str
    key: tuple[Value, ...]


class DeleteWhere(Struct, frozen=True):
    """Remove all rows whose columns have these values."""

    table: str
    values: Row


Change = Put | Add | Delete | DeleteWhere


class Checkpoint(Struct, frozen=True):
    """How far a view has come, and in which store."""

    store_id: UUID
    position: Position
    event_id: UUID | None
    events: int = 0
    """Events applied since the view was empty."""
    digest: str = ""
    """Running hash over the ids of all applied events, in order, in hexadecimal."""


class EventLog(Protocol):
    """All events in the order of their positions; the same promises as on the write side."""

    @property
    def store_id(self) -> UUID:
        """Made once with the store; another one after it was replaced or started anew."""
        ...

    async def read(self, after: Position, limit: int) -> Sequence[Recorded]:
        """At most `limit` events behind `after`, in order."""
        ...

    async def head(self) -> Position:
        """Position of the newest event, 0 in an empty store."""
        ...

    async def event_id_at(self, position: Position) -> UUID | None:
        """The id of the event at `position`, or None if there is none."""
        ...


class EventFeed(Protocol):
    """Live events, unfiltered and in order as long as the bus is well; it may lose or repeat."""

    async def next(self, limit: int, seconds: float) -> Sequence[Recorded]:
        """Up to `limit` messages as soon as there is one; none after `seconds`. Reconnects by
        itself; a lost connection looks like silence."""
        ...


class ReadModels(Protocol):
    """Tables of all views, with one checkpoint for each view."""

    async def checkpoint(self, view: str, version: int) -> Checkpoint | None:
        """None where the view was never built, or is of another version."""
        ...

    async def create(self, view: str, version: int, tables: Sequence[Table]) -> None:
        """Make the view's tables anew, empty and without a checkpoint."""
        ...

    async def apply_once(
        self,
        view: str,
        expected: Checkpoint | None,
        changes: Sequence[Change],
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
    """A fold of the store beside a live view."""

    async def apply(self, changes: Sequence[Change]) -> None:
        """Apply changes in order."""
        ...

    def differences(self, limit: int) -> AsyncIterator[Difference]:
        """Rows that differ from the live tables, ordered by table and key, at most `limit`."""
        ...

    async def swap(self, checkpoint: Checkpoint) -> None:
        """Put these tables in the place of the live ones with `checkpoint`, in one transaction."""
        ...
