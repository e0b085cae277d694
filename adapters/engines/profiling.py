# ruff: noqa: S608  # names go through `commands.steps.sql`
"""Profiles of the columns of one Parquet file."""

from pathlib import Path

from adapters.engines.duckdb import DuckEngines
from commands.steps.sql import quoted
from domain.data.profile import Profile

_columns_in_a_scan = 50
"""Different values are counted in memory: more columns take another scan."""

_TABLE = "data"


def profiles_of(path: Path, engines: DuckEngines) -> list[Profile]:
    """A profile of each column. Raises `StepBroken`."""
    with engines.open({_TABLE: str(path)}) as engine:
        columns = engine.columns(f"from {_TABLE}")
        names, found = list(columns), []
        for start in range(0, len(names), _columns_in_a_scan):
            some = names[start : start + _columns_in_a_scan]
            counted = [f"count({quoted(name)}), count(distinct {quoted(name)})" for name in some]
            row = [
                int(str(value))
                for value in engine.rows(f"select count(*), {', '.join(counted)} from {_TABLE}")[0]
            ]
            found += [
                Profile(
                    name=name,
                    type=columns[name],
                    rows=row[0],
                    nulls=row[0] - row[1 + 2 * place],
                    distinct=row[2 + 2 * place],
                )
                for place, name in enumerate(some)
            ]
    return found
