"""Datasets and their versions."""

from typing import Literal

from msgspec import Struct

ColumnType = Literal[
    "string", "integer", "number", "decimal", "boolean", "date", "time", "timestamp", "timestamptz"
]
"""Types a pipeline file can declare. `integer` has 64 bits, `number` is a double,
`decimal` has 38 digits with 9 behind the point."""


class DatasetVersion(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One immutable content of a dataset. Data lies under its fingerprint and never changes."""

    dataset: str
    """`<pipeline>.<step>` in namespace `headwater`."""
    fingerprint: str
    """SHA-256 of the content, in hexadecimal."""
    rows: int
    bytes: int
    kept: bool = True


class OuterDataset(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Data outside Headwater, read by an ingest or written by a store; OpenLineage's names."""

    namespace: str
    """`file` for files."""
    name: str
    """The absolute path for files."""
    fingerprint: str = ""
    """SHA-256 of the bytes that were read or written, where they could be hashed."""
    bytes: int = 0
