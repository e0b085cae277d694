"""Tables of views inside one SQLite database: plain functions for the database's own thread."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

import msgspec
from msgspec import Struct

from adapters.readmodels import statements
from domain.errors import Conflict, Defect, Failure, StorageFull, Unavailable
from projections.ports import Bulk, Checkpoint, Table, Value

_PREPARE = """
CREATE TABLE IF NOT EXISTS view_checkpoints (
    view TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    tables TEXT NOT NULL,
    store_id TEXT,
    position INTEGER,
    event_id TEXT,
    events INTEGER,
    digest TEXT
)
"""

statement_values_max = 999
"""Values bound by one statement: some builds of SQLite take no more."""

Parameters = tuple[Value, ...]


class Known(Struct, frozen=True):
    """A view as the database has it; without a checkpoint as long as it is empty."""

    version: int
    tables: tuple[Table, ...]
    checkpoint: Checkpoint | None


@contextmanager
def translated() -> Iterator[None]:
    """Errors of SQLite as those that ports promise."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise failure(error) from error


def failure(error: Exception) -> Exception:
    """An error of SQLite as one that ports promise; any other one as it is."""
    if not isinstance(error, sqlite3.DatabaseError):
        return error
    found = _failure(error)
    found.__cause__ = error
    return found


def _failure(error: sqlite3.DatabaseError) -> Failure | Defect:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    if code in _FULL:
        return StorageFull(f"no space is left for the views: {error}")
    # The low byte is the kind of error, the rest tells it in detail.
    if code & 0xFF in _OURS:
        return Defect(f"a statement on the views failed: {error}")
    return Unavailable(
        f"the views cannot be read or written: {error}",
        hint="views can be deleted: they are made again from the event store",
    )


_OURS = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISUSE})

_FULL = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_TRUNCATE,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_DIR_FSYNC,
        sqlite3.SQLITE_IOERR_SHMSIZE,
    }
)
"""How a disk without room shows: some file systems tell it only at the sync."""


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Everything inside is done, or nothing is."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A full disk may have ended it already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def prepare(connection: sqlite3.Connection) -> None:
    """Make the table of checkpoints in a new database."""
    connection.execute(_PREPARE)


def known_view(connection: sqlite3.Connection, view: str, schema: str = "main") -> Known | None:
    """What the database knows of a view."""
    row = connection.execute(
        "SELECT version, tables, store_id, position, event_id, events, digest"  # noqa: S608  # quoted
        f" FROM {statements.quote(schema)}.view_checkpoints WHERE view = ?",
        (view,),
    ).fetchone()
    if row is None:
        return None
    version, tables, store_id, position, event_id, events, digest = row
    checkpoint = None
    if position is not None:
        checkpoint = Checkpoint(
            store_id=UUID(store_id),
            position=position,
            event_id=UUID(event_id) if event_id else None,
            events=events,
            digest=digest,
        )
    return Known(version, msgspec.json.decode(tables, type=tuple[Table, ...]), checkpoint)


def is_whole(connection: sqlite3.Connection, tables: Sequence[Table]) -> bool:
    """Whether each table is there with its columns."""
    return all(columns_of(connection, table) == _names(table) for table in tables)


def columns_of(
    connection: sqlite3.Connection, table: Table, schema: str = "main"
) -> tuple[str, ...]:
    """The columns that a table has in the database; none where it is missing."""
    rows = connection.execute(
        "SELECT name FROM pragma_table_info(?, ?) ORDER BY cid", (table.name, schema)
    )
    return tuple(name for (name,) in rows)


def _names(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns)


def create(
    connection: sqlite3.Connection, view: str, version: int, tables: Sequence[Table]
) -> None:
    """Make a view's tables anew inside a transaction, with indexes, without a checkpoint."""
    before = known_view(connection, view)
    old = [table.name for table in before.tables] if before else []
    for name in dict.fromkeys([*old, *(table.name for table in tables)]):
        connection.execute(statements.drop_table(name))
    for table in tables:
        connection.execute(statements.create_table(table))
        for index in statements.create_indexes(table):
            connection.execute(index)
    connection.execute("DELETE FROM view_checkpoints WHERE view = ?", (view,))
    connection.execute(
        "INSERT INTO view_checkpoints (view, version, tables) VALUES (?, ?, ?)",
        (view, version, msgspec.json.encode(tables).decode()),
    )


_PLACE = ("store_id", "position", "event_id", "events", "digest")
_SET = f"UPDATE view_checkpoints SET {', '.join(f'{name} = ?' for name in _PLACE)} WHERE view = ?"  # noqa: S608  # names above
_MOVE = f"{_SET} AND ({', '.join(_PLACE)}) IS (?, ?, ?, ?, ?)"


def set_checkpoint(connection: sqlite3.Connection, view: str, checkpoint: Checkpoint) -> None:
    """Write a view's checkpoint, whatever it was before."""
    connection.execute(_SET, (*_checkpoint_values(checkpoint), view))


def move_checkpoint(
    connection: sqlite3.Connection, view: str, expected: Checkpoint | None, checkpoint: Checkpoint
) -> None:
    """Write a view's checkpoint if it is at `expected`; raises `Conflict`."""
    before = _checkpoint_values(expected) if expected else (None,) * len(_PLACE)
    moved = connection.execute(_MOVE, (*_checkpoint_values(checkpoint), view, *before))
    if moved.rowcount != 1:
        raise Conflict(f"view {view}", expected.position if expected else 0)


def _checkpoint_values(checkpoint: Checkpoint) -> Parameters:
    return (
        str(checkpoint.store_id),
        checkpoint.position,
        str(checkpoint.event_id) if checkpoint.event_id else None,
        checkpoint.events,
        checkpoint.digest,
    )


class Writer:
    """Applies changes to the tables of one view in one schema; keeps its SQL text."""

    def __init__(self, tables: Sequence[Table], schema: str = "main") -> None:
        self._tables = {table.name: table for table in tables}
        self._schema = schema
        self._statements: dict[_Shape, str] = {}

    def apply(self, connection: sqlite3.Connection, changes: Sequence[Bulk]) -> None:
        """Apply changes in order."""
        for bulk in changes:
            width = len(bulk.rows[0])
            for rows in _pieces(bulk.rows, statement_values_max // width):
                shape = (bulk.kind, bulk.table, bulk.columns, len(rows))
                statement = self._statements.get(shape)
                if statement is None:
                    statement = self._statements[shape] = self._statement(bulk, len(rows))
                connection.execute(statement, [value for row in rows for value in row])

    def _statement(self, bulk: Bulk, rows: int) -> str:
        table = self._tables.get(bulk.table)
        if table is None or not set(bulk.columns) <= {column.name for column in table.columns}:
            columns = ", ".join(bulk.columns)
            raise Defect(f"a view has no table {bulk.table!r} with columns {columns}")
        return _MAKERS[bulk.kind](table, bulk.columns, self._schema, rows)


_Shape = tuple[str, str, tuple[str, ...], int]


def _pieces(
    rows: Sequence[tuple[Value, ...]], size_max: int
) -> Iterator[Sequence[tuple[Value, ...]]]:
    """All rows in order, in pieces whose sizes are powers of two, so that there are few sizes."""
    start, size = 0, 1 << (size_max.bit_length() - 1)
    while start < len(rows):
        while size > len(rows) - start:
            size >>= 1
        yield rows[start : start + size]
        start += size


_MAKERS = {"put": statements.put, "add": statements.add, "delete": statements.delete}
