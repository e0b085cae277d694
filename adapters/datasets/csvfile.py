# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""CSV files. The engine reads in one pass; where that fails, a slower walk sifts the records.

The engine's own line numbers miss line breaks inside quotes, it takes a row with one empty field
too many, it makes 2 of `1.5` where an integer is wanted, and it cuts what stands behind a date. So
lines come from the walk, dates are cast strictly, and the other two are looked for by counts that
cost nothing while the file is in order.
"""

from collections.abc import Iterator
from itertools import islice

from msgspec import Struct

from adapters.datasets.artifacts import rows_in
from adapters.datasets.csvrecords import Record, walk
from adapters.datasets.jumps import Jumps
from adapters.datasets.packed import hold_packed
from adapters.datasets.reading import Reading, bad_row, fractions, hold_columns
from adapters.datasets.scan import Look, Tally, identity_of
from adapters.datasets.sifting import Texts, sift, text_sieve
from commands.steps.ports import Engine, SourceRead, StepBroken, broken
from commands.steps.sql import literal
from domain.pipeline.sources import CsvSource


class Layout(Struct, frozen=True, kw_only=True):
    """What has to be known of a file before it is read."""

    columns: tuple[str, ...]
    """In the order in which they stand in the file."""
    skip: int
    """Records before the data: the header, and blank lines before it."""
    source: CsvSource

    @property
    def is_single(self) -> bool:
        """Whether a blank line is a record: it is how a single missing value is written."""
        return len(self.columns) == 1

    @property
    def head(self) -> int:
        """Those of the records before the data that are counted as such."""
        return self.skip if self.is_single else min(self.skip, 1)


def read_csv(reading: Reading, source: CsvSource, engine: Engine) -> SourceRead:
    """Read a CSV file whole. What does not fit what was declared of it is set apart."""
    identity_of(reading.path)
    hold_packed(reading.path)
    layout = _layout(reading, source)
    delimiter = source.delimiter.encode(source.encoding)
    with Jumps(reading.jumps) as jumps:
        jumps.begin(layout.head)
        tally = Tally(delimiter=delimiter, blank_counts=layout.is_single, jumps=jumps)
        with Look(reading.path, tally) as look:
            in_order = _saved_at_once(reading, layout, engine, look)
            scan = look.result()
            if in_order and not _is_suspect(reading, layout, engine, tally):
                return reading.seen(scan, jumps, _counted(reading, layout, tally, jumps))
            records = _write_texts(reading, layout, jumps)
            relation = f"read_parquet({literal(reading.texts)})"
            rejected = sift(reading, engine, text_sieve(reading, relation, source.null_texts))
            look.hold()
        return reading.seen(scan, jumps, records, rejected)


def _layout(reading: Reading, source: CsvSource) -> Layout:
    if not source.header:
        return Layout(columns=tuple(reading.types), skip=0, source=source)
    for before, row in enumerate(walk(reading, source), start=1):
        if row.fault:
            raise bad_row(reading, row.line, row.fault, row.text, "mend the header")
        if row.fields:
            hold_columns(reading, row.fields, f"{reading.path}:{row.line}")
            return Layout(columns=tuple(row.fields), skip=before, source=source)
    raise broken(
        "empty_source",
        "the file is empty: not even a header",
        where=reading.path,
        hint="set `header: false` if it can have no header",
    )


def _saved_at_once(reading: Reading, layout: Layout, engine: Engine, look: Look) -> bool:
    """Whether the engine could read all of the file in one pass."""
    rows = _relation(reading, layout, reading.read_as)
    try:
        engine.save(
            f"select {reading.required} from {rows}", reading.target, large=reading.is_large
        )
    except StepBroken as stopped:
        look.hold()
        if stopped.error.code != "sql_error":
            raise
        return False
    return True


def _relation(reading: Reading, layout: Layout, types: dict[str, str]) -> str:
    columns = ", ".join(
        f"{literal(name)}: {literal(types.get(name, 'VARCHAR'))}" for name in layout.columns
    )
    source = layout.source
    nulls = ", ".join(literal(text) for text in source.null_texts)
    packed = "gzip" if reading.path.endswith(".gz") else "none"
    return (
        f"read_csv({literal(reading.path)}, columns = {{{columns}}}, auto_detect = false, "
        f"header = false, skip = {layout.skip}, delim = {literal(source.delimiter)}, "
        f"quote = '\"', escape = '\"', nullstr = [{nulls}], compression = '{packed}', "
        f"encoding = {literal(source.encoding)})"
    )


def _is_suspect(reading: Reading, layout: Layout, engine: Engine, tally: Tally) -> bool:
    """Whether something may be wrong that the engine passes over."""
    if tally.delimiters != (len(layout.columns) - 1) * tally.plain:
        return True
    if not tally.has_point or not reading.integers:
        return False
    types = {**reading.sql_types, **dict.fromkeys(reading.integers, "DOUBLE")}
    relation = _relation(reading, layout, types)
    lost = engine.rows(f"select 1 from {relation} where {fractions(reading.integers)} limit 1")
    return bool(lost)


def _counted(reading: Reading, layout: Layout, tally: Tally, jumps: Jumps) -> int:
    """Records of the data; counted one by one where the quick count and the engine differ."""
    saved = rows_in(reading.target)
    records = tally.records - layout.head
    if saved == records:
        return records
    records = 0
    jumps.begin()
    for row in _records(reading, layout):
        jumps.stretch(records, row.line)
        records += 1
    return records


def _write_texts(reading: Reading, layout: Layout, jumps: Jumps) -> int:
    """Write all records as text, and say how many there are."""
    want = len(layout.columns)
    jumps.begin()
    with Texts(reading.texts, layout.columns, jumps) as texts:
        for row in _records(reading, layout):
            if row.fault:
                texts.reject(row.line, "csv", row.fault, row.text)
            elif len(row.fields) != want:
                told = f"{len(row.fields)} fields instead of {want}"
                texts.reject(row.line, "fields", told, row.text)
            elif not row.is_text:
                texts.reject(row.line, "encoding", "not UTF-8", row.text)
            else:
                texts.add(row.line, row.fields)
    return texts.count


def _records(reading: Reading, layout: Layout) -> Iterator[Record]:
    """The data's records. A blank line is one only where there is a single column."""
    for row in islice(walk(reading, layout.source), layout.skip, None):
        if row.fields or row.fault:
            yield row
        elif layout.is_single:
            yield Record(row.line, [""], row.text)
