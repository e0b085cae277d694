# ruff: noqa: S608  # queries made here
"""Accounts of queries made by chance, against the same queries worked out row by row."""

from collections.abc import Mapping
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.engines.accounts import counted
from commands.steps.tally import CountedFile, InputCount
from tests.adapters.engines.queries import (
    COLUMNS,
    Condition,
    Join,
    Nested,
    Plain,
    Select,
    Source,
    Tables,
    account,
)

KINDS = ("inner", "left", "right", "full", "semi", "anti")
AFTER = ("", "", "group", "having", "distinct", "window", "newest", "limit")


@st.composite
def tables(draw: st.DrawFn) -> Tables:
    small = st.one_of(st.none(), st.integers(0, 3))
    return {
        name: [(place, draw(small), draw(small)) for place in range(draw(st.integers(0, 5)))]
        for name in COLUMNS
    }


def conditions(draw: st.DrawFn, columns: tuple[str, ...], most: int) -> tuple[Condition, ...]:
    column = st.sampled_from(columns)
    one = st.one_of(
        st.builds(Condition, column, st.just(">"), st.integers(-1, 2)),
        st.builds(Condition, column, st.just("null")),
        st.builds(Condition, column, st.just("="), column),
    )
    return tuple(draw(st.lists(one, max_size=most)))


class Numbers:
    """Numbers of the occurrences of tables in one query."""

    def __init__(self) -> None:
        self.last = 0

    def next(self) -> int:
        self.last += 1
        return self.last


def a_source(draw: st.DrawFn, numbers: Numbers, depth: int) -> Source:
    alias = f"s{numbers.next()}"
    if depth and draw(st.integers(0, 2)) == 0:
        return Nested(alias, a_select(draw, numbers, depth - 1))
    return Plain(alias, draw(st.sampled_from(sorted(COLUMNS))), numbers.next())


def a_select(draw: st.DrawFn, numbers: Numbers, depth: int) -> Select:
    first = a_source(draw, numbers, depth)
    columns = first.columns
    joins = []
    for _ in range(draw(st.integers(0, 2))):
        source = a_source(draw, numbers, depth)
        kind = draw(st.sampled_from(KINDS))
        key = Condition(draw(st.sampled_from(columns)), "=", draw(st.sampled_from(source.columns)))
        more = conditions(draw, (*columns, *source.columns), 1)
        joins.append(Join(source, kind, (key, *more)))
        if kind not in ("semi", "anti"):
            columns = (*columns, *source.columns)
    shown = draw(st.lists(st.sampled_from(columns), min_size=1, max_size=3, unique=True))
    after = draw(st.sampled_from(AFTER))
    if after in ("newest", "limit") and (joins or isinstance(first, Nested)):
        after = "group"  # ties would be broken by chance
    where = conditions(draw, columns, 2)
    return Select(first, tuple(joins), where, tuple(shown), after)


@st.composite
def queries(draw: st.DrawFn) -> list[Select]:
    numbers = Numbers()
    first = a_select(draw, numbers, 2)
    if draw(st.integers(0, 4)):
        return [first]
    second = a_select(draw, numbers, 1)
    width = min(len(first.names), len(second.names))
    plain = [
        Select(one.first, one.joins, one.where, one.shown[:width], "") for one in (first, second)
    ]
    short = min(len(one.shown) for one in plain)
    return [Select(one.first, one.joins, one.where, one.shown[:short], "") for one in plain]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


def write(folder: Path, tables: Tables, engine: duckdb.DuckDBPyConnection) -> dict[str, str]:
    paths = {}
    for name, rows in tables.items():
        path = str(folder / f"{name}.parquet")
        columns = ", ".join(f"{column} integer" for column in COLUMNS[name])
        engine.execute(f"create or replace temp table made ({columns})")
        if rows:
            engine.executemany("insert into made values (?, ?, ?)", rows)
        engine.execute(f"copy made to '{path}' (format parquet)")
        engine.execute(f"create or replace temp view {name} as from read_parquet('{path}')")
        paths[name] = path
    return paths


def of_engine(
    engine: duckdb.DuckDBPyConnection, sql: str, paths: Mapping[str, str], tables: Tables
) -> dict[str, tuple[int, int, int, int]] | str:
    """What the statements count, by input; the reason where there are none."""

    def columns(query: str) -> dict[str, str] | None:
        try:
            rows = engine.execute(f"describe {query}").fetchall()
        except duckdb.Error:
            return None
        return {name: type_ for name, type_, *_ in rows}

    files = {name: CountedFile(path=path, rows=len(tables[name])) for name, path in paths.items()}
    plan = counted(sql, files, columns)
    if plan.unproven:
        return plan.unproven
    for statement in plan.prepare:
        engine.execute(statement.replace("create temp", "create or replace temp"))
    if plan.results:
        assert one(engine, plan.results) == one(engine, f"select count(*) from ({sql})")
    return {count.name: told(engine, count) for count in plan.inputs if not count.is_looked_at}


def told(engine: duckdb.DuckDBPyConnection, count: InputCount) -> tuple[int, int, int, int]:
    times, reached = engine.execute(count.reached).fetchall()[0]
    filtered = one(engine, count.filtered) if count.filtered else 0
    lost = one(engine, f"select count(*) from ({count.lost})") if count.lost else 0
    return reached, filtered, lost, times - reached


def one(engine: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(engine.execute(query).fetchall()[0][0])


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(queries(), tables())
def test_counts_are_those_of_brute_force(
    folder: Path, branches: list[Select], tables: Tables
) -> None:
    sql = " union all ".join(one.text() for one in branches)
    with duckdb.connect() as engine:
        paths = write(folder, tables, engine)
        found = of_engine(engine, sql, paths, tables)
    if isinstance(found, str):
        return
    read = {table for branch in branches for table in branch.occurrences.values()}
    assert set(found) == read, sql

    def rows() -> list[object]:
        return [made for branch in branches for made in branch.rows(tables)]

    for name, counts in found.items():
        assert counts == account(branches, name, tables, rows), (name, sql, tables)  # type: ignore[arg-type]
        assert sum(counts[:3]) == len(tables[name]), (name, sql)
