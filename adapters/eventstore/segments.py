"""Sealed events: segments in Parquet, written once and never changed.

A segment holds all events of some ended runs in order of position, each with its link of the chain.
It is a file beside the store's file, or a row in the store's database. The store says which
segments there are, and keeps all links.
"""

import hashlib
from collections.abc import Sequence
from errno import EDQUOT, ENOSPC
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from adapters.disk import hash_of, sync
from domain.chain import Link, StoredRow, link_bytes
from domain.errors import StorageFull, Unavailable
from domain.ids import Position
from domain.sealing import Segment

group_rows = 2_000
"""Events read at once, about 2 MB: a run is in one or two such groups."""


def segment_of(rows: Sequence[StoredRow], links: Sequence[Link]) -> tuple[Segment, pa.Buffer]:
    """A segment and its bytes. The name tells the content: made twice it is the same."""
    columns = [*zip(*rows, strict=True), links]
    table = pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)],
        schema=_SCHEMA,
    )
    sink = pa.BufferOutputStream()
    pyarrow.parquet.write_table(table, sink, compression="zstd", row_group_size=group_rows)
    content = sink.getvalue()
    first, last = rows[0][0], rows[-1][0]
    sha256 = hashlib.sha256(content).hexdigest()
    name = f"{first}-{last}-{sha256[:16]}.parquet"
    segment = Segment(name=name, sha256=sha256, first=first, last=last, events=len(rows))
    return segment, content


def write_segment(folder: Path, segment: Segment, content: pa.Buffer) -> None:
    """Write a segment, on the disk when this returns. Raises `Unavailable`, `StorageFull`."""
    temporary = folder / f".{segment.first}.partial"
    try:
        temporary.write_bytes(content)
        sync(temporary)
        temporary.replace(folder / segment.name)
        sync(folder)
        sync(folder.parent)
    except OSError as error:
        kind = StorageFull if error.errno in (ENOSPC, EDQUOT) else Unavailable
        raise kind(f"no segment can be written in {folder}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def check_segment(folder: Path, segment: Segment, known: tuple[int, ...] | None) -> tuple[int, ...]:
    """Hold the bytes of a segment against its hash, unless the file is the `known` one.

    Returns by what to know it the next time. Arrow is given no other bytes than were written: some
    damaged files end the whole process. Raises `Unavailable` with its name.
    """
    path = folder / segment.name
    try:
        found = path.stat()
        seen = (found.st_ino, found.st_size, found.st_mtime_ns)
        if seen != known and hash_of(path)[0] != segment.sha256:
            raise _lost(path, "is not as it was written")
    except FileNotFoundError as error:
        raise _lost(path, "is missing") from error
    except OSError as error:
        raise _lost(path, f"cannot be read: {error.strerror or error}") from error
    return seen


def read_segment(
    folder: Path, segment: Segment, span: tuple[Position, Position], limit: int | None
) -> list[StoredRow]:
    """Events of a checked segment behind the first position of `span` up to the second, at most
    `limit`. Raises `Unavailable` with its name."""
    path = folder / segment.name
    try:
        return _read(path, span, limit)
    except (OSError, pa.ArrowException) as error:
        raise _lost(path, f"cannot be read: {error}") from error


def rows_of_content(
    segment: Segment, content: bytes, span: tuple[Position, Position], limit: int | None
) -> list[StoredRow]:
    """The same of a segment's bytes, which are held against its hash first."""
    if hashlib.sha256(content).hexdigest() != segment.sha256:
        raise _lost(segment.name, "is not as it was written")
    return _read(pa.BufferReader(content), span, limit)


def _read(
    source: Path | pa.BufferReader, span: tuple[Position, Position], limit: int | None
) -> list[StoredRow]:
    rows: list[StoredRow] = []
    with pyarrow.parquet.ParquetFile(source) as file:
        for number in range(file.metadata.num_row_groups):
            if _meets(file.metadata.row_group(number).column(0).statistics, span):
                rows += _rows_of(file.read_row_group(number, columns=_NAMES), span)
            if limit is not None and len(rows) >= limit:
                return rows[:limit]
    return rows


def _lost(segment: Path | str, reason: str) -> Unavailable:
    return Unavailable(
        f"the segment {segment} {reason}",
        hint="put it back from a backup: its events are nowhere else",
    )


def _meets(positions: pyarrow.parquet.Statistics | None, span: tuple[Position, Position]) -> bool:
    if positions is None or positions.min is None or positions.max is None:
        return True
    return bool(positions.max > span[0] and positions.min <= span[1])


def _rows_of(table: pa.Table, span: tuple[Position, Position]) -> list[StoredRow]:
    columns = [table.column(name).to_pylist() for name in _NAMES]
    return [row for row in zip(*columns, strict=True) if span[0] < row[0] <= span[1]]


_NAMES = ["position", "originator_id", "originator_version", "topic", "state"]

_TYPES = (pa.int64(), pa.string(), pa.int64(), pa.string(), pa.binary(), pa.binary(link_bytes))

_SCHEMA = pa.schema(
    [
        pa.field(name, kind, nullable=False)
        for name, kind in zip((*_NAMES, "link"), _TYPES, strict=True)
    ]
)
