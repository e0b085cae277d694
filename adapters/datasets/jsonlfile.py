# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""Files with a JSON object per line. Other keys are left out, missing ones are null."""

import gzip
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from adapters.datasets.reading import Reading, bad_row, fractions
from adapters.datasets.scan import Look, Tally, identity_of
from commands.steps.ports import Engine, SourceRead, StepBroken, broken
from commands.steps.sql import careful_cast, listed, literal, quoted

_BLANK = (b"", b"\r")


def read_jsonl(reading: Reading, engine: Engine) -> SourceRead:
    """Read a file whole, or raise `StepBroken` with its first line that cannot be read."""
    identity_of(reading.path)
    tally = Tally(quoted=False)
    with Look(reading.path, tally) as look:
        types = reading.sql_types
        query = f"select {listed(list(types))} from {_relation(reading, types)}"
        try:
            engine.save(query, reading.target)
        except StepBroken as stopped:
            look.hold()
            if stopped.error.code != "sql_error":
                raise
            raise (_fault(reading, engine) or _located(reading, stopped)) from stopped
        scan = look.result()
        if tally.has_point:
            _hold_integers(reading, engine)
        if tally.records:
            _hold_keys(reading, engine)
    return reading.seen(scan, tally.records)


def _relation(reading: Reading, types: dict[str, str]) -> str:
    columns = ", ".join(f"{literal(name)}: {literal(type_)}" for name, type_ in types.items())
    return (
        f"read_json({literal(reading.path)}, format = 'newline_delimited', auto_detect = false, "
        f"columns = {{{columns}}}, compression = '{_packed(reading)}')"
    )


def _objects(reading: Reading) -> str:
    return (
        f"read_json_objects({literal(reading.path)}, format = 'newline_delimited', "
        f"compression = '{_packed(reading)}')"
    )


def _packed(reading: Reading) -> str:
    return "gzip" if reading.path.endswith(".gz") else "none"


def _hold_integers(reading: Reading, engine: Engine) -> None:
    if not reading.integers:
        return
    types = {**reading.sql_types, **dict.fromkeys(reading.integers, "DOUBLE")}
    wrong = fractions(reading.integers)
    lost = engine.rows(f"select 1 from {_relation(reading, types)} where {wrong} limit 1")
    if lost and (fault := _type_fault(reading, engine)):
        raise fault


def _hold_keys(reading: Reading, engine: Engine) -> None:
    """A column that no line knows is missing; one that is null everywhere is not."""
    names = list(reading.types)
    filled = engine.rows(
        f"select {', '.join(f'count({quoted(name)})' for name in names)} "
        f"from read_parquet({literal(reading.target)})"
    )[0]
    empty = [name for name, count in zip(names, filled, strict=True) if count == 0]
    if not empty:
        return
    known = engine.rows(
        f"select {', '.join(f'bool_or(json_exists(json, {_pointer(name)}))' for name in empty)} "
        f"from {_objects(reading)}"
    )[0]
    missing = [name for name, there in zip(empty, known, strict=True) if not there]
    if missing:
        raise broken(
            "missing_column",
            f"column {', '.join(missing)} is in no line",
            where=reading.path,
            hint="capital letters count in the keys of JSON",
        )


def _fault(reading: Reading, engine: Engine) -> StepBroken | None:
    return _shape_fault(reading) or _type_fault(reading, engine)


def _shape_fault(reading: Reading) -> StepBroken | None:
    """The first line that is no JSON object."""
    for line, text in _lines(reading):
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            shown = text.decode(errors="replace")
            hint = "one object per line, nothing else"
            return bad_row(reading, line, f"not JSON ({error})", shown, hint)
        if not isinstance(value, dict):
            shown = text.decode(errors="replace")
            return bad_row(reading, line, "not a JSON object", shown, "one object per line")
    return None


def _type_fault(reading: Reading, engine: Engine) -> StepBroken | None:
    """The first value that does not fit its column."""
    fields = ", ".join(f"json ->> {_pointer(name)} as {quoted(name)}" for name in reading.types)
    wrong = {
        name: f"({quoted(name)} is not null and {careful_cast(name, 'VARCHAR', type_)} is null)"
        for name, type_ in reading.sql_types.items()
        if type_ != "VARCHAR"
    }
    if not wrong:
        return None
    which = " ".join(f"when {test} then {literal(name)}" for name, test in wrong.items())
    found = engine.rows(
        f"""
        select n, name from (
            select n, case {which} end as name from (
                select row_number() over () as n, {fields} from {_objects(reading)}
            )
        ) where name is not null order by n limit 1
        """
    )
    if not found:
        return None
    number, name = int(str(found[0][0])), str(found[0][1])
    for count, (line, text) in enumerate(_lines(reading), start=1):
        if count == number:
            what = f"column `{name}` is no {reading.types[name]}"
            return bad_row(reading, line, what, text.decode(errors="replace"), reading.hint())
    return None


def _pointer(name: str) -> str:
    """A path that names one key, whatever it holds."""
    return literal("/" + name.replace("~", "~0").replace("/", "~1"))


def _located(reading: Reading, stopped: StepBroken) -> StepBroken:
    return broken("bad_row", stopped.error.message, where=reading.path, hint=reading.hint())


def _lines(reading: Reading) -> Iterator[tuple[int, bytes]]:
    """Every line that is not blank, with its number."""
    try:
        with _opened(reading.path) as file:
            for number, text in enumerate(file, start=1):
                if text.rstrip(b"\n") not in _BLANK:
                    yield number, text
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise broken(
            "bad_row", f"not a whole gzip file: {error}", where=reading.path, retryable=True
        ) from error


def _opened(path: str) -> BinaryIO | gzip.GzipFile:
    return gzip.open(path, "rb") if path.endswith(".gz") else open(path, "rb")
