# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""Parquet files as sources."""

import pyarrow as pa

from adapters.datasets.artifacts import rows_in
from adapters.datasets.reading import Reading, hold_columns
from adapters.datasets.scan import Look, identity_of
from commands.steps.ports import Engine, SourceRead, StepBroken, broken
from commands.steps.sql import careful_cast, literal, quoted


def read_parquet(reading: Reading, engine: Engine) -> SourceRead:
    """Read a file whole, or raise `StepBroken`. Columns that have another type are cast."""
    identity_of(reading.path)
    relation = f"read_parquet({literal(reading.path)})"
    try:
        records = rows_in(reading.path)
    except (OSError, pa.ArrowInvalid) as error:
        raise broken(
            "bad_row", f"not a Parquet file: {error}", where=reading.path, retryable=True
        ) from error
    with Look(reading.path, None) as look:
        found = engine.columns(f"from {relation}")
        hold_columns(reading, list(found), reading.path)
        try:
            shown = ", ".join(
                f"{_cast(name, found[name], type_)} as {quoted(name)}"
                for name, type_ in reading.sql_types.items()
            )
            engine.save(f"select {shown} from {relation}", reading.target)
        except StepBroken:
            look.hold()
            raise
        _hold_casts(reading, engine, found)
        scan = look.result()
    return reading.seen(scan, records)


def _cast(name: str, have: str, want: str) -> str:
    return quoted(name) if have == want else careful_cast(name, have, want)


def _hold_casts(reading: Reading, engine: Engine, found: dict[str, str]) -> None:
    for name, want in reading.sql_types.items():
        if found[name] == want:
            continue
        lost = f"{quoted(name)} is not null and {careful_cast(name, found[name], want)} is null"
        row = engine.rows(
            f"""
            select file_row_number, cast({quoted(name)} as varchar)
            from read_parquet({literal(reading.path)}, file_row_number = true)
            where {lost} order by 1 limit 1
            """
        )
        if row:
            number, value = int(str(row[0][0])) + 1, str(row[0][1])
            raise broken(
                "bad_row",
                f"column `{name}`: {value[:80]!r} is no {reading.types[name]}",
                where=f"{reading.path}: row {number}",
                hint=reading.hint(),
            )
