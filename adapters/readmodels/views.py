"""Tables of views inside one SQLite database: plain functions for the database's own thread."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from adapters.readmodels.dialect import SQLITE, quote
from adapters.readmodels.known import (
    PLACE,
    PREPARE,
    Known,
    columns_named,
    known_from,
    place_of,
    tables_text,
)
from adapters.readmodels.statements import BulkStatements, Statements
from domain.errors import Conflict, Defect, Failure, StorageFull, Unavailable
from projections.ports import Bulk, Checkpoint, Table, Value

statement_values_max = 999
"""Values bound by one statement: some builds of SQLite take no more."""

main = Statements("main", SQLITE)
"""SQL on the live tables."""


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
    if code & 0xFF in _DAMAGED:
        return Unavailable(
            f"the views' file is damaged: {error}",
            hint="stop the service, delete views.db* in its data directory and start it again: "
            "views are made anew from the event store",
        )
    return Unavailable(f"the views cannot be read or written: {error}")


_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

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
    connection.execute(PREPARE)


def known_view(connection: sqlite3.Connection, view: str, schema: str = "main") -> Known | None:
    """What the database knows of a view."""
    row = connection.execute(
        "SELECT version, tables, store_id, position, event_id, events, digest"  # noqa: S608  # quoted
        f" FROM {quote(schema)}.view_checkpoints WHERE view = ?",
        (view,),
    ).fetchone()
    if row is None:
        return None
    return known_from(row)


def whole_view(connection: sqlite3.Connection, view: str, version: int) -> Known | None:
    """What the database knows of a view of this version, if all its tables are there."""
    known = known_view(connection, view)
    if known is None or known.version != version:
        return None
    whole = all(columns_of(connection, table) == columns_named(table) for table in known.tables)
    return known if whole else None


def columns_of(
    connection: sqlite3.Connection, table: Table, schema: str = "main"
) -> tuple[str, ...]:
    """The columns that a table has in the database; none where it is missing."""
    rows = connection.execute(
        "SELECT name FROM pragma_table_info(?, ?) ORDER BY cid", (table.name, schema)
    )
    return tuple(name for (name,) in rows)


def create(
    connection: sqlite3.Connection, view: str, version: int, tables: Sequence[Table]
) -> None:
    """Make a view's tables anew inside a transaction, with indexes, without a checkpoint."""
    before = known_view(connection, view)
    old = [table.name for table in before.tables] if before else []
    for name in dict.fromkeys([*old, *(table.name for table in tables)]):
        connection.execute(main.drop_table(name))
    for table in tables:
        connection.execute(main.create_table(table))
        for index in main.create_indexes(table):
            connection.execute(index)
    connection.execute("DELETE FROM view_checkpoints WHERE view = ?", (view,))
    connection.execute(
        "INSERT INTO view_checkpoints (view, version, tables) VALUES (?, ?, ?)",
        (view, version, tables_text(tables)),
    )


_SET = f"UPDATE view_checkpoints SET {', '.join(f'{name} = ?' for name in PLACE)} WHERE view = ?"  # noqa: S608  # names above
_MOVE = f"{_SET} AND ({', '.join(PLACE)}) IS (?, ?, ?, ?, ?)"


def set_checkpoint(connection: sqlite3.Connection, view: str, checkpoint: Checkpoint) -> None:
    """Write a view's checkpoint, whatever it was before."""
    connection.execute(_SET, (*place_of(checkpoint), view))


def move_checkpoint(
    connection: sqlite3.Connection, view: str, expected: Checkpoint | None, checkpoint: Checkpoint
) -> None:
    """Write a view's checkpoint if it is at `expected`; raises `Conflict`."""
    moved = connection.execute(_MOVE, (*place_of(checkpoint), view, *place_of(expected)))
    if moved.rowcount != 1:
        raise Conflict(f"view {view}", expected.position if expected else 0)


class Writer:
    """Applies changes to the tables of one view in one schema."""

    def __init__(self, tables: Sequence[Table], schema: str = "main") -> None:
        self._statements = BulkStatements(tables, schema, SQLITE)

    def apply(self, connection: sqlite3.Connection, changes: Sequence[Bulk]) -> None:
        """Apply changes in order."""
        for bulk in changes:
            width = len(bulk.rows[0])
            for rows in _pieces(bulk.rows, statement_values_max // width):
                statement = self._statements.of(bulk, len(rows))
                connection.execute(statement, [value for row in rows for value in row])


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
