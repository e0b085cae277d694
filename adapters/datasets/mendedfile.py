"""Files of mended rows: what `headwater quarantine show` writes, changed by somebody."""

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import msgspec

from adapters.datasets.sifting import Texts
from commands.steps.ports import Mended, StepBroken, broken
from commands.steps.quarantine import LINE, RESERVED
from domain.data.dataset import OuterDataset

mended_bytes_max = 256 * 1024 * 1024
"""More than that is not mended by hand: it is a source."""

_field_chars_max = 16 * 2**20
"""One field, as in a source."""

_NUMBER = re.compile(r"[0-9]{1,18}")

Fields = dict[str, str | None]


def read_mended(path: str, target: str) -> Mended:
    """Read it into the Parquet file `target`: its own columns as text, and the line of each row.

    CSV where the name ends in `.csv`, else JSON lines. Raises `StepBroken`.
    """
    is_csv = path.endswith(".csv")
    content = _content(path)
    rows = _csv_rows(path, content) if is_csv else _json_rows(path, content)
    first = next(rows, None)
    if first is None:
        raise broken("bad_rows", "there are no rows", where=path)
    names = tuple(name for name in first[1] if name not in RESERVED)
    with Texts(target, names) as texts:
        for place, row in chain((first,), rows):
            texts.add(_line(path, place, row), _fields(path, place, row, names))
    digest = hashlib.sha256(content).hexdigest()
    file = OuterDataset(namespace="file", name=path, fingerprint=digest, bytes=len(content))
    return Mended(file=file, columns=names, has_nulls=not is_csv)


def _content(path: str) -> bytes:
    try:
        size = Path(path).stat().st_size
        if size > mended_bytes_max:
            message = f"{size:,} bytes are above the limit of {mended_bytes_max:,}"
            raise broken("too_large", message, where=path, hint="mend the source itself")
        return Path(path).read_bytes()
    except OSError as error:
        raise broken("no_rows", f"cannot be read: {error}", where=path) from error


def _csv_rows(path: str, content: bytes) -> Iterator[tuple[int, Fields]]:
    csv.field_size_limit(_field_chars_max)
    try:
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        names = next(reader, [])
        if len({*names}) < len(names):
            raise broken("bad_rows", "two columns have the same name", where=f"{path}:1")
        for fields in reader:
            if not fields:
                continue
            if len(fields) != len(names):
                message = f"{len(fields)} fields where {len(names)} are expected"
                raise broken("bad_rows", message, where=f"{path}:{reader.line_num}")
            row = {name: text or None for name, text in zip(names, fields, strict=True)}
            yield reader.line_num, row
    except (csv.Error, UnicodeDecodeError) as error:
        raise broken("bad_rows", f"not CSV in UTF-8: {error}", where=path) from error


def _json_rows(path: str, content: bytes) -> Iterator[tuple[int, Fields]]:
    for place, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            found = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
            yield place, {name: _text(bytes(value)) for name, value in found.items()}
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            hint = "a file of another kind is told by the ending `.csv`"
            where = f"{path}:{place}"
            raise broken("bad_rows", f"no JSON object: {error}", where=where, hint=hint) from error


def _text(raw: bytes) -> str | None:
    if raw == b"null":
        return None
    return msgspec.json.decode(raw, type=str) if raw.startswith(b'"') else raw.decode()


def _line(path: str, place: int, row: Fields) -> int:
    told = row.get(LINE) or ""
    if not _NUMBER.fullmatch(told):
        raise _no_line(path, place)
    return int(told)


def _no_line(path: str, place: int) -> StepBroken:
    return broken(
        "bad_rows",
        f"the row has no {LINE}",
        where=f"{path}:{place}",
        hint="it tells which quarantined row this one stands for",
    )


def _fields(path: str, place: int, row: Fields, names: Sequence[str]) -> list[str | None]:
    if {*row} - {*RESERVED} != {*names}:
        message = "the row has other columns than the first"
        raise broken("bad_rows", message, where=f"{path}:{place}")
    return [row[name] for name in names]
