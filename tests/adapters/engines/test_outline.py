"""What a query says without its layout, and what in it is another answer each time."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from adapters.engines.duckdb import DuckEngines
from adapters.engines.sql import outline


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[DuckEngines]:
    made = DuckEngines(str(tmp_path), 1)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("select a, b from t", "SELECT a,b\n  FROM t -- of all\n;"),
        ("select a from t where a > $x", "/* only\nlarge ones */ select a from t where (a > $x)"),
        ("a > 1", "a\n>  1 -- more than one"),
    ],
)
def test_layout_and_comments_say_nothing(engines: DuckEngines, one: str, other: str) -> None:
    assert engines.outline(one).text == engines.outline(other).text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("select a from t", "select A from t"),
        ("select 1", "select 1.0"),
        ("select '-- x'", "select '-- y'"),
        ("select a from t order by a", "select a from t order by a desc"),
        ("select a from t where a > $x", "select a from t where a > $y"),
        ("pivot t on a using sum(b)", "pivot t on a using sum(c)"),
        ("from t using sample 10% (bernoulli, 1)", "from t using sample 10% (bernoulli, 2)"),
    ],
)
def test_what_is_another_query_is_another_text(engines: DuckEngines, one: str, other: str) -> None:
    assert engines.outline(one).text != engines.outline(other).text


@pytest.mark.parametrize(
    ("sql", "calls"),
    [
        ("select random() from t", ["random()"]),
        ("select Now(), current_date", ["current_date", "now()"]),
        ("with x as (select uuid() as id from t) select * from x", ["uuid()"]),
        ("select list_transform(a, lambda x: x + random()) from t", ["random()"]),
        ("select age(born) from t", ["age()"]),
        ("select ago(interval 1 day)", ["ago()"]),
        ("select * from t using sample 10", ["a sample without a seed"]),
        ("select * from t tablesample 10%", ["a sample without a seed"]),
        ("pivot (select random() as r from t) on a using sum(r)", ["random"]),
        ("random() > 0.5", ["random()"]),
    ],
)
def test_what_is_never_settled_is_named(engines: DuckEngines, sql: str, calls: list[str]) -> None:
    assert list(engines.outline(sql).unsteady) == calls


@pytest.mark.parametrize(
    "sql",
    [
        "select t.random, 'now()' as word from t -- random()",
        "select age(died, born) from t",
        "select * from t using sample reservoir(10 rows) repeatable (42)",
        "select $run_time as at, sum(a) over (order by b) from t",
        "distance > 0 and carrier in ('AA', 'UA')",
        "pivot t on a using sum(b)",
    ],
)
def test_what_is_settled_is_not(engines: DuckEngines, sql: str) -> None:
    assert engines.outline(sql).unsteady == ()


def test_the_list_is_the_engine_s_own(engines: DuckEngines) -> None:
    assert duckdb.__version__ == outline.LISTED_FOR, "read the list anew for this version"
    assert outline.told(engines._ask) == outline.UNSTEADY
    asked = "select function_name, macro_definition from duckdb_functions()"
    said = duckdb.connect().execute(asked).fetchall()
    clock = {str(name) for name, words in said if words and "current_timestamp" in str(words)}
    assert clock == outline._MACROS


def test_asking_leaves_the_next_step_an_instance_of_its_own(engines: DuckEngines) -> None:
    engines.outline("select 1")
    with engines.open({}) as engine:
        assert engine.rows("select 1") == [(1,)]
