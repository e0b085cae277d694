"""SQL text made from table definitions. No identifier comes from anywhere else."""

from collections.abc import Iterable, Sequence

from adapters.readmodels.dialect import Dialect, quote
from domain.errors import Defect
from projections.ports import Bulk, Column, Table


class Statements:
    """SQL on the tables of one schema, in the dialect of its database."""

    def __init__(self, schema: str, dialect: Dialect) -> None:
        self._schema = schema
        self._dialect = dialect

    def named(self, table: str) -> str:
        """A table's full name."""
        return f"{quote(self._schema)}.{quote(table)}"

    def create_table(self, table: Table) -> str:
        """The table, empty."""
        columns = ", ".join(self._column(column, table) for column in table.columns)
        key = f"PRIMARY KEY ({_list(table.key)})"
        return f"CREATE TABLE {self.named(table.name)} ({columns}, {key}){self._dialect.table_end}"

    def _column(self, column: Column, table: Table) -> str:
        required = " NOT NULL" if column.name in table.key else ""
        return f"{quote(column.name)} {self._dialect.types[column.type]}{required}"

    def create_indexes(self, table: Table) -> list[str]:
        """Its indexes beside the key."""
        return [self._create_index(table, columns) for columns in table.indexes]

    def _create_index(self, table: Table, columns: Sequence[str]) -> str:
        if not self._dialect.names_indexes:
            return f"CREATE INDEX ON {self.named(table.name)} ({_list(columns)})"
        name = f"{quote(self._schema)}.{quote('_'.join((table.name, 'by', *columns)))}"
        return f"CREATE INDEX {name} ON {quote(table.name)} ({_list(columns)})"

    def drop_table(self, name: str) -> str:
        """Remove a table and its indexes, if it is there."""
        return f"DROP TABLE IF EXISTS {self.named(name)}"

    def count(self, table: Table) -> str:
        """How many rows the table has."""
        return f"SELECT count(*) FROM {self.named(table.name)}"  # noqa: S608  # identifiers are quoted

    def copy(self, table: Table, source: str, *, into: str = "") -> str:
        """Insert all rows of the table of another schema, in key order, under its name or `into`
        another one."""
        names = _list(column.name for column in table.columns)
        return (
            f"INSERT INTO {self.named(into or table.name)} ({names})"  # noqa: S608  # identifiers are quoted
            f" SELECT {names} FROM {quote(source)}.{quote(table.name)} ORDER BY {_list(table.key)}"
        )

    def compare(self, table: Table, found: "Statements", limit: int) -> str:
        """Rows that are not alike here and in the schema of `found`, in key order.

        Columns: 1 where the row is expected, 1 where it is found, the expected row, the found row.
        """
        e, f = self.named(table.name), found.named(table.name)
        names = [quote(column.name) for column in table.columns]
        same_key = " AND ".join(f"e.{quote(key)} = f.{quote(key)}" for key in table.key)
        others = [n for n in names if n not in map(quote, table.key)]
        unlike = [f"e.{n} {self._dialect.unlike} f.{n}" for n in others]
        missing = f"f.{quote(table.key[0])} IS NULL"
        both = ", ".join([*(f"e.{name}" for name in names), *(f"f.{name}" for name in names)])
        none = ", ".join(["NULL"] * len(names))
        places = [table_place(table, key) for key in table.key]
        order = ", ".join(
            f"coalesce(column_{2 + place}, column_{2 + len(names) + place})" for place in places
        )
        labels = ", ".join(f"column_{place}" for place in range(2 + 2 * len(names)))
        return (
            f"WITH unlike ({labels}) AS ("  # noqa: S608  # identifiers are quoted
            f"SELECT 1, CASE WHEN {missing} THEN 0 ELSE 1 END, {both}"
            f" FROM {e} e LEFT JOIN {f} f ON {same_key} WHERE {' OR '.join([missing, *unlike])}"
            f" UNION ALL SELECT 0, 1, {none}, {', '.join(f'f.{name}' for name in names)} FROM {f} f"
            f" WHERE NOT EXISTS (SELECT 1 FROM {e} e WHERE {same_key})"
            f") SELECT * FROM unlike ORDER BY {order} LIMIT {max(limit, 0):d}"
        )

    def write(self, table: Table, bulk: Bulk, rows: int) -> str:
        """Do to so many rows of a table what a bulk of these columns says."""
        columns = {column.name: column for column in table.columns}
        match bulk.kind:
            case "put":
                updates = [f"{quote(name)} = excluded.{quote(name)}" for name in bulk.columns]
            case "add":
                updates = [
                    f"{quote(name)} = coalesce(live.{quote(name)}, 0) + excluded.{quote(name)}"
                    for name in bulk.columns
                ]
            case "delete":
                where = self._dialect.matching([columns[name] for name in bulk.columns], rows)
                return f"DELETE FROM {self.named(table.name)} WHERE {where}"  # noqa: S608  # identifiers are quoted
        names = (*table.key, *bulk.columns)
        action = f"DO UPDATE SET {', '.join(updates)}" if updates else "DO NOTHING"
        return (
            f"INSERT INTO {self.named(table.name)} AS live ({_list(names)})"
            f" {self._dialect.given([columns[name] for name in names], rows)}"
            f" ON CONFLICT ({_list(table.key)}) {action}"
        )


class BulkStatements:
    """The SQL for bulks on the tables of one view, each text made once."""

    def __init__(self, tables: Sequence[Table], schema: str, dialect: Dialect) -> None:
        self._tables = {table.name: table for table in tables}
        self._statements = Statements(schema, dialect)
        self._texts: dict[tuple[str, str, tuple[str, ...], int], str] = {}

    def of(self, bulk: Bulk, rows: int) -> str:
        """For so many rows at once; a dialect that takes any number is not asked how many."""
        shape = (bulk.kind, bulk.table, bulk.columns, rows)
        text = self._texts.get(shape)
        if text is None:
            text = self._texts[shape] = self._statements.write(self._table(bulk), bulk, rows)
        return text

    def _table(self, bulk: Bulk) -> Table:
        table = self._tables.get(bulk.table)
        if table is None or not set(bulk.columns) <= {column.name for column in table.columns}:
            columns = ", ".join(bulk.columns)
            raise Defect(f"a view has no table {bulk.table!r} with columns {columns}")
        return table


def table_place(table: Table, column: str) -> int:
    """Where a column stands among those of its table."""
    return [known.name for known in table.columns].index(column)


def _list(names: Iterable[str]) -> str:
    return ", ".join(quote(name) for name in names)
