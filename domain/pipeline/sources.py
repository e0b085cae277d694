"""Where an ingest step reads from."""

from typing import Literal

from msgspec import Struct

from domain.data.dataset import ColumnType


class WrittenColumn(
    Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """A column's type, and how its dates or times are written where that is not ISO 8601."""

    type: ColumnType
    format: str = ""
    """As `strptime` has it, such as `%d/%m/%Y`."""


class _Source(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    path: str
    """Relative to the pipeline file; may hold `${param}`."""
    columns: dict[str, ColumnType | WrittenColumn] = {}
    """The declared columns; without them names and types are sniffed and pinned."""
    extra_columns: Literal["fail", "keep", "drop"] = "fail"
    """What becomes of columns that the file has and `columns` does not name. Those that are kept
    are text (in Parquet as they are), and are pinned when the pipeline is bound."""
    contract: str = ""
    """A contract's file that declares the columns, and `#TABLE` behind it where the file has
    several. Binding writes its columns into `columns`."""
    sniffed: dict[str, str] = {}
    """Column → type as found in the file when the pipeline was bound: a `ColumnType`, or a type in
    DuckDB's words where none of those fits. Written by Headwater, not by people."""
    description: str = ""

    @property
    def types(self) -> dict[str, str]:
        """Column → type: as declared, then as sniffed; empty before binding."""
        return {**self.declared, **self.sniffed}

    @property
    def declared(self) -> dict[str, str]:
        """Column → declared type."""
        return {
            name: one.type if isinstance(one, WrittenColumn) else one
            for name, one in self.columns.items()
        }

    @property
    def formats(self) -> dict[str, str]:
        """Column → how its dates or times are written, where that is declared."""
        return {
            name: one.format
            for name, one in self.columns.items()
            if isinstance(one, WrittenColumn) and one.format
        }


class CsvSource(_Source, frozen=True, kw_only=True, tag_field="kind", tag="csv"):
    """Comma-separated text, gzipped where the name ends in `.gz`."""

    nulls: tuple[str, ...] = ()
    """What a missing value looks like, besides an empty field."""
    delimiter: str = ","
    encoding: Literal["utf-8", "latin-1"] = "utf-8"
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
