"""Tests of a pipeline file: rows given for some steps, and rows that others must make of them."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from domain.pipeline.names import did_you_mean
from domain.pipeline.problems import Problem
from domain.pipeline.shape import joined
from domain.pipeline.steps import Ingest, Step, Store, needs_of
from domain.run.events import ParamValue

cases_max = 500
"""Tests of one file."""

case_rows_max = 1_000
"""Rows of one step in a test: more belong into a file and a check."""

Cell = str | int | float | bool | None
Rows = tuple[dict[str, Cell], ...]


class Case(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One test: what is given, and what is expected of it."""

    name: str
    given: dict[str, Rows]
    """Step → its rows. A column that is left out is missing in each of them."""
    expect: dict[str, Rows]
    """Step → its rows, in any order; only the columns that are named are compared."""
    params: dict[str, ParamValue] = {}


def case_demands(cases: Sequence[Case], steps: Sequence[Step]) -> Iterator[Problem]:
    """Tests that can be told apart, about steps that are there."""
    by_id = {step.id: step for step in steps}
    names: dict[str, int] = {}
    for place, case in enumerate(cases):
        path = joined("tests", place)
        if not case.name.strip():
            yield Problem(path=joined(path, "name"), message="a test without a name")
        elif names.setdefault(case.name, place) != place:
            message = f"a second test has this name; the first is tests[{names[case.name]}]"
            yield Problem(path=joined(path, "name"), message=message)
        if not case.expect:
            message = "nothing is expected"
            yield Problem(path=joined(path, "expect"), message=message, hint="name a step's rows")
        for key, tables in (("given", case.given), ("expect", case.expect)):
            yield from _tables(tables, by_id, joined(path, key), is_given=key == "given")
        for step in case.given.keys() & case.expect.keys():
            at = joined(joined(path, "expect"), step)
            yield Problem(path=at, message=f"the rows of `{step}` are given, they are not made")


def _tables(
    tables: Mapping[str, Rows], steps: Mapping[str, Step], path: str, *, is_given: bool
) -> Iterator[Problem]:
    for id_, rows in tables.items():
        at, step = joined(path, id_), steps.get(id_)
        if step is None:
            hint = did_you_mean(id_, [*steps])
            yield Problem(path=at, message=f"there is no step `{id_}`", hint=hint)
        elif isinstance(step, Store) or (isinstance(step, Ingest) and not is_given):
            message = f"`{id_}` works with what lies outside, and no test runs it"
            yield Problem(path=at, message=message, hint="test the step before or behind it")
        if len(rows) > case_rows_max:
            yield Problem(path=at, message=f"{len(rows)} rows, more than {case_rows_max}")


def to_be_run(case: Case, steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps that a test runs, in the order of `steps`, which follow their inputs.

    Raises `KeyError` with the first ingest whose rows are needed and not given.
    """
    by_id = {step.id: step for step in steps}
    needed: set[str] = set()
    waiting = [*case.expect]
    while waiting:
        id_ = waiting.pop()
        if id_ in needed or id_ in case.given:
            continue
        if isinstance(by_id[id_], Ingest):
            raise KeyError(id_)
        needed.add(id_)
        waiting += needs_of(by_id[id_])
    return tuple(step for step in steps if step.id in needed)
