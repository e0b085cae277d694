# ruff: noqa: S608  # literals go through `commands.steps.sql`
"""Names and types of a source's columns, as its file has them."""

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import get_args

import duckdb
import msgspec

from adapters.engines.tables import refused
from commands.steps.sql import literal, sql_type
from domain.data.dataset import ColumnType
from domain.errors import Malformed
from domain.pipeline.names import did_you_mean
from domain.pipeline.sources import CsvSource, JsonlSource, ParquetSource, Source

_head_bytes = 1024 * 1024
"""As much of a file as its header may take."""

_sample_rows = 20_480
"""Rows whose values decide a type."""

_buffer_bytes = 4 * 1024 * 1024
"""Read at once while sniffing; the engine's own 32 MiB would unpack a small gzip file whole."""

_keys_bytes = 16 * 1024 * 1024
"""As much of a file of JSON as is looked at for keys."""

_NO_KEYS = "json"
"""The engine's name for the only column of lines that are not all objects."""

_OURS = {sql_type(name): name for name in get_args(ColumnType)}
_ISO = (None, "", "%Y-%m-%d")


def sniff(source: Source, path: Path) -> dict[str, str]:
    """Column → type, a `ColumnType` where one fits. Raises `Malformed`.

    Declared types stand as declared; for them only the names are held against the file.
    """
    if not path.exists():
        raise Malformed(f"there is no file {path}", hint=_neighbours(path))
    if not path.is_file():
        raise Malformed(f"{path} is no regular file")
    if path.stat().st_size == 0:
        raise Malformed(f"{path} is empty: not even a header")
    _hold_formats(source)
    match source:
        case CsvSource():
            return _csv(source, path)
        case JsonlSource() if source.columns:
            more = [name for name in _keys(path) if name not in source.columns]
            return {**source.declared, **_extra(source, dict.fromkeys(more, "string"), path)}
        case JsonlSource():
            relation = f"read_json({literal(str(path))}, format = 'newline_delimited')"
            found = _described(relation, path)
            if [*found] == [_NO_KEYS]:
                _hold_objects(path)
            return found
        case ParquetSource():
            types = _described(f"read_parquet({literal(str(path))})", path)
            return types if not source.columns else _declared(source, types, path)


def _hold_formats(source: Source) -> None:
    for name, format_ in source.formats.items():
        try:
            duckdb.execute(f"select try_strptime('', {literal(format_)})")
        except duckdb.Error as error:
            first = refused(error).message.partition("\n")[0]
            raise Malformed(f"column `{name}`: {first}", hint="such as '%d/%m/%Y'") from error


def _csv(source: CsvSource, path: Path) -> dict[str, str]:
    first = _first_record(source, path)
    if not source.header:
        if len(first) != len(source.columns):
            message = f"{path.name} has {len(first)} columns, {len(source.columns)} are declared"
            raise Malformed(message, hint="declare all of them, in order")
        return source.declared
    for place, name in enumerate(first):
        if not name.strip():
            raise Malformed(f"column {place + 1} of {path.name} has no name in the header")
        if name.lower() in [one.lower() for one in first[:place]]:
            raise Malformed(f"{path.name} has two columns called `{name}`")
    if source.columns:
        return _declared(source, dict.fromkeys(first, "string"), path)
    return _types(source, path, first)


def _declared(source: Source, found: dict[str, str], path: Path) -> dict[str, str]:
    names = [*found]
    missing = [name for name in source.columns if name not in names]
    if missing:
        hint = did_you_mean(missing[0], names)
        raise Malformed(f"{path.name} has no column `{missing[0]}`", hint=hint)
    more = {name: type_ for name, type_ in found.items() if name not in source.columns}
    return {**source.declared, **_extra(source, more, path)}


def _extra(source: Source, more: dict[str, str], path: Path) -> dict[str, str]:
    """What is kept of the columns that are not declared."""
    if more and source.extra_columns == "fail":
        shown = ", ".join(f"`{name}`" for name in [*more][:10])
        raise Malformed(
            f"{path.name} has columns that are not declared: {shown}",
            hint="declare them, or say `extra_columns: keep` or `extra_columns: drop`",
        )
    return more if source.extra_columns == "keep" else {}


def _first_record(source: CsvSource, path: Path) -> list[str]:
    try:
        with _opened(path) as file:
            head = file.read(_head_bytes)
    except (OSError, EOFError, zlib.error) as error:
        raise Malformed(f"{path} cannot be read: {error}") from error
    if b"\0" in head:
        raise Malformed(f"{path.name} is a binary file, not CSV")
    codec = "utf-8-sig" if source.encoding == "utf-8" else source.encoding
    text = head.decode(codec, errors="replace")
    # Rows behind the header that cannot be read are a matter of rows, where types are declared.
    names = text.partition("\n")[0] if source.columns else text[:-4]
    if "\ufffd" in names:
        hint = "convert it to UTF-8, or declare `encoding: latin-1`"
        raise Malformed(f"{path.name} is not UTF-8", hint=hint)
    try:
        records = csv.reader(io.StringIO(text, newline=""), delimiter=source.delimiter)
        return next(iter(records), [])
    except csv.Error as error:
        raise Malformed(f"the first line of {path.name} cannot be read: {error}") from error


@contextmanager
def _opened(path: Path) -> Iterator[io.BufferedIOBase]:
    with path.open("rb") as raw:
        if path.name.endswith(".gz"):
            with gzip.GzipFile(fileobj=raw) as unpacked:
                yield unpacked
        else:
            yield raw


def _types(source: CsvSource, path: Path, names: list[str]) -> dict[str, str]:
    nulls = ", ".join(literal(text) for text in source.null_texts)
    query = f"""
        select Columns, DateFormat, TimestampFormat, SkipRows from sniff_csv(
            {literal(str(path))}, nullstr = [{nulls}], delim = {literal(source.delimiter)},
            quote = '"', escape = '"', header = true, sample_size = {_sample_rows},
            encoding = {literal(source.encoding)},
            buffer_size = {_buffer_bytes}, max_line_size = {_buffer_bytes // 4})
    """
    found = _asked(query, path)[0]
    columns = found[0] if isinstance(found[0], list) else []
    if found[3] or [one["name"] for one in columns] != names:
        raise Malformed(
            f"the lines of {path.name} differ in their number of fields",
            hint="mend the file, or check `delimiter`; `columns:` says what they should be",
        )
    odd = {
        type_
        for type_, format_ in (("DATE", found[1]), ("TIMESTAMP", found[2]))
        if format_ not in _ISO and not str(format_).startswith("%Y-%m-%d")
    }
    return {
        str(one["name"]): "string" if one["type"] in odd else _ours(str(one["type"]))
        for one in columns
    }


def _keys(path: Path) -> list[str]:
    """Keys that have a value in one of the first lines; a line that cannot be read has none."""
    found: dict[str, None] = {}
    for line in _first_lines(path):
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            fields = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
            found |= {key: None for key, one in fields.items() if bytes(one) != b"null"}
    return [*found]


def _hold_objects(path: Path) -> None:
    """Raise `Malformed` with the first line that is JSON, and neither an object nor null."""
    for number, line in enumerate(_first_lines(path), start=1):
        if len(line) == _head_bytes:
            return  # a part of a line: what follows cannot be told from a line of its own
        text = line.strip()
        if text and text != b"null" and not text.startswith(b"{"):
            shown = text[:80].decode(errors="replace")
            raise Malformed(
                f"line {number} of {path.name} is no JSON object: {shown}",
                hint="mend the line, or declare `columns:`: then such a line is set apart",
            )


def _first_lines(path: Path) -> Iterator[bytes]:
    try:
        with _opened(path) as file:
            lines = islice(iter(partial(file.readline, _head_bytes), b""), _sample_rows)
            for number, line in enumerate(lines):
                if file.tell() > _keys_bytes:
                    break
                yield line if number else line.removeprefix(codecs.BOM_UTF8)
    except (OSError, EOFError, zlib.error) as error:
        raise Malformed(f"{path} cannot be read: {error}") from error


def _described(relation: str, path: Path) -> dict[str, str]:
    return {str(row[0]): _ours(str(row[1])) for row in _asked(f"describe from {relation}", path)}


def _asked(query: str, path: Path) -> list[tuple[object, ...]]:
    connection = duckdb.connect(":memory:", config={"threads": 1})
    try:
        connection.execute(
            f"""
            set memory_limit = '512MiB';
            set temp_directory = '';
            set autoload_known_extensions = false;
            set autoinstall_known_extensions = false;
            set allowed_paths = [{literal(str(path))}];
            set enable_external_access = false;
            set lock_configuration = true
            """
        )
        return connection.execute(query).fetchall()
    except duckdb.Error as error:
        first = refused(error).message.partition("\n")[0]
        raise Malformed(f"{path.name} cannot be read: {first}") from error
    finally:
        connection.close()


def _ours(type_: str) -> str:
    if type_ == '"NULL"':
        return "string"
    ours: str = _OURS.get(type_, type_)
    return ours


def _neighbours(path: Path) -> str:
    try:
        names = [one.name for one in path.parent.iterdir()]
    except OSError:
        return "the folder is not there either"
    return did_you_mean(path.name, names) if names else "the folder is empty"
