# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""Parquet files as sources. The number of a row stands where other files have a line."""

import pyarrow as pa

from adapters.datasets.artifacts import rows_in
from adapters.datasets.reading import Reading, hold_columns
from adapters.datasets.scan import Look, identity_of
from adapters.datasets.sifting import Sieve, sift
from commands.steps.ports import Engine, SourceRead, StepBroken, broken
from commands.steps.quarantine import LINE, REASON, RULE, TEXT
from commands.steps.sql import careful_cast, literal, quoted, text_cast


def read_parquet(reading: Reading, engine: Engine) -> SourceRead:
    """Read a file whole. Columns that have another type are cast; rows in which that cannot be
    done are set apart."""
    identity_of(reading.path)
    try:
        records = rows_in(reading.path)
    except (OSError, pa.ArrowInvalid) as error:
        raise _no_parquet(reading, str(error)) from error
    with Look(reading.path, None) as look:
        try:
            found = engine.columns(f"from read_parquet({literal(reading.path)})")
            hold_columns(reading, list(found), reading.path)
            rejected = _read(reading, engine, found)
        except StepBroken as stopped:
            look.hold()
            if stopped.error.code != "sql_error":
                raise
            raise _no_parquet(reading, stopped.error.message) from stopped
        scan = look.result()
    return reading.seen(scan, None, records, rejected)


def _no_parquet(reading: Reading, reason: str) -> StepBroken:
    return broken(
        "bad_row",
        f"not a whole Parquet file: {reason}",
        where=reading.path,
        hint="write it under another name and rename it when it is whole",
        retryable=True,
    )


def _read(reading: Reading, engine: Engine, found: dict[str, str]) -> int:
    sieve = _sieve(reading, found)
    shown = ", ".join(f"{made} as {quoted(name)}" for name, made in sieve.made.items())
    rows = f"read_parquet({literal(reading.path)})"
    engine.save(f"select {shown} from {rows}", reading.target, large=reading.is_large)
    if not sieve.tests:
        return 0
    is_wrong = " or ".join(f"({test})" for test in sieve.tests.values())
    if not engine.rows(f"select 1 from {sieve.relation} where {is_wrong} limit 1"):
        return 0
    return sift(reading, engine, sieve)


def _sieve(reading: Reading, found: dict[str, str]) -> Sieve:
    path = literal(reading.path)
    made = {
        name: _cast(reading, name, found[name], want) for name, want in reading.sql_types.items()
    }
    there = {name: f"{quoted(name)} is not null" for name in made}
    return Sieve(
        relation=f"(select *, file_row_number + 1 as {LINE}, null::varchar as {RULE}, "
        f"null::varchar as {REASON}, null::varchar as {TEXT} "
        f"from read_parquet({path}, file_row_number = true))",
        made=made,
        tests={
            name: f"{there[name]} and {made[name]} is null"
            for name, want in reading.sql_types.items()
            if found[name] != want
        },
        there=there,
    )


def _cast(reading: Reading, name: str, have: str, want: str) -> str:
    if have == want:
        return quoted(name)
    if have == "VARCHAR":
        return text_cast(name, reading.types[name], reading.formats.get(name))
    cast = careful_cast(name, have, want)
    if want == "DATE":
        return f"case when {cast} = {quoted(name)} then {cast} end"
    return cast
