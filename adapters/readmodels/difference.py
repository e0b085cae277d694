"""What a comparison of two schemas found, as differences."""

from collections.abc import Sequence

from adapters.readmodels.known import columns_named
from projections.ports import Difference, Row, Table, Value


def of_shape(table: Table, there: Sequence[str]) -> Difference | None:
    """A table that is not there, or has other columns."""
    names = columns_named(table)
    if tuple(there) == names:
        return None
    return Difference(
        table=table.name,
        key={},
        expected={"columns": ", ".join(names)},
        found={"columns": ", ".join(there)} if there else None,
    )


def of_row(table: Table, values: Sequence[Value]) -> Difference:
    """From what `Statements.compare` gives."""
    names = columns_named(table)
    expected: Row | None = dict(zip(names, values[2 : 2 + len(names)], strict=True))
    found: Row | None = dict(zip(names, values[2 + len(names) :], strict=True))
    if not values[0]:
        expected = None
    if not values[1]:
        found = None
    row = expected or found or {}
    return Difference(
        table=table.name,
        key={column: row[column] for column in table.key},
        expected=expected,
        found=found,
    )
