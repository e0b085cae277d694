"""What the readers of all kinds of files have in common."""

import gzip
import io
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, Literal

from msgspec import Struct

from adapters.datasets.jumps import Jumps
from adapters.datasets.scan import Scan, identity_of
from commands.steps.ports import SourceRead, StepBroken, broken
from commands.steps.quarantine import RESERVED
from commands.steps.sql import is_written, quoted, required_cast, said_type, sql_type
from domain.data.dataset import OuterDataset

_large_bytes_min = 8 * 2**20
"""Bytes of a file from which on what is read of it counts as large."""

_text_chars_max = 200
_INTEGER = "BIGINT"


class Reading(Struct, frozen=True, kw_only=True):
    """One source being read."""

    name: str
    path: str
    target: str
    """The file for the rows that fit."""
    rejects: str
    """The file for those that do not."""
    texts: str
    """A file for what lies between, where a second look is needed."""
    jumps: str
    """The file for the records that do not follow each other line by line."""
    types: dict[str, str]
    """Column → declared or sniffed type."""
    formats: dict[str, str] = {}
    """Column → how its dates or times are written, where that was declared."""
    declared: bool
    extra: Literal["fail", "keep", "drop"] = "fail"
    """What becomes of columns that are not among the types."""

    @property
    def is_large(self) -> bool:
        """Whether the file has so many rows that how they are encoded takes its time.
        Raises `StepBroken` where it is gone."""
        return identity_of(self.path).size >= _large_bytes_min

    @property
    def sql_types(self) -> dict[str, str]:
        """Column → the engine's type."""
        return {name: sql_type(type_) for name, type_ in self.types.items()}

    @property
    def integers(self) -> tuple[str, ...]:
        """Columns in which a fraction would get lost unnoticed."""
        return tuple(name for name, type_ in self.sql_types.items() if type_ == _INTEGER)

    def is_strict(self, name: str) -> bool:
        """Whether the engine's own reading of this column would pass what does not fit."""
        return name in self.formats or is_written(self.types[name])

    @property
    def read_as(self) -> dict[str, str]:
        """Column → the engine's type in which it is read: text, if it is to be held against its
        type with more care."""
        types = self.sql_types
        return {name: "VARCHAR" if self.is_strict(name) else types[name] for name in types}

    @property
    def required(self) -> str:
        """SQL: the columns in their types; a value that does not fit is an error."""
        return ", ".join(
            f"{required_cast(name, type_, self.formats.get(name))} as {quoted(name)}"
            if self.is_strict(name)
            else quoted(name)
            for name, type_ in self.types.items()
        )

    @property
    def said(self) -> dict[str, str]:
        """Column → its type in words, with how a date or a time is to be written."""
        why = "" if self.declared else ", which the column was found to be"
        return {
            name: said_type(type_, self.formats.get(name)) + why
            for name, type_ in self.types.items()
        }

    def hint(self, name: str = "") -> str:
        """What to do about a value that does not fit its column."""
        if self.declared and is_written(self.types.get(name, "")):
            return f"say how it is written: {{type: {self.types[name]}, format: '%d/%m/%Y'}}"
        if self.declared:
            return "mend the file, or declare another type in `columns:`"
        return f"declare its type: sources.{self.name}.columns"

    def seen(self, scan: Scan, jumps: Jumps | None, records: int, rejected: int = 0) -> SourceRead:
        """The file as the outcome names it; without jumps its records are as good as lines."""
        if jumps is not None:
            jumps.end(records)
        return SourceRead(
            source=OuterDataset(
                namespace="file", name=self.path, fingerprint=scan.fingerprint, bytes=scan.bytes
            ),
            records=records,
            rejected=rejected,
            columns=tuple(self.types),
            first=jumps.first if jumps else 1,
            jumps=jumps.count if jumps else 0,
        )


@contextmanager
def unpacked(path: str) -> Iterator["io.BufferedReader[Any]"]:
    """The bytes of a file, unpacked where its name ends in `.gz`."""
    try:
        with _opened(path) as raw:
            if path.endswith(".gz"):
                with gzip.GzipFile(fileobj=raw) as whole, io.BufferedReader(whole) as file:
                    yield file
            else:
                yield raw
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise broken(
            "bad_row",
            f"not a whole gzip file: {error}",
            where=path,
            hint="write it under another name and rename it when it is whole",
            retryable=True,
        ) from error


def _opened(path: str) -> "io.BufferedReader[Any]":
    try:
        return open(path, "rb")
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
        raise broken("source_missing", message, where=path, retryable=True) from error


def hold_names(names: Iterable[str], where: str) -> None:
    """Raise `StepBroken` where a column is called as one that quarantines have of their own."""
    taken = [name for name in names if name.lower() in RESERVED]
    if taken:
        raise broken(
            "reserved_column",
            f"column {', '.join(taken)} is called as one that Headwater adds to rejected rows",
            where=where,
            hint="give it another name in the file",
        )


def fractions(columns: Iterable[str]) -> str:
    """SQL: whether any of these columns, read as doubles, is no whole number."""
    return " or ".join(f"{quoted(name)} <> trunc({quoted(name)})" for name in columns)


def bad_row(reading: Reading, line: int, what: str, text: str, hint: str) -> StepBroken:
    """The report of a record that cannot be read."""
    shown = text.rstrip("\r\n").encode(errors="replace").decode()
    if len(shown) > _text_chars_max:
        shown = shown[:_text_chars_max] + "…"
    message = f"{what}: {shown}" if shown else what
    return broken("bad_row", message, where=f"{reading.path}:{line}", hint=hint)


def hold_columns(reading: Reading, found: Sequence[str], where: str) -> None:
    """Raise `StepBroken` where a source's columns are not those that were declared or sniffed."""
    hold_names(found, where)
    folded = [name.lower() for name in found]
    doubled = [name for name in found if folded.count(name.lower()) > 1]
    if doubled:
        raise broken(
            "duplicate_column",
            f"more than one column is called {', '.join(doubled)}",
            where=where,
            hint="columns are told apart without regard to capital letters",
        )
    missing = [name for name in reading.types if name not in found]
    if missing:
        near = get_close_matches(missing[0], found, n=3)
        there = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(found)}"
        said = f"{_columns(missing)} missing"
        raise broken("missing_column", said, where=where, hint=there)
    extra = [name for name in found if name not in reading.types]
    if extra and reading.extra != "drop":
        raise extra_columns(reading, extra, where)


def extra_columns(reading: Reading, names: Sequence[str], where: str) -> StepBroken:
    """The report of columns that nobody knows what to do with."""
    if reading.declared and reading.extra == "fail":
        hint = "declare it, or say `extra_columns: keep` or `extra_columns: drop`"
    else:
        hint = "the file has changed since its columns were looked at: apply the pipeline again"
    return broken("extra_column", f"{_columns(names)} not declared", where=where, hint=hint)


def _columns(names: Sequence[str]) -> str:
    """`column a is`, `columns a, b are`."""
    what, verb = ("column", "is") if len(names) == 1 else ("columns", "are")
    return f"{what} {', '.join(names)} {verb}"
