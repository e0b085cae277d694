"""Contracts: what the one who gives data promises to those who take it."""

from typing import Literal

from msgspec import Struct

from domain.data.dataset import ColumnType
from domain.data.term import Term

LogicalType = Literal[
    "string", "integer", "number", "boolean", "date", "time", "timestamp", "object", "array",
    "map", "vector",
]  # fmt: skip


class Column(Struct, frozen=True, kw_only=True):
    """One column that a contract promises."""

    name: str
    line: int = 0
    logical: LogicalType | None = None
    """Null where the contract says no type that is known."""
    type: ColumnType | None = None
    """The type it is read as; null where it is none of a pipeline file's types."""
    is_hidden: bool = False
    """Whether its values are not for everybody, so that no message shows them."""


class Contract(Struct, frozen=True, kw_only=True):
    """One table's part of a contract's file."""

    file: str
    table: str
    """The name of its `schema` entry."""
    columns: tuple[Column, ...] = ()
    key: tuple[str, ...] = ()
    """Columns of the primary key, in its order; none where there is no such key."""
    terms: tuple[Term, ...] = ()
    unchecked: tuple[str, ...] = ()
    """What the file says beyond that, and nobody checks: each with its line."""

    def place(self, line: int) -> str:
        """`contracts/flights.odcs.yaml:14`."""
        return f"{self.file}:{line}" if line else self.file


def fits(column: Column, engine_type: str) -> bool:
    """Whether a column of the engine's type can hold what the contract promises."""
    have = engine_type.upper()
    if column.logical is None or have == _NOTHING:
        return True
    if have.endswith("]"):
        return column.logical in ("array", "vector")
    match column.logical:
        case "string":
            return have.startswith(_TEXTS)
        case "integer":
            return have in _INTEGERS or (have.startswith("DECIMAL") and have.endswith(",0)"))
        case "number":
            return have in _INTEGERS or have.startswith(("DOUBLE", "FLOAT", "DECIMAL"))
        case "boolean" | "date":
            return have == column.logical.upper()
        case "time":
            return have in ("TIME", "TIME WITH TIME ZONE")
        case "timestamp":
            zoned = have == "TIMESTAMP WITH TIME ZONE"
            return zoned or (have.startswith("TIMESTAMP") and column.type != "timestamptz")
        case "object":
            return have.startswith(("STRUCT", "JSON"))
        case "map":
            return have.startswith("MAP(")
        case "array" | "vector":
            return False


_NOTHING = '"NULL"'
"""The type of a column in which every value is missing."""

_TEXTS = ("VARCHAR", "UUID", "ENUM", "JSON", "BLOB", "BIT", "INTERVAL")
"""What the standard has no other type for."""

_INTEGERS = frozenset(
    sign + size + "INT" for sign in ("", "U") for size in ("TINY", "SMALL", "BIG", "HUGE")
) | {"INTEGER", "UINTEGER"}
