"""Whether a query's number of rows may differ from one evaluation to the next."""

import pytest

from adapters.engines.ledger.steadiness import is_count_steady
from adapters.engines.sql.queries import parsed

STEADY = (
    "select * from a join b using (k) where x > 1",
    "select k, sum(x) from a group by k",
    "select k, first(x) from a group by k",
    "select k from a group by k having count(*) > 1",
    "select * from a limit 3",
    "select distinct on (k) * from a",
    "select *, lag(x) over (order by k) from a",
    "select * from a qualify row_number() over (partition by k) = 1",
    "select * from a qualify rank() over (order by k) < 3",
    "select k from a union select k from b",
    "select k from a union all select first(k) from b",
    "select distinct k from a",
    "with t as (select k, count(*) as n from a group by k) select * from t where n > 1",
)
UNSTEADY = (
    "select k from a group by k having sum(x) > 1",
    "select k from a group by k having first(x) > 1",
    "select * from (from a limit 3) where x > 1",
    "select * from (select distinct on (k) * from a) where x > 1",
    "select * from (select *, row_number() over (order by k) as n from a) where x > n",
    "select * from a qualify row_number() over (partition by k) = x",
    "select * from a qualify lag(x) over (order by k) = 1",
    "select distinct first(x) from a group by k",
    "select distinct k from a limit 1",
    "select first(x) as x from a group by k union select x from b",
    "select * from a where x in (select first(x) from b)",
    "with t as (from a limit 3) select * from t where x > 1",
)


@pytest.mark.parametrize("sql", STEADY)
def test_as_many_rows_each_time(sql: str) -> None:
    tree = parsed(sql)
    assert tree is not None
    assert is_count_steady(tree)


@pytest.mark.parametrize("sql", UNSTEADY)
def test_perhaps_other_rows(sql: str) -> None:
    tree = parsed(sql)
    assert tree is not None
    assert not is_count_steady(tree)
