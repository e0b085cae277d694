# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""CSV files. The engine reads in one pass; where it stops, a slower walk finds the line.

The engine's own line numbers miss line breaks inside quotes, it takes a row with one empty field
too many, and it makes 2 of `1.5` where an integer is wanted. So the numbers come from the walk, and
the other two are looked for by counts that cost nothing while the file is in order.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

from msgspec import Struct

from adapters.datasets.reading import Reading, bad_row, fractions, hold_columns
from adapters.datasets.scan import Look, Tally, identity_of
from commands.steps.ports import Engine, SourceRead, StepBroken, broken
from commands.steps.sql import careful_cast, listed, literal, quoted
from domain.pipeline.sources import CsvSource

_field_chars_max = 16 * 2**20


class Row(Struct, frozen=True):
    """A record where it stands."""

    line: int
    """The physical line on which it begins, from 1."""
    fields: list[str]
    text: str
    """Its first line."""


class Layout(Struct, frozen=True, kw_only=True):
    """What has to be known of a file before it is read."""

    columns: tuple[str, ...]
    """In the order in which they stand in the file."""
    skip: int
    """Records before the data: the header, and blank lines before it."""
    delimiter: str
    nulls: tuple[str, ...]


def read_csv(reading: Reading, source: CsvSource, engine: Engine) -> SourceRead:
    """Read a CSV file whole, or raise `StepBroken` with its first record that cannot be read."""
    identity_of(reading.path)
    layout = _layout(reading, source)
    single = len(layout.columns) == 1
    tally = Tally(delimiter=source.delimiter.encode(), blank_counts=single)
    with Look(reading.path, tally) as look:
        types = reading.sql_types
        query = f"select {listed(list(types))} from {_relation(reading, layout, types)}"
        try:
            engine.save(query, reading.target)
        except StepBroken as stopped:
            look.hold()
            if stopped.error.code != "sql_error":
                raise
            raise (_fault(reading, layout, engine) or _located(reading, stopped)) from stopped
        scan = look.result()
        _hold_shape(reading, layout, tally)
        if tally.has_point:
            _hold_integers(reading, layout, engine)
        records = tally.records - _counted_before(layout, single)
        saved = engine.rows(f"select count(*) from read_parquet({literal(reading.target)})")
        if saved[0][0] != records:
            records = sum(1 for _ in _rows(reading, layout))
    return reading.seen(scan, records)


def _layout(reading: Reading, source: CsvSource) -> Layout:
    nulls = tuple(dict.fromkeys([*source.nulls, ""]))
    if not source.header:
        return Layout(columns=tuple(reading.types), skip=0, delimiter=source.delimiter, nulls=nulls)
    for before, row in enumerate(_walk(reading, source.delimiter), start=1):
        if row.fields:
            hold_columns(reading, row.fields, f"{reading.path}:{row.line}")
            return Layout(
                columns=tuple(row.fields), skip=before, delimiter=source.delimiter, nulls=nulls
            )
    raise broken(
        "empty_source",
        "the file is empty: not even a header",
        where=reading.path,
        hint="set `header: false` if it can have no header",
    )


def _counted_before(layout: Layout, single: bool) -> int:
    """Records of the tally that are no data: blank lines are none unless there is one column."""
    if not layout.skip:
        return 0
    return layout.skip if single else 1


def _relation(reading: Reading, layout: Layout, types: dict[str, str]) -> str:
    columns = ", ".join(f"{literal(name)}: {literal(types[name])}" for name in layout.columns)
    nulls = ", ".join(literal(text) for text in layout.nulls)
    packed = "gzip" if reading.path.endswith(".gz") else "none"
    return (
        f"read_csv({literal(reading.path)}, columns = {{{columns}}}, auto_detect = false, "
        f"header = false, skip = {layout.skip}, delim = {literal(layout.delimiter)}, "
        f"quote = '\"', escape = '\"', nullstr = [{nulls}], compression = '{packed}')"
    )


def _hold_shape(reading: Reading, layout: Layout, tally: Tally) -> None:
    wanted = (len(layout.columns) - 1) * tally.plain
    if tally.delimiters != wanted and (fault := _shape_fault(reading, layout)):
        raise fault


def _hold_integers(reading: Reading, layout: Layout, engine: Engine) -> None:
    if not reading.integers:
        return
    types = {**reading.sql_types, **dict.fromkeys(reading.integers, "DOUBLE")}
    relation = _relation(reading, layout, types)
    lost = engine.rows(f"select 1 from {relation} where {fractions(reading.integers)} limit 1")
    if lost and (fault := _type_fault(reading, layout, engine)):
        raise fault


def _fault(reading: Reading, layout: Layout, engine: Engine) -> StepBroken | None:
    try:
        return _shape_fault(reading, layout) or _type_fault(reading, layout, engine)
    except StepBroken as stopped:
        return stopped if stopped.error.code == "bad_row" else None


def _shape_fault(reading: Reading, layout: Layout) -> StepBroken | None:
    """The first record with too few or too many fields, or that is no text."""
    want = len(layout.columns)
    for row in _rows(reading, layout):
        have = len(row.fields)
        if have != want:
            what = f"{have} fields instead of {want}"
            hint = "quote fields that hold the delimiter" if have > want else "complete the row"
            return bad_row(reading, row.line, what, row.text, hint)
        if not row.text.isascii() and any("\udc80" <= char <= "\udcff" for char in row.text):
            return bad_row(reading, row.line, "not UTF-8", row.text, "convert the file to UTF-8")
    return None


def _type_fault(reading: Reading, layout: Layout, engine: Engine) -> StepBroken | None:
    """The first value that does not fit its column, found by the engine, placed by the walk."""
    types = reading.sql_types
    relation = _relation(reading, layout, dict.fromkeys(types, "VARCHAR"))
    wrong = {
        name: f"({quoted(name)} is not null and {careful_cast(name, 'VARCHAR', type_)} is null)"
        for name, type_ in types.items()
        if type_ != "VARCHAR"
    }
    if not wrong:
        return None
    which = " ".join(f"when {test} then {literal(name)}" for name, test in wrong.items())
    found = engine.rows(
        f"""
        select n, name from (
            select row_number() over () as n, case {which} end as name from {relation}
        ) where name is not null order by n limit 1
        """
    )
    if not found:
        return None
    number, name = int(str(found[0][0])), str(found[0][1])
    row = next(islice(_rows(reading, layout), number - 1, None), None)
    if row is None:
        return None
    value = row.fields[layout.columns.index(name)] if row.fields else ""
    what = f"column `{name}`: {value[:80]!r} is no {reading.types[name]}"
    return bad_row(reading, row.line, what, row.text, reading.hint())


def _located(reading: Reading, stopped: StepBroken) -> StepBroken:
    """The engine's own words, where the walk finds nothing wrong."""
    message = stopped.error.message.split("Possible fixes")[0].strip()
    return broken("bad_row", message, where=reading.path, hint=reading.hint())


def _rows(reading: Reading, layout: Layout) -> Iterator[Row]:
    """The data's records. A blank line is one only where there is a single column."""
    single = len(layout.columns) == 1
    for row in islice(_walk(reading, layout.delimiter), layout.skip, None):
        if row.fields:
            yield row
        elif single:
            yield Row(row.line, [""], row.text)


def _walk(reading: Reading, delimiter: str) -> Iterator[Row]:
    """Every record with its physical line; blank lines have no fields."""
    csv.field_size_limit(_field_chars_max)
    with _opened(reading) as file:
        last: list[str] = []

        def lines() -> Iterator[str]:
            for line in file:
                if not last:
                    last.append(line)
                yield line

        reader = csv.reader(lines(), delimiter=delimiter, strict=True)
        line = 1
        while True:
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise bad_row(
                    reading, line, f"not CSV ({error})", last[0], "quotes inside quotes are doubled"
                ) from error
            yield Row(line, fields, last[0])
            last.clear()
            line = reader.line_num + 1


@contextmanager
def _opened(reading: Reading) -> Iterator[io.TextIOWrapper]:
    unpack = gzip.open if reading.path.endswith(".gz") else open
    try:
        with (
            unpack(reading.path, "rb") as raw,
            io.TextIOWrapper(
                raw, encoding="utf-8-sig", errors="surrogateescape", newline=""
            ) as text,
        ):
            yield text
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise broken(
            "bad_row",
            f"not a whole gzip file: {error}",
            where=reading.path,
            hint="write it under another name and rename it when it is whole",
            retryable=True,
        ) from error
