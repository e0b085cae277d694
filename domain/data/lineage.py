"""Which column comes from which."""

from typing import Literal

from msgspec import Struct


class ColumnEdge(Struct, frozen=True, order=True, omit_defaults=True):
    """One column of an input that a column of the output is made from."""

    source: str
    """The input's step id, or the source's name for an ingest."""
    source_column: str
    column: str
    """The output's column."""
    kind: Literal["direct", "indirect"] = "direct"
    """`direct`: its values flow in. `indirect`: it filters, joins, groups or orders."""
