"""Where an ingest step reads from."""

from msgspec import Struct

from domain.data.dataset import ColumnType


class _Source(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    path: str
    """Relative to the pipeline file; may hold `${param}`."""
    columns: dict[str, ColumnType] = {}
    """The declared columns, all of them; without them names and types are sniffed and pinned."""
    contract: str = ""
    """A contract's file that declares the columns, and `#TABLE` behind it where the file has
    several. Binding writes its columns into `columns`."""
    sniffed: dict[str, str] = {}
    """Column → type as found in the file when the pipeline was bound: a `ColumnType`, or a type in
    DuckDB's words where none of those fits. Written by Headwater, not by people."""
    description: str = ""

    @property
    def types(self) -> dict[str, str]:
        """Column → type: as declared, else as sniffed; empty before binding."""
        return {**self.columns} or self.sniffed


class CsvSource(_Source, frozen=True, kw_only=True, tag_field="kind", tag="csv"):
    """Comma-separated text, gzipped where the name ends in `.gz`."""

    nulls: tuple[str, ...] = ()
    """What a missing value looks like, besides an empty field."""
    delimiter: str = ","
    header: bool = True
    """False where the first line is data already; `columns` must then name all columns."""

    @property
    def null_texts(self) -> tuple[str, ...]:
        """Every text that means a missing value."""
        return tuple(dict.fromkeys(("", *self.nulls)))


class JsonlSource(_Source, frozen=True, kw_only=True, tag_field="kind", tag="jsonl"):
    """A JSON object per line, gzipped where the name ends in `.gz`."""


class ParquetSource(_Source, frozen=True, kw_only=True, tag_field="kind", tag="parquet"):
    """A Parquet file."""


Source = CsvSource | JsonlSource | ParquetSource
