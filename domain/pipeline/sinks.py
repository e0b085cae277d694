"""Where a store step writes to."""

from typing import Literal

from msgspec import Struct


class _Sink(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    path: str
    """Relative to the pipeline file; may hold `${param}`."""


class ParquetSink(_Sink, frozen=True, kw_only=True, tag_field="kind", tag="parquet"):
    """A Parquet file."""

    compression: Literal["zstd", "lz4", "snappy", "none"] = "zstd"


class CsvSink(_Sink, frozen=True, kw_only=True, tag_field="kind", tag="csv"):
    """Comma-separated text, gzipped where the name ends in `.gz`."""

    delimiter: str = ","
    header: bool = True


class JsonlSink(_Sink, frozen=True, kw_only=True, tag_field="kind", tag="jsonl"):
    """A JSON object per line, gzipped where the name ends in `.gz`."""


Sink = ParquetSink | CsvSink | JsonlSink
