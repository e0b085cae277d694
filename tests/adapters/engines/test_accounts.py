# ruff: noqa: S608  # queries made here
"""Accounts of queries made by chance, against the same queries worked out row by row."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.engines.ledger.accounts import counted
from commands.steps.sql import listed, quoted
from commands.steps.tally import LOST_ROWS, MADE, CountedFile, InputCount, QueryCount
from tests.adapters.engines.asked import (
    COLUMNS,
    Among,
    Asked,
    Condition,
    Either,
    Not,
    Tables,
)
from tests.adapters.engines.queries import GROUPED, Select, Union, account
from tests.adapters.engines.sources import Join, Nested, Plain, Query, Source

KINDS = ("inner", "left", "right", "full", "semi", "anti", "cross")
PICKS = ("newest", "on", "limit")
AFTER = ("", "", "distinct", "keys", "window", *GROUPED, *PICKS)


@st.composite
def tables(draw: st.DrawFn) -> Tables:
    small = st.one_of(st.none(), st.integers(0, 3))
    return {
        name: [(place, draw(small), draw(small)) for place in range(draw(st.integers(0, 5)))]
        for name in COLUMNS
    }


def conditions(columns: tuple[str, ...], most: int) -> st.SearchStrategy[list[Asked]]:
    column = st.sampled_from(columns)
    one: st.SearchStrategy[Asked] = st.one_of(
        st.builds(Condition, column, st.just(">"), st.integers(-1, 2)),
        st.builds(Condition, column, st.just("null")),
        st.builds(Condition, column, st.sampled_from(("=", "same", ">")), column),
        st.builds(Among, column, st.sampled_from("abc"), st.integers(0, 2), st.booleans()),
    )
    some = st.one_of(one, one, st.builds(Either, one, one), st.builds(Not, one))
    return st.lists(some, max_size=most)


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
        return Nested(alias, a_query(draw, numbers, depth - 1))
    return Plain(alias, draw(st.sampled_from(sorted(COLUMNS))), numbers.next())


def a_join(draw: st.DrawFn, source: Source, columns: tuple[str, ...], merged: list[str]) -> Join:
    kind = draw(st.sampled_from(KINDS))
    if kind == "cross":
        return Join(source, kind, ())
    names = [one.partition(".")[2] for one in columns]
    both: list[tuple[str, str]] = [
        (one, other)
        for one in columns
        for other in source.columns
        if (name := one.partition(".")[2]) == other.partition(".")[2]
        and names.count(name) == 1
        and name not in merged
    ]
    is_using = draw(st.booleans())
    if both and is_using:
        left, right = both[draw(st.integers(0, len(both) - 1))]
        return Join(source, kind, (Condition(left, "=", right),), left.partition(".")[2])
    key = Condition(draw(st.sampled_from(columns)), "=", draw(st.sampled_from(source.columns)))
    more = draw(conditions((*columns, *source.columns), 1))
    if kind in ("right", "full") and any(one.reads for one in more):
        more = []
    on = more if more and draw(st.integers(0, 4)) == 0 else [key, *more]
    return Join(source, kind, tuple(on))


def a_select(draw: st.DrawFn, numbers: Numbers, depth: int, first: Source | None = None) -> Select:
    first = first or a_source(draw, numbers, depth)
    columns = first.columns
    joins: list[Join] = []
    for _ in range(draw(st.integers(0, 2))):
        merged = [one.using for one in joins if one.using]
        join = a_join(draw, a_source(draw, numbers, depth), columns, merged)
        joins.append(join)
        if join.kind not in ("semi", "anti"):
            columns = (*columns, *join.source.columns)
    merged = [one.using for one in joins if one.using and one.kind not in ("semi", "anti")]
    columns = (*columns, *merged)
    shown = draw(st.lists(st.sampled_from(columns), min_size=1, max_size=3, unique=True))
    after = draw(st.sampled_from(AFTER))
    made = Select(first, tuple(joins), tuple(draw(conditions(columns, 2))), tuple(shown), after)
    if after in PICKS and not all(isinstance(one, Plain) for one in made.sources):
        made = replace(made, after="group")  # ties would be broken by chance
    return made


def lookups_of(draw: st.DrawFn, columns: tuple[str, ...]) -> list[Asked]:
    """Sometimes a condition that looks at another table."""
    if draw(st.integers(0, 3)):
        return []
    column = st.sampled_from(columns)
    place, is_exists = st.integers(0, 2), st.booleans()
    one = draw(st.builds(Among, column, st.sampled_from("abc"), place, is_exists))
    return [Not(one) if draw(st.booleans()) else one]


def a_query(draw: st.DrawFn, numbers: Numbers, depth: int) -> Query:
    first = a_select(draw, numbers, depth)
    if draw(st.integers(0, 4)):
        return first
    second = a_select(draw, numbers, depth)
    width = min(len(first.shown), len(second.shown))
    plain = [
        replace(one, shown=one.shown[:width], after=one.after if one.after in PICKS else "")
        for one in (first, second)
    ]
    return Union(plain[0], plain[1], draw(st.booleans()))


@st.composite
def queries(draw: st.DrawFn) -> Query:
    numbers = Numbers()
    if draw(st.integers(0, 3)):
        return a_query(draw, numbers, 1)
    shared = a_query(draw, numbers, 1)
    left = Nested(f"s{numbers.next()}", shared, "shared")
    right = Nested(f"s{numbers.next()}", shared.renumbered(100), "shared")
    made = a_select(draw, numbers, 1, left)
    columns = tuple(one for source in made.sources for one in source.columns)
    key = Condition(draw(st.sampled_from(columns)), "=", draw(st.sampled_from(right.columns)))
    join = Join(right, draw(st.sampled_from(KINDS[:4])), (key,))
    after = "group" if made.after in PICKS else made.after
    return replace(made, joins=(*made.joins, join), after=after)


@st.composite
def lookups(draw: st.DrawFn) -> Query:
    """A table that is looked up in others, as most queries are."""
    numbers = Numbers()
    order = draw(st.permutations(sorted(COLUMNS)))
    sources = [Plain(f"s{numbers.next()}", table, numbers.next()) for table in order]
    first, *others = sources[: draw(st.sampled_from((1, 1, 2, 3)))]
    columns = first.columns
    joins: list[Join] = []
    for source in others:
        key = draw(st.sampled_from(("i", "i", "i", *COLUMNS[source.table])))
        on: list[Asked] = [
            Condition(draw(st.sampled_from(first.columns)), "=", f"{source.alias}.{key}"),
            *draw(conditions(source.columns, 1)),
        ]
        is_using = draw(st.booleans()) and not joins
        using = key if is_using and key in COLUMNS[first.table] else ""
        if using:
            on = [Condition(f"{first.alias}.{key}", "=", f"{source.alias}.{key}")]
        kind = draw(st.sampled_from(("inner", "left", "inner", "left", "semi", "anti")))
        if kind in ("inner", "semi"):
            on += [] if using else draw(conditions(first.columns, 1))
        joins.append(Join(source, kind, tuple(on), using))
        if kind not in ("semi", "anti"):
            columns = (*columns, *source.columns, *([using] if using else []))
    joined = [join.source for join in joins if join.kind not in ("semi", "anti")]
    where = [
        *draw(conditions(first.columns, 1)),
        *(one for source in joined for one in draw(conditions(source.columns, 1))),
        *draw(conditions(columns, 1)),
        *lookups_of(draw, first.columns),
    ]
    shown = draw(st.lists(st.sampled_from(columns), min_size=1, max_size=3, unique=True))
    after = draw(st.sampled_from(("", "group", "window", "distinct", "keys", *GROUPED)))
    if not others and not draw(st.integers(0, 3)):
        after = draw(st.sampled_from(("newest", "on")))
    asked = tuple(draw(st.permutations(where))[: draw(st.integers(0, 2))])
    return Select(first, tuple(joins), asked, tuple(shown), after)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    folder = tmp_path_factory.mktemp("tables")
    with duckdb.connect(config={"threads": 1}) as engine:
        engine.execute("set parquet_metadata_cache = false")
        engine.execute(f"set variable folder = '{folder}'")
        yield engine


def write(tables: Tables, engine: duckdb.DuckDBPyConnection) -> dict[str, str]:
    (folder,) = engine.execute("select getvariable('folder')").fetchall()[0]
    paths = {}
    for name, rows in tables.items():
        paths[name] = path = f"{folder}/{name}.parquet"
        values = ", ".join(
            str(tuple("null" if one is None else one for one in row)).replace("'", "")
            for row in rows or [(0, 0, 0)]
        )
        typed = ", ".join(f"{column}::integer as {column}" for column in COLUMNS[name])
        shown = f"select {typed} from (values {values}) as v({', '.join(COLUMNS[name])})"
        engine.execute(f"copy ({shown} limit {len(rows)}) to '{path}' (format parquet)")
        engine.execute(f"create or replace temp view {name} as from read_parquet('{path}')")
    return paths


Count = tuple[int, int, int, int | None]
Counts = dict[str, Count]


def of_engine(
    engine: duckdb.DuckDBPyConnection, sql: str, paths: Mapping[str, str], tables: Tables
) -> Counts | str:
    """What the statements count, by input; the reason where there are none. Those that do not do
    the query again must count the same, where there are such."""

    def columns(query: str) -> dict[str, str] | None:
        try:
            rows = engine.execute(f"describe {query}").fetchall()
        except duckdb.Error:
            return None
        return {name: type_ for name, type_, *_ in rows}

    files = {name: CountedFile(path=path, rows=len(tables[name])) for name, path in paths.items()}
    plan = counted(sql, files, columns, [*files])
    if plan.unproven:
        return plan.unproven
    for statement in plan.prepare:
        engine.execute(statement)
    if plan.results:
        assert one(engine, plan.results) == one(engine, f"select count(*) from ({sql})")
    thorough = told_of_all(engine, plan.inputs)
    few = {name: CountedFile(path=path, rows=0) for name, path in paths.items()}
    for promised, sizes in (([*files], files), ([], few)):  # keys are gathered where they are few
        quick = counted(sql, sizes, columns, promised, is_quick=True)
        if quick.made:
            made_as_wanted(engine, sql, quick)
        else:
            engine.execute(f"create or replace temp table {MADE} as {sql}")
        if quick.is_quick and (not quick.unique or one(engine, quick.unique) == 0):
            for name, found in told_of_all(engine, quick.inputs).items():
                assert found[:3] == thorough[name][:3], (name, sql, tables)
                assert found[3] == thorough[name][3] or (found[3] is None and not promised)
    return thorough


def made_as_wanted(engine: duckdb.DuckDBPyConnection, sql: str, plan: QueryCount) -> None:
    """The table that the hidden columns stand in holds the query's own rows."""
    engine.execute(f"create or replace temp table {MADE} as {plan.made}")
    where = f" where {quoted(plan.kept)}" if plan.kept else ""
    shown = f"select * exclude ({listed(plan.hidden)}) from {MADE}{where}"
    own, made = engine.execute(sql).fetchall(), engine.execute(shown).fetchall()
    assert own == made if "order by" in sql else sorted(own, key=str) == sorted(made, key=str)


def told_of_all(engine: duckdb.DuckDBPyConnection, counts: Sequence[InputCount]) -> Counts:
    return {count.name: told(engine, count) for count in counts if not count.is_looked_at}


def told(engine: duckdb.DuckDBPyConnection, count: InputCount) -> Count:
    for statement in count.prepare:
        engine.execute(statement)
    times, reached = engine.execute(count.reached).fetchall()[0]
    filtered = one(engine, count.filtered) if count.filtered else 0
    lost = one(engine, f"select count(*) from ({count.lost})") if count.lost else 0
    for statement in count.lost_prepare:
        engine.execute(statement)
    if count.lost_keys:
        by_key = f"select coalesce(sum({LOST_ROWS}), 0) from ({count.lost_keys})"
        assert one(engine, by_key) == lost
    for statement in count.prepare_by_keys:
        engine.execute(statement)
    assert engine.execute(count.reached).fetchall() == [(times, reached)]
    return reached, filtered, lost, None if times is None else times - reached


def one(engine: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(engine.execute(query).fetchall()[0][0])


def sql_of(query: Query) -> str:
    withs = ", ".join(f"{name} as ({text})" for name, text in query.withs().items())
    return f"with {withs} {query.text()}" if withs else query.text()


@settings(
    max_examples=24, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.one_of(queries(), lookups()), tables())
def test_counts_are_those_of_brute_force(
    engine: duckdb.DuckDBPyConnection, query: Query, tables: Tables
) -> None:
    sql = sql_of(query)
    paths = write(tables, engine)
    found = of_engine(engine, sql, paths, tables)
    values = engine.execute(sql).fetchall()
    made = [tuple(row.values.values()) for row in query.rows(tables)]
    assert sorted(made, key=str) == sorted(values, key=str), (sql, tables)
    if isinstance(found, str):
        return
    assert set(found) == set(query.occurrences.values()), sql
    for name, found_ones in found.items():
        assert found_ones == account(query, name, tables), (name, sql, tables)
        assert sum(found_ones[:3]) == len(tables[name]), (name, sql)
