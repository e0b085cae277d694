"""A fold of the store beside a live view: plain functions for a database thread."""

import sqlite3
from collections.abc import Iterator

from adapters.readmodels import difference
from adapters.readmodels.dialect import SQLITE, quote
from adapters.readmodels.known import View
from adapters.readmodels.statements import Statements
from adapters.readmodels.views import (
    columns_of,
    create,
    known_view,
    main,
    set_checkpoint,
    transaction,
)
from domain.errors import Conflict
from projections.ports import Checkpoint, Difference, Table


def make(connection: sqlite3.Connection, view: View, schema: str) -> None:
    """Empty tables in the schema of the shadow."""
    for table in view.tables:
        connection.execute(Statements(schema, SQLITE).create_table(table))


def live_checkpoint(connection: sqlite3.Connection, view: View, schema: str) -> Checkpoint | None:
    """The checkpoint of the live view, if it is of this version."""
    known = known_view(connection, view.name, schema)
    return known.checkpoint if known and known.version == view.version else None


def rows(connection: sqlite3.Connection, view: View, schema: str) -> int:
    """How many rows all tables have."""
    own = Statements(schema, SQLITE)
    counts = [connection.execute(own.count(table)).fetchone() for table in view.tables]
    return sum(int(count) for (count,) in counts)


def copy_live(connection: sqlite3.Connection, view: View, schema: str) -> None:
    """Copy checkpoint and tables of a view from the main schema into an empty one."""
    name = quote(schema)
    connection.execute(f"DROP TABLE IF EXISTS {name}.view_checkpoints")
    connection.execute(
        f"CREATE TABLE {name}.view_checkpoints AS SELECT * FROM main.view_checkpoints"  # noqa: S608  # quoted
    )
    for table in view.tables:
        connection.execute(Statements(schema, SQLITE).drop_table(table.name))
        if columns_of(connection, table):
            found = quote(table.name)
            connection.execute(
                f"CREATE TABLE {name}.{found} AS SELECT * FROM main.{found}"  # noqa: S608  # quoted
            )


def differences(
    connection: sqlite3.Connection, view: View, schemas: tuple[str, str], limit: int
) -> list[Difference]:
    """Rows in which the expected schema and the found one are not alike."""
    found: list[Difference] = []
    for table in sorted(view.tables, key=lambda table: table.name):
        found.extend(_unlike(connection, table, schemas, limit - len(found)))
    return found


def _unlike(
    connection: sqlite3.Connection, table: Table, schemas: tuple[str, str], limit: int
) -> Iterator[Difference]:
    shape = difference.of_shape(table, columns_of(connection, table, schemas[1]))
    if shape is not None:
        yield shape
        return
    expected, found = (Statements(schema, SQLITE) for schema in schemas)
    for values in connection.execute(expected.compare(table, found, limit)):
        yield difference.of_row(table, values)


def replace_live(
    connection: sqlite3.Connection,
    view: View,
    schema: str,
    pinned: Checkpoint | None,
    checkpoint: Checkpoint,
) -> None:
    """Put the tables of a schema in the place of the live ones, in one transaction.

    Raises `Conflict` where the live view is further and was not so when it was `pinned`.
    """
    with transaction(connection):
        live = live_checkpoint(connection, view, "main")
        if live is not None and live != pinned and live.position > checkpoint.position:
            raise Conflict(f"view {view.name}", checkpoint.position)
        create(connection, view.name, view.version, view.tables)
        for table in view.tables:
            connection.execute(main.copy(table, schema))
        set_checkpoint(connection, view.name, checkpoint)
