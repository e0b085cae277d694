"""Column edges of queries, cleaning and storing."""

import pytest

from adapters.engines.lineage.columns import edges, trace_columns
from domain.pipeline.spec import decode_spec

SCHEMAS = {
    "flown": {"carrier": "VARCHAR", "tailnum": "VARCHAR", "month": "BIGINT", "Odd Name": "BIGINT"},
    "carriers": {"carrier": "VARCHAR", "name": "VARCHAR"},
}


def told(sql: str) -> set[str]:
    """Edges as `column<-table.column`, with `~` before indirect ones."""
    return {
        f"{edge.column}<-{'' if edge.kind == 'direct' else '~'}{edge.source}.{edge.source_column}"
        for edge in edges(sql, SCHEMAS)
    }


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select month + 1 as later from flown", {"later<-flown.month"}),
        ("from carriers", {"carrier<-carriers.carrier", "name<-carriers.name"}),
        ("select * exclude (name) from carriers", {"carrier<-carriers.carrier"}),
        ('select "Odd Name" as Total from flown', {"Total<-flown.Odd Name"}),
        (
            "select name from flown join carriers using (carrier)",
            {"name<-carriers.name", "name<-~flown.carrier", "name<-~carriers.carrier"},
        ),
        (
            "select month, count(*) as n from flown group by all",
            {"month<-flown.month", "n<-~flown.month"},
        ),
        (
            "with flown as (select carrier from flown where month > $m) select carrier from flown",
            {"carrier<-flown.carrier", "carrier<-~flown.month"},
        ),
        (
            "select month from flown union all select length(name) from carriers",
            {"month<-flown.month", "month<-carriers.name"},
        ),
        (
            "select case when month > 1 then carrier else tailnum end as x from flown",
            {"x<-flown.carrier", "x<-flown.tailnum", "x<-~flown.month"},
        ),
        (
            "select row_number() over (partition by carrier order by month) as n from flown",
            {"n<-~flown.carrier", "n<-~flown.month"},
        ),
        (
            "select (select max(name) from carriers c where c.carrier = f.carrier) as top "
            "from flown f",
            {"top<-carriers.name", "top<-~carriers.carrier", "top<-~flown.carrier"},
        ),
        (
            "with recursive r(n) as (select month from flown union all "
            "select n + 1 from r where n < 5) select n from r",
            {"n<-flown.month"},
        ),
        ("select upper(carrier) from flown", {"upper(carrier)<-flown.carrier"}),
        ("select columns('m.*') from flown", set()),
        ("select from", set()),
        ("select 1 as one", set()),
    ],
)
def test_edges_of_a_query(sql: str, expected: set[str]) -> None:
    assert told(sql) == expected


def test_cleaning_and_storing_are_exact() -> None:
    spec = decode_spec(
        {
            "pipeline": "p",
            "steps": [
                {
                    "id": "tidy",
                    "kind": "clean",
                    "input": "raw",
                    "rules": [
                        {"rename": {"a": "key"}},
                        {"drop_nulls": ["key"]},
                        {"keep_rows": "B > 1 and key is not null"},
                        {"cast": {"c": "integer"}},
                    ],
                },
                {
                    "id": "out",
                    "kind": "store",
                    "input": "tidy",
                    "sink": {"kind": "csv", "path": "x.csv"},
                },
            ],
        }
    )
    found = trace_columns(spec.step("tidy"), {"raw": {"a": "X", "b": "X", "c": "X"}})
    direct = {(edge.source_column, edge.column) for edge in found if edge.kind == "direct"}
    indirect = {(edge.source_column, edge.column) for edge in found if edge.kind == "indirect"}
    assert direct == {("a", "key"), ("b", "b"), ("c", "c")}
    assert indirect == {("b", "key"), ("a", "b"), ("a", "c"), ("b", "c")}
    assert {edge.source for edge in found} == {"raw"}
    stored = trace_columns(spec.step("out"), {"tidy": {"key": "X"}})
    assert [(edge.source, edge.source_column, edge.column) for edge in stored] == [
        ("tidy", "key", "key")
    ]


def test_an_alias_is_told_as_the_step() -> None:
    spec = decode_spec(
        {
            "pipeline": "p",
            "steps": [
                {
                    "id": "made",
                    "kind": "transform",
                    "inputs": {"f": "flown"},
                    "sql": "select month from f",
                }
            ],
        }
    )
    (edge,) = trace_columns(spec.step("made"), {"f": {"month": "BIGINT"}})
    assert (edge.source, edge.source_column, edge.column) == ("flown", "month", "month")
