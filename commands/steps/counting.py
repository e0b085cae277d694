# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""Statements that count, with the params that they ask for, in the engine of one step."""

import re
from dataclasses import dataclass

from commands.steps.job import Job
from commands.steps.ports import Engine, StepBroken

_BEFORE_THE_QUERY = re.compile(
    r"create or replace temp (?:table|view) \"[^\"]+\" as |insert into \"[^\"]+\" |describe "
)


@dataclass(frozen=True, slots=True)
class Counting:
    """The engine of a step, for statements of ours."""

    job: Job
    engine: Engine

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        """Execute a statement and return its rows. Raises `StepBroken`."""
        query = _BEFORE_THE_QUERY.sub("", statement, count=1)
        return [*self.engine.rows(statement, self.job.values(self.engine, query))]

    def numbers(self, statement: str) -> tuple[int, ...]:
        """The first row of a query, all of numbers. Raises `StepBroken`."""
        return tuple(one or 0 for one in self.counts(statement))

    def counts(self, statement: str) -> tuple[int | None, ...]:
        """The same with what is null in it. Raises `StepBroken`."""
        row = self.rows(statement)[0]
        return tuple(one if isinstance(one, int) else None for one in row)

    def columns(self, query: str) -> dict[str, str] | None:
        """Name → type of a query's columns; None where the engine refuses it."""
        try:
            rows = self.rows(f"select column_name, column_type from (describe {query})")
        except StepBroken:
            return None
        return {str(name): str(type_) for name, type_ in rows}
