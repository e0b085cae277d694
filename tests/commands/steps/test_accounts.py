# ruff: noqa: S608  # queries made here
"""The row ledger of queries: what each input's rows came to, and what a step promises of them."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from uuid import uuid4

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from commands.steps.tally import Accountant, ColumnsOf, CountedFile, QueryCount
from domain.data.dataset import DatasetVersion
from domain.run.commands import Failed
from domain.run.ledger import InputLedger
from tests.commands.steps.bench import Bench, Walk

FLIGHTS = """
tail,carrier,delay
N1,AA,5
N2,AA,0
N3,MQ,7
N4,MQ,9
N4,MQ,9
,UA,1
N1,UA,2
"""
PLANES = "tail,maker\nN1,Boeing\nN2,Airbus\nN9,Fokker\n"


def walk(bench: Bench, sql: str, **more: object) -> Walk:
    bench.write("flown.csv", FLIGHTS.lstrip())
    bench.write("aircraft.csv", PLANES)
    top = {"ledger": more.pop("top")} if "top" in more else {}
    columns = {"tail": "string", "carrier": "string", "delay": "integer"}
    done = Walk(
        bench,
        {
            **top,
            "sources": {
                "f": {"kind": "csv", "path": "flown.csv", "columns": columns},
                "p": {
                    "kind": "csv",
                    "path": "aircraft.csv",
                    "columns": {"tail": "string", "maker": "string"},
                },
            },
            "steps": [
                {"id": "flown", "kind": "ingest", "source": "f"},
                {"id": "aircraft", "kind": "ingest", "source": "p"},
                {
                    "id": "made",
                    "kind": "transform",
                    "inputs": ["flown", "aircraft"] if "aircraft" in sql else ["flown"],
                    "sql": sql,
                    **more,
                },
            ],
        },
    )
    done.outcome("flown")
    done.outcome("aircraft")
    return done


def told(entry: InputLedger) -> tuple[int | None, ...]:
    return (entry.rows_in, entry.reached, entry.filtered, entry.unmatched, entry.duplicated)


JOIN = "select carrier, maker, count(*) as n from flown join aircraft using (tail) group by all"


def test_each_input_has_its_own_account(bench: Bench) -> None:
    outcome = walk(bench, JOIN).outcome("made")
    flown, aircraft = outcome.inputs
    assert told(flown) == (7, 3, 0, 4, 0)
    assert told(aircraft) == (3, 2, 0, 1, 1)
    assert outcome.ledger == "balanced"


def test_unmatched_rows_are_a_warning(bench: Bench) -> None:
    outcome = walk(bench, JOIN).outcome("made")
    assert outcome.warnings == (
        "4 of 7 rows of flown matched nothing in aircraft",
        "1 of 3 rows of aircraft matched nothing in flown",
    )
    assert outcome.inputs[0].lost[0].columns == ("tail",)


def test_the_side_that_an_outer_join_leaves_out_is_no_warning(bench: Bench) -> None:
    outcome = walk(bench, JOIN.replace("join", "left join")).outcome("made")
    assert [told(one) for one in outcome.inputs] == [(7, 7, 0, 0, 0), (3, 2, 0, 1, None)]
    assert outcome.warnings == ()
    assert outcome.ledger == "balanced"


@pytest.mark.parametrize(
    "sql", [JOIN, "select carrier, maker from flown join aircraft using (tail)"]
)
def test_how_often_it_is_used_is_counted_where_something_is_promised(
    bench: Bench, sql: str
) -> None:
    keeps = {"aircraft": "at_most_once"}
    error = walk(bench, sql.replace("join", "left join"), keeps=keeps).error("made")
    assert error.code == "rows_duplicated"
    assert error.message == "2 rows of aircraft reach the result 3 times: 1 too many"


def test_a_promise_that_is_broken_fails_the_step(bench: Bench) -> None:
    done = walk(bench, JOIN, keeps="flown")
    result = done.step("made")
    assert isinstance(result, Failed)
    error = result.error
    assert error.code == "rows_lost"
    assert error.message.splitlines() == [
        "4 of 7 rows of flown matched nothing in aircraft",
        "tail: N4 2 of 2, N3 1 of 1, null 1 of 1",
        "carrier: MQ 3 of 3, UA 1 of 2",
    ]
    assert error.where == "steps.made.keeps"
    assert error.hint.startswith("`left join aircraft` keeps them")
    assert result.outcome is not None
    assert told(result.outcome.inputs[0]) == (7, 3, 0, 4, 0)
    assert len(result.outcome.inputs[0].lost) == 2


def test_conditions_on_the_input_alone_keep_the_promise(bench: Bench) -> None:
    sql = JOIN.replace("join", "left join").replace("group by", "where delay > 1 group by")
    outcome = walk(bench, sql, keeps="flown").outcome("made")
    assert told(outcome.inputs[0]) == (7, 5, 2, 0, 0)
    assert outcome.rows_filtered == 2


@pytest.mark.parametrize(
    ("keeps", "code"),
    [
        ("aircraft", "rows_lost"),
        ({"aircraft": "at_most_once"}, "rows_duplicated"),
        ({"aircraft": "at_least_once"}, "rows_lost"),
        ({"flown": "at_most_once"}, ""),
        ({"flown": "at_least_once"}, "rows_lost"),
        (["flown", "aircraft"], "rows_lost"),
    ],
)
def test_promises(bench: Bench, keeps: object, code: str) -> None:
    result = walk(bench, JOIN, keeps=keeps).step("made")
    assert (result.error.code if isinstance(result, Failed) else "") == code


def test_rows_that_come_twice(bench: Bench) -> None:
    sql = "select aircraft.*, carrier from aircraft left join flown using (tail)"
    error = walk(bench, sql, keeps="aircraft").error("made")
    assert error.code == "rows_duplicated"
    assert error.message == "3 rows of aircraft reach the result 4 times: 1 too many"


@pytest.mark.parametrize("more", [{"ledger": "strict"}, {"top": "strict"}])
def test_a_strict_ledger_fails_without_a_promise(bench: Bench, more: dict[str, object]) -> None:
    error = walk(bench, JOIN, **more).error("made")
    assert error.code == "rows_lost"
    assert error.where == "steps.made.ledger"


def test_a_step_can_be_milder_than_its_pipeline(bench: Bench) -> None:
    assert walk(bench, JOIN, top="strict", ledger="warn").outcome("made").warnings


def test_what_may_go_by_promise_is_neither_failure_nor_warning(bench: Bench) -> None:
    keeps = {"flown": "at_most_once", "aircraft": "at_least_once"}
    sql = JOIN.replace("join", "right join")
    outcome = walk(bench, sql, keeps=keeps, ledger="strict").outcome("made")
    assert outcome.warnings == ()


def test_an_input_that_only_decides_is_not_counted(bench: Bench) -> None:
    sql = "select * from flown where tail in (select tail from aircraft)"
    outcome = walk(bench, sql).outcome("made")
    flown, aircraft = outcome.inputs
    assert told(flown) == (7, 3, 0, 4, 0)
    assert aircraft.looked_at
    assert told(aircraft) == (3, None, None, None, None)
    assert outcome.ledger == "balanced"


def test_what_cannot_be_taken_apart_is_unproven(bench: Bench) -> None:
    outcome = walk(bench, "select * from flown positional join aircraft").outcome("made")
    assert outcome.ledger == "unproven"
    assert [one.unproven for one in outcome.inputs] == ["a positional join"] * 2
    error = walk(bench, "select random() as r from flown", keeps="flown").error("made")
    assert error.code == "ledger_unproven"


class CountsNothing(Accountant):
    """Leaves the query as it is."""

    def counts(
        self,
        sql: str,
        inputs: Mapping[str, CountedFile],
        columns: ColumnsOf,
        promised: Collection[str] = (),
        *,
        is_quick: bool = False,
    ) -> QueryCount:
        return QueryCount(unproven="not asked for")


SHAPES = {
    "select distinct carrier from (select * from flown where delay > 1"
    " union all select * from flown where carrier = 'MQ')": (7, 5, 2, 0, 0),
    "select carrier from flown where delay > 1"
    " union select carrier from flown where carrier = 'MQ'": (7, 5, 2, 0, 0),
    "select tail from (select distinct on (tail) tail from flown order by tail, delay)"
    " join aircraft using (tail)": (7, 2, 2, 3, 0),
    "select carrier from flown group by carrier having count(*) > 2": (7, 3, 4, 0, 0),
    "select u.tail from (select tail from flown union"
    " (select distinct on (maker) maker from aircraft order by maker, tail)) as u"
    " join aircraft as p on u.tail = p.tail": (7, 3, 0, 4, 0),
    "select carrier from flown order by tail, delay limit 2": (7, 2, 5, 0, 0),
    "select tail from flown where delay > 1 union all select tail from aircraft": (7, 5, 2, 0, 0),
}


WHILE_MADE = {
    "select carrier from flown group by all having count(*) > 2 and sum(delay) > 9": (
        7,
        3,
        4,
        0,
        0,
    ),
    "select count(*) as n from flown having n > 7": (7, 0, 7, 0, 0),
    "select distinct tail, carrier from flown where delay > 0 -- no zero": (7, 6, 1, 0, 0),
    "select distinct maker from flown left join aircraft using (tail)": (7, 7, 0, 0, 0),
    "select carrier, maker, count(*) as n from flown join aircraft using (tail)"
    " group by all having n > 0 order by n desc, 1": (7, 3, 0, 4, 0),
    "select carrier, count(*) as n from flown join aircraft using (tail)"
    " group by all having n > 1": (7, 2, 0, 5, 0),
    "select tail from flown semi join aircraft using (tail) where delay > 2": (7, 1, 3, 3, 0),
    "select count(*) as n from flown anti join aircraft using (tail)": (7, 4, 0, 3, 0),
    "select delay from flown where tail in (select tail from aircraft where maker <> 'Airbus')": (
        *(7, 2, 0, 5, 0),
    ),
    "select delay from flown where tail in (select a.tail from aircraft as a)"
    " and delay in (select 2) or tail = 'N3'": (7, 2, 0, 5, 0),
    "select carrier, delay from flown where tail not in (select tail from aircraft)"
    " or exists (select 1 from aircraft where maker = 'Boeing' and aircraft.tail = flown.tail)": (
        *(7, 5, 0, 2, 0),
    ),
}


def table(bench: Bench, version: DatasetVersion | None) -> pa.Table:
    assert version is not None
    found = pq.read_table(bench.artifacts.path_of(version))
    return found.cast(pa.schema([(one.name, one.type) for one in found.schema]))  # null or not


@pytest.mark.parametrize("sql", WHILE_MADE)
def test_counting_a_query_while_it_is_made_changes_nothing_in_it(bench: Bench, sql: str) -> None:
    done = walk(bench, sql)
    plain = replace(done.workbench, accountant=CountsNothing())
    done.workbench, wanted = plain, done.workbench
    uncounted = table(bench, done.outcome("made").output)
    done.run, done.fresh, done.workbench = uuid4(), True, wanted
    outcome = done.outcome("made")
    assert told(outcome.inputs[0]) == WHILE_MADE[sql]
    assert outcome.ledger == "balanced"
    assert table(bench, outcome.output).equals(uncounted)


@pytest.mark.parametrize("sql", SHAPES)
def test_what_is_no_lookup_is_counted_too(bench: Bench, sql: str) -> None:
    outcome = walk(bench, sql).outcome("made")
    assert told(outcome.inputs[0]) == SHAPES[sql]
    assert outcome.ledger == "balanced"


def test_the_few_that_are_met_late_are_found_in_many_rows(bench: Bench) -> None:
    rows, step = 1_300_000, 299_977
    with duckdb.connect() as engine:
        for name, query in {
            "flown": f"select if(n % {step} = 0, n, 1)::int as k from range({rows}) as r(n)",
            "aircraft": f"select n::int as k from range({rows}) as r(n) where n % {step} < 2",
        }.items():
            engine.execute(f"copy ({query}) to '{bench.project / name}.parquet' (format parquet)")
    done = Walk(
        bench,
        {
            "sources": {
                name: {"kind": "parquet", "path": f"{name}.parquet", "columns": {"k": "integer"}}
                for name in ("flown", "aircraft")
            },
            "steps": [
                {"id": "flown", "kind": "ingest", "source": "flown"},
                {"id": "aircraft", "kind": "ingest", "source": "aircraft"},
                {
                    "id": "made",
                    "kind": "transform",
                    "inputs": ["flown", "aircraft"],
                    "sql": "select count(*) as n from flown left join aircraft using (k)",
                },
            ],
        },
    )
    flown, aircraft = done.all()["made"].inputs
    assert told(flown) == (rows, rows, 0, 0, 0)
    assert told(aircraft) == (10, 6, 0, 4, None)
