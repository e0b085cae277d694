"""SQL text made from table definitions. No identifier comes from anywhere else."""

from collections.abc import Iterable, Sequence

from projections.ports import Column, Table

_AFFINITY = {"text": "TEXT", "integer": "INTEGER", "real": "REAL"}


def quote(identifier: str) -> str:
    """An identifier as SQL reads it, whatever stands in it."""
    return '"' + identifier.replace('"', '""') + '"'


def create_table(table: Table, schema: str = "main") -> str:
    """The table, empty, its rows kept in the order of their keys."""
    columns = ", ".join(_column(column, table) for column in table.columns)
    name = f"{quote(schema)}.{quote(table.name)}"
    return f"CREATE TABLE {name} ({columns}, PRIMARY KEY ({_list(table.key)})) WITHOUT ROWID"


def _column(column: Column, table: Table) -> str:
    required = " NOT NULL" if column.name in table.key else ""
    return f"{quote(column.name)} {_AFFINITY[column.type]}{required}"


def create_indexes(table: Table) -> list[str]:
    """Its indexes beside the key."""
    return [
        f"CREATE INDEX {quote('_'.join((table.name, 'by', *columns)))}"
        f" ON {quote(table.name)} ({_list(columns)})"
        for columns in table.indexes
    ]


def drop_table(name: str, schema: str = "main") -> str:
    """Remove a table and its indexes, if it is there."""
    return f"DROP TABLE IF EXISTS {quote(schema)}.{quote(name)}"


def put(table: Table, columns: Sequence[str], schema: str = "main", rows: int = 1) -> str:
    """Insert rows, or set these columns of them. Parameters of each: key, then values."""
    updates = ", ".join(f"{quote(column)} = excluded.{quote(column)}" for column in columns)
    return _upsert(table, columns, updates, schema, rows)


def add(table: Table, columns: Sequence[str], schema: str = "main", rows: int = 1) -> str:
    """Insert rows, or add to these columns of them. Parameters of each: key, then amounts."""
    updates = ", ".join(
        f"{quote(column)} = coalesce({quote(column)}, 0) + excluded.{quote(column)}"
        for column in columns
    )
    return _upsert(table, columns, updates, schema, rows)


def _upsert(table: Table, columns: Sequence[str], updates: str, schema: str, rows: int) -> str:
    names = (*table.key, *columns)
    action = f"DO UPDATE SET {updates}" if updates else "DO NOTHING"
    return (
        f"INSERT INTO {quote(schema)}.{quote(table.name)} ({_list(names)})"  # noqa: S608  # identifiers are quoted
        f" VALUES {_marks(len(names), rows)} ON CONFLICT ({_list(table.key)}) {action}"
    )


def _marks(columns: int, rows: int) -> str:
    return ", ".join([f"({', '.join('?' * columns)})"] * rows)


def delete(table: Table, columns: Sequence[str], schema: str = "main", rows: int = 1) -> str:
    """Remove rows by the values of `columns`."""
    return (
        f"DELETE FROM {quote(schema)}.{quote(table.name)}"  # noqa: S608  # identifiers are quoted
        f" WHERE ({_list(columns)}) IN (VALUES {_marks(len(columns), rows)})"
    )


def copy(table: Table, source: str, target: str = "main") -> str:
    """Insert all rows of the table of one schema into that of another, in key order."""
    names = _list(column.name for column in table.columns)
    return (
        f"INSERT INTO {quote(target)}.{quote(table.name)} ({names})"  # noqa: S608  # identifiers are quoted
        f" SELECT {names} FROM {quote(source)}.{quote(table.name)} ORDER BY {_list(table.key)}"
    )


def count(table: Table, schema: str) -> str:
    """How many rows the table has."""
    return f"SELECT count(*) FROM {quote(schema)}.{quote(table.name)}"  # noqa: S608  # identifiers are quoted


def compare(table: Table, expected: str, found: str) -> str:
    """Rows that are not alike in two schemas, in key order. Parameter: how many at most.

    Columns: 1 where the row is expected, 1 where it is found, the expected row, the found row.
    """
    e, f = f"{quote(expected)}.{quote(table.name)}", f"{quote(found)}.{quote(table.name)}"
    names = [quote(column.name) for column in table.columns]
    same_key = " AND ".join(f"e.{quote(key)} = f.{quote(key)}" for key in table.key)
    others = [f"e.{n} IS NOT f.{n}" for n in names if n not in map(quote, table.key)]
    unlike = " OR ".join([f"f.{quote(table.key[0])} IS NULL", *others])
    both = ", ".join([*(f"e.{name}" for name in names), *(f"f.{name}" for name in names)])
    none = ", ".join(["NULL"] * len(names))
    found_only = ", ".join(f"f.{name}" for name in names)
    places = [table_place(table, key) for key in table.key]
    order = ", ".join(
        f"coalesce(column_{2 + place}, column_{2 + len(names) + place})" for place in places
    )
    labels = ", ".join(f"column_{place}" for place in range(2 + 2 * len(names)))
    return (
        f"WITH unlike ({labels}) AS ("  # noqa: S608  # identifiers are quoted
        f"SELECT 1, f.{quote(table.key[0])} IS NOT NULL, {both} FROM {e} e LEFT JOIN {f} f"
        f" ON {same_key} WHERE {unlike}"
        f" UNION ALL SELECT 0, 1, {none}, {found_only} FROM {f} f"
        f" WHERE NOT EXISTS (SELECT 1 FROM {e} e WHERE {same_key})"
        f") SELECT * FROM unlike ORDER BY {order} LIMIT ?"
    )


def table_place(table: Table, column: str) -> int:
    """Where a column stands among those of its table."""
    return [known.name for known in table.columns].index(column)


def _list(names: Iterable[str]) -> str:
    return ", ".join(quote(name) for name in names)
