"""Where SQL differs between the databases that views lie in; everything else is the same text."""

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from projections.ports import Column


def quote(identifier: str) -> str:
    """An identifier as SQL reads it, whatever stands in it."""
    return '"' + identifier.replace('"', '""') + '"'


class Dialect(Struct, frozen=True, kw_only=True):
    """What one database says in its own way."""

    name: str
    """Queries of `sql/NAME` stand in for those of `sql`."""
    types: Mapping[str, str]
    """Of a column, by the type that its table says. Texts are compared by their bytes."""
    table_end: str
    """Behind a table's columns."""
    names_indexes: bool
    """Whether an index needs a name; else it gets one that nothing else has."""
    unlike: str
    """Between two values that may be null."""
    given: Callable[[Sequence[Column], int], str]
    """Where so many rows of a bulk come from, with these columns."""
    matching: Callable[[Sequence[Column], int], str]
    """The rows whose columns have the values of so many rows of a bulk."""


def _marks(columns: Sequence[Column], rows: int) -> str:
    return "VALUES " + ", ".join([f"({', '.join('?' * len(columns))})"] * rows)


def _among_marks(columns: Sequence[Column], rows: int) -> str:
    return f"({_list(columns)}) IN ({_marks(columns, rows)})"


def _list(columns: Sequence[Column]) -> str:
    return ", ".join(quote(column.name) for column in columns)


SQLITE = Dialect(
    name="sqlite",
    types={"text": "TEXT", "integer": "INTEGER", "real": "REAL"},
    table_end=" WITHOUT ROWID",
    names_indexes=True,
    unlike="IS NOT",
    given=_marks,
    matching=_among_marks,
)
"""A value for each mark; rows are kept in the order of their keys."""

_ARRAYS = {"text": "text[]", "integer": "bigint[]", "real": "double precision[]"}


def _arrays(columns: Sequence[Column], _: int) -> str:
    arrays = (f"${place}::{_ARRAYS[column.type]}" for place, column in enumerate(columns, 1))
    return f"SELECT * FROM unnest({', '.join(arrays)})"  # noqa: S608  # numbers and types


def _among_arrays(columns: Sequence[Column], rows: int) -> str:
    return f"({_list(columns)}) IN ({_arrays(columns, rows)})"


POSTGRES = Dialect(
    name="postgres",
    types={"text": 'text COLLATE "C"', "integer": "bigint", "real": "double precision"},
    table_end="",
    names_indexes=False,
    unlike="IS DISTINCT FROM",
    given=_arrays,
    matching=_among_arrays,
)
"""An array for each column, with any number of rows."""
