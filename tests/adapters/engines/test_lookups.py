"""Which queries are counted while they are made, and not done a second time for it."""

from collections.abc import Iterator

import duckdb
import pytest

from adapters.engines.ledger.accounts import counted
from commands.steps.tally import CountedFile, QueryCount

QUICK = [
    "select k from a where v > 1",
    "select k, sum(v) from a group by k",
    "select k, count(*) as n from a group by all having n > 1",
    "select k, count(*) from a group by k having k > 1 and sum(v) filter (where v > 1) > 2",
    "select k, count(*) from a group by all having k > 1",
    "select count(*) as n from a having n > 1",
    "select k from a group by k having max(v) > (select avg(v) from a) -- x\n order by 1",
    "select distinct k, v from a where v is distinct from 1 order by 2",
    "select distinct * from a",
    "select k from a group by all",
    "select distinct k, w from a join b using (k)",
    "select w, sum(a.v) from a join b on a.k = b.k and a.v > 1 left join c on a.v = c.v group by w",
    "select w, sum(v) from a join b using (k) group by w having sum(v) > 1",
    "select v from a semi join b using (k)",
    "select v, count(*) from a anti join b on a.k = b.k and b.w > 1 group by all",
    "select v from a where k in (select k from b)",
    "select v from a where k in (select z.k from b as z where z.w > 1) and v in (select 1)",
    "select v from a where k in (select w from b) and v in (select k from b where w in (select 1))",
    "select v from a where not exists (select 1 from b where b.k = a.k) and v > 1",
    "select v from a where (select max(w) from b where b.k = a.k and b.w > a.v) = 1 or k in (1)",
    "select distinct on (k + 1) k, v, count(*) over () as n from a order by k, v",
    "from a where v > 1 qualify row_number() over (partition by k, v % 2 order by v) <= 2",
    "select k + 1 as j from a qualify row_number() over (partition by j) < 2",
    "from a qualify row_number() over () = 1",
]
THOROUGH = [
    "select k, rank() over (order by count(*)) as r from a group by k having count(*) > 1",
    "select k, count(*) from a group by k having count(*) > 1 order by sum(count(*)) over ()",
    "select distinct k, row_number() over (order by v) as n from a",
    "select distinct count(*) from a group by k",
    "select distinct on (k) k, v from a order by k, v limit 2",
    "select distinct on (1) k, v from a order by k, v",
    "select distinct on (k) k % 2 as k, v from a order by k, v",
    "from a qualify row_number() over (partition by k order by v) = 1 and v > 1",
    "from a qualify rank() over (partition by k order by v) = 1",
    "from a qualify row_number() over w = 1 window w as (partition by k)",
    "from a qualify row_number() over (partition by k) = (select 1)",
    "select a.k from a join b using (k) qualify row_number() over (partition by a.k) = 1",
    "from a where k in (select k from b) qualify row_number() over (partition by k) = 1",
    "select k from a group by k having count(*) > 1 limit 1",
    "select w from a left join b using (k) group by all having w > 1",
    "select v from a left join b using (k) where b.w > 1",
    "select v from a, b where a.k < b.k",
    "select v from a union all select w from b",
    "select x.v from a as x join a as y using (k)",
]


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as engine:
        for name, other in {"a": "v", "b": "w", "c": "v"}.items():
            engine.execute(f"create table {name} (k integer, {other} integer)")
        yield engine


def planned(engine: duckdb.DuckDBPyConnection, sql: str) -> QueryCount:
    def columns(query: str) -> dict[str, str] | None:
        try:
            return {row[0]: row[1] for row in engine.execute(f"describe {query}").fetchall()}
        except duckdb.Error:
            return None

    files = {name: CountedFile(path="", rows=0) for name in "abc"}
    return counted(sql, files, columns, is_quick=True)


@pytest.mark.parametrize("sql", QUICK)
def test_what_is_counted_while_it_is_made(engine: duckdb.DuckDBPyConnection, sql: str) -> None:
    plan = planned(engine, sql)
    assert plan.is_quick
    if plan.made:
        engine.execute(plan.made)


@pytest.mark.parametrize("sql", THOROUGH)
def test_what_is_done_a_second_time(engine: duckdb.DuckDBPyConnection, sql: str) -> None:
    plan = planned(engine, sql)
    assert not plan.is_quick
    assert not plan.unproven


def test_a_star_that_is_not_understood_is_refused_either_way(
    engine: duckdb.DuckDBPyConnection,
) -> None:
    assert planned(engine, "select min(columns(*)) from a").unproven == "`columns(…)`"
    assert planned(engine, "select count(*columns(*)) from a").unproven
