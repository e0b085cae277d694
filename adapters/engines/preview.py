"""Rows of one Parquet file for somebody to look at, with the rest of the machine out of reach."""

import tempfile
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from msgspec import Struct

from adapters.engines.duckdb import DuckEngines
from commands.steps.ports import StepBroken
from domain.errors import Malformed, Unavailable

TABLE = "data"
"""What the file is called in a query."""

threads = 2
"""A look is no job."""


class Preview(Struct, frozen=True, kw_only=True):
    """Some rows, as JSON has them."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]
    more: bool
    """Whether the limit has cut something off."""


def read_preview(path: Path, query: str, limit: int) -> Preview:
    """At most `limit` rows of `query`, or of the whole file for no query.

    Raises `Malformed` for a query that fails, `Unavailable` where the file cannot be read.
    """
    asked = query.strip().rstrip(";") or f"from {TABLE}"
    with tempfile.TemporaryDirectory(prefix="headwater-") as spill:
        engines = DuckEngines(spill, threads)
        try:
            with engines.open({TABLE: str(path)}) as engine:
                if engine.params(asked):
                    raise Malformed("a query here has no params", hint="write the value itself")
                whole = f"from (\n{asked}\n)"
                columns = engine.columns(whole)
                rows = engine.rows(f"{whole} limit {limit + 1}")
        except StepBroken as broken:
            error = broken.error
            if error.retryable:
                raise Unavailable(error.message, hint=error.hint) from broken
            message = f"{error.message} ({error.where})" if error.where else error.message
            confined = message.startswith("Permission Error")
            hint = f"a query sees the table {TABLE}, and no files" if confined else error.hint
            raise Malformed(f"the query fails: {message}", hint=hint) from broken
        finally:
            engines.close()
    return Preview(
        columns=tuple(columns),
        types=tuple(columns.values()),
        rows=[tuple(map(_plain, row)) for row in rows[:limit]],
        more=len(rows) > limit,
    )


def _plain(value: object) -> object:
    """A value as JSON has it; what JSON has not becomes text."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case list() | tuple():
            return [_plain(one) for one in value]
        case dict():
            return {str(name): _plain(one) for name, one in value.items()}
        case bytes():
            return value.hex()
        case _:
            return str(value)
