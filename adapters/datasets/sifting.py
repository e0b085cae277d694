# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""Sifting: the second look at a file that did not read in one pass.

A reader writes the file's records as text, each with its line, to a Parquet file between
(`Texts`); what could not even be taken apart has a rule and a reason there already. `sift` casts
what fits its types into the target, and sets the rest apart.
"""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from adapters.datasets.jumps import Jumps
from adapters.datasets.reading import Reading, bad_row
from adapters.disk import io_translated
from commands.steps.ports import Engine, StepBroken, broken
from commands.steps.quarantine import LINE, MISFIT, REASON, RULE, TEXT, Apart, set_apart
from commands.steps.sql import fitting_cast, literal, misfit, quoted, text_cast

_batch_rows = 16_384
"""Records that are held in memory at once."""

_columns_at_once = 64
"""Columns whose values are tested in one query."""

_MISFITS = "misfits"


class Texts:
    """The file between: add records in order; leaving the block closes it."""

    def __init__(self, path: str, columns: Sequence[str], jumps: Jumps | None = None) -> None:
        self._path = path
        self._jumps = jumps
        self._ahead = 0
        self._width = len(columns)
        names = [*columns, LINE, RULE, REASON, TEXT]
        types = [pa.int64() if name == LINE else pa.string() for name in names]
        self._schema = pa.schema(list(zip(names, types, strict=True)))
        self._records: list[Sequence[str | None]] = []
        self._lines: list[int] = []
        self._faults: list[tuple[str | None, str | None, str | None]] = []
        self.count = 0

    def __enter__(self) -> Self:
        with io_translated(self._path):
            self._writer = pq.ParquetWriter(self._path, self._schema, compression="lz4")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with io_translated(self._path):
            if kind is None:
                self._flush()
            self._writer.close()

    def add(self, line: int, fields: Sequence[str | None]) -> None:
        """A record that could be taken apart, its fields in the order of the columns."""
        self._put(line, fields, (None, None, None))

    def reject(self, line: int, rule: str, reason: str, text: str) -> None:
        """A record that could not."""
        raw = text.rstrip("\r\n").encode(errors="surrogateescape")
        shown = raw.decode(errors="backslashreplace")
        self._put(line, [None] * self._width, (rule, reason, shown))

    def _put(
        self,
        line: int,
        fields: Sequence[str | None],
        fault: tuple[str | None, str | None, str | None],
    ) -> None:
        if line - self.count != self._ahead:
            self._ahead = line - self.count
            if self._jumps is not None:
                self._jumps.stretch(self.count, line)
        self._records.append(fields)
        self._lines.append(line)
        self._faults.append(fault)
        self.count += 1
        if len(self._lines) == _batch_rows:
            with io_translated(self._path):
                self._flush()

    def _flush(self) -> None:
        if not self._lines:
            return
        arrays: list[pa.Array[Any]] = [
            *(pa.array(column, pa.string()) for column in zip(*self._records, strict=True)),
            pa.array(self._lines, pa.int64()),
            *(pa.array(column, pa.string()) for column in zip(*self._faults, strict=True)),
        ]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self._records, self._lines, self._faults = [], [], []


class Sieve(Struct, frozen=True, kw_only=True):
    """What is sifted: records as a relation, and how their columns become what they should be."""

    relation: str
    """What follows `from`: the record's columns, and RULE, REASON, LINE and TEXT beside them."""
    made: dict[str, str]
    """Column → its value in its type; asked for only where it fits."""
    tests: dict[str, str]
    """Column → whether its value does not fit; columns that always fit are left out."""
    there: dict[str, str]
    """Column → whether it has a value at all."""


def text_sieve(reading: Reading, relation: str, nulls: Sequence[str]) -> Sieve:
    """A sieve for records that are text in every column."""
    missing = ", ".join(literal(text) for text in nulls)
    there = {
        name: f"{quoted(name)} not in ({missing})" if nulls else f"{quoted(name)} is not null"
        for name in reading.types
    }
    made, tests = {}, {}
    for name, type_ in reading.types.items():
        format_ = reading.formats.get(name)
        made[name] = f"case when {there[name]} then {fitting_cast(name, type_, format_)} end"
        if reading.sql_types[name] != "VARCHAR":
            tests[name] = f"{there[name]} and {text_cast(name, type_, format_)} is null"
    return Sieve(relation=relation, made=made, tests=tests, there=there)


def sift(reading: Reading, engine: Engine, sieve: Sieve) -> int:
    """Write what fits into the target and set the rest apart; returns how many records that were.

    Raises `StepBroken`: `wrong_type` where no value of a column fits, `bad_row` for the first
    record that does not fit where types were not declared.
    """
    _find_misfits(reading, engine, sieve)
    found = f"{sieve.relation} left join {_MISFITS} using ({LINE})"
    rejected = (
        f"(select * replace (coalesce({RULE}, 'type') as {RULE}, "
        f"coalesce({REASON}, {MISFIT}) as {REASON}) "
        f"from {found} where {RULE} is not null or {MISFIT} is not null)"
    )
    if not reading.declared:
        _hold_all(reading, engine, rejected)
    shown = ", ".join(f"{made} as {quoted(name)}" for name, made in sieve.made.items())
    engine.save(
        f"select {shown} from {sieve.relation} "
        f"where {RULE} is null and {LINE} not in (select {LINE} from {_MISFITS})",
        reading.target,
    )
    apart = Apart(
        relation=rejected,
        columns=list(reading.types),
        rule=RULE,
        reason=REASON,
        source=literal(reading.path),
        line=LINE,
        text=TEXT,
    )
    set_apart(engine, apart, reading.rejects)
    count = engine.rows(f"select count(*) from read_parquet({literal(reading.rejects)})")
    return int(str(count[0][0]))


def _find_misfits(reading: Reading, engine: Engine, sieve: Sieve) -> None:
    """Lines and reasons of the records with a value that does not fit, in a table of their own.

    Columns are looked at some at a time: the engine takes time with the square of an expression's
    length to make a plan of it.
    """
    columns = f"part integer, {LINE} bigint, {MISFIT} varchar"
    engine.rows(f"create temp table misfits_in_parts ({columns})")
    names = list(sieve.tests)
    for start in range(0, len(names), _columns_at_once):
        tests = {name: sieve.tests[name] for name in names[start : start + _columns_at_once]}
        _hold_types(reading, engine, sieve, tests)
        engine.rows(
            f"""
            insert into misfits_in_parts select {start}, {LINE}, {MISFIT} from (
                select {LINE}, {misfit(tests, reading.said)} as {MISFIT}
                from {sieve.relation} where {RULE} is null
            ) where {MISFIT} is not null
            """
        )
    engine.rows(
        f"create temp table {_MISFITS} as select {LINE}, arg_min({MISFIT}, part) as {MISFIT} "
        f"from misfits_in_parts group by {LINE}"
    )


def _hold_types(reading: Reading, engine: Engine, sieve: Sieve, tests: Mapping[str, str]) -> None:
    """A column in which nothing fits is declared wrongly; its rows are not at fault."""
    asked = ", ".join(
        f"bool_and({test}) filter (where {sieve.there[name]} and {RULE} is null)"
        for name, test in tests.items()
    )
    found = engine.rows(f"select {asked} from {sieve.relation}")[0]
    for name, never in zip(tests, found, strict=True):
        if never:
            raise _wrong_type(reading, engine, sieve, name)


def _wrong_type(reading: Reading, engine: Engine, sieve: Sieve, name: str) -> StepBroken:
    line, value = engine.rows(
        f"select {LINE}, cast({quoted(name)} as varchar) from {sieve.relation} "
        f"where {sieve.there[name]} and {RULE} is null order by {LINE} limit 1"
    )[0]
    return broken(
        "wrong_type",
        f"column `{name}`: none of its values is {reading.said[name]}; the first is "
        f"{str(value)[:80]!r}",
        where=f"{reading.path}:{line}",
        hint=reading.hint(name),
    )


def _hold_all(reading: Reading, engine: Engine, rejected: str) -> None:
    first = f"select {LINE}, {REASON}, {TEXT} from {rejected} order by {LINE} limit 1"
    for line, reason, text in engine.rows(first):
        shown = str(text) if text is not None else ""
        raise bad_row(reading, int(str(line)), str(reason), shown, reading.hint())
