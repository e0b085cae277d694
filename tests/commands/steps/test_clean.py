"""Clean: each rule in order, each counted, and the sum of it all in balance."""

import pytest

from domain.run.commands import Failed, Succeeded
from tests.commands.steps.bench import Bench, Walk

CSV = """id,kind,value,at
1,a,10,2026-01-01
2,a,,2026-01-02
3,b,30,2026-01-03
1,a,40,2026-01-04
3,b,50,
4,,60,2026-01-06
"""
COLUMNS = {"id": "integer", "kind": "string", "value": "integer", "at": "date"}


def walk(bench: Bench, *rules: dict[str, object], **more: object) -> Walk:
    bench.write("in.csv", CSV)
    done = Walk(
        bench,
        {
            "params": {"least": {"type": "integer", "default": 0}},
            "sources": {"s": {"kind": "csv", "path": "in.csv", "columns": COLUMNS}},
            "steps": [
                {"id": "raw", "kind": "ingest", "source": "s"},
                {"id": "flat", "kind": "clean", "input": "raw", "rules": list(rules), **more},
            ],
        },
        params={"least": 35},
    )
    done.outcome("raw")
    return done


def test_each_rule_is_counted_in_order(bench: Bench) -> None:
    outcome = walk(
        bench,
        {"drop_nulls": ["kind", "value"]},
        {"deduplicate": ["id"], "keep": "last", "name": "one per id"},
        {"keep_rows": "value > 45"},
        {"rename": {"value": "amount"}},
    ).outcome("flat")
    assert [(count.rule, count.rows, count.effect) for count in outcome.counts] == [
        ("drop_nulls(kind, value)", 2, "removed"),
        ("one per id", 2, "removed"),
        ("keep_rows(value > 45)", 1, "removed"),
        ("rename(value: amount)", 0, "changed"),
    ]
    assert [(row["id"], row["amount"]) for row in bench.rows(outcome.output)] == [(3, 50)]
    (entry,) = outcome.inputs
    assert (entry.rows_in, entry.reached, entry.filtered) == (6, 1, 5)
    assert (outcome.rows_in, outcome.rows_filtered, outcome.rows_out) == (6, 5, 1)
    assert outcome.ledger == "balanced"


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        ({"keep": "first"}, [10, None, 30, 60]),
        ({"keep": "last"}, [None, 40, 50, 60]),
        ({"keep": "first", "order_by": ["value"]}, [10, None, 30, 60]),
        ({"keep": "last", "order_by": ["value"]}, [None, 40, 50, 60]),
        ({"keep": "first", "order_by": ["value desc"]}, [None, 40, 50, 60]),
        ({"keep": "last", "order_by": ["at"]}, [None, 30, 40, 60]),
        ({"keep": "first", "order_by": ["at"]}, [10, None, 30, 60]),
        ({"keep": "first", "order_by": ["kind"]}, [10, None, 30, 60]),
        ({"keep": "last", "order_by": ["kind"]}, [None, 40, 50, 60]),
    ],
)
def test_deduplicate_keeps_what_it_says(
    bench: Bench, rule: dict[str, object], kept: list[int | None]
) -> None:
    outcome = walk(bench, {"deduplicate": ["id"], **rule}).outcome("flat")
    assert [row["value"] for row in bench.rows(outcome.output)] == kept
    assert outcome.counts[0].rows == 2


def test_rows_stay_in_the_order_of_the_input_and_the_same_bytes_come_out(bench: Bench) -> None:
    lines = "".join(f"{n % 70_000},k,{n},2026-01-01\n" for n in range(200_000))
    done = walk(bench, {"deduplicate": ["id"], "keep": "last", "order_by": ["kind"]})
    bench.write("in.csv", "id,kind,value,at\n" + lines)
    done.outcome("raw")
    outcomes = [done.outcome("flat")]
    done.run = type(done.run)(int=done.run.int + 1)
    outcomes.append(done.outcome("flat"))
    values = [row["value"] for row in bench.rows(outcomes[0].output)]
    assert values == list(range(130_000, 200_000))
    assert outcomes[0].output == outcomes[1].output
    assert outcomes[0].warnings == outcomes[1].warnings == ()


def test_a_few_doubles_among_many_rows_give_the_same_bytes_each_time(bench: Bench) -> None:
    lines = "".join(f"{n % 399_990},k,{n},2026-01-01\n" for n in range(400_000))
    done = walk(bench, {"drop_nulls": ["id"]}, {"deduplicate": ["id"]})
    bench.write("in.csv", "id,kind,value,at\n" + lines)
    done.outcome("raw")
    contents = set()
    for number in range(5):
        done.run = type(done.run)(int=number)
        contents.add(done.outcome("flat").output)
    assert len(contents) == 1


def test_missing_values_agree_when_rows_are_compared(bench: Bench) -> None:
    done = walk(bench, {"deduplicate": ["kind"]})
    bench.write("in.csv", "id,kind,value,at\n1,,1,\n2,,2,\n")
    done.outcome("raw")
    assert [row["id"] for row in bench.rows(done.outcome("flat").output)] == [1]


def test_a_cast_that_fails_is_told_with_its_value(bench: Bench) -> None:
    error = walk(bench, {"cast": {"kind": "integer"}}).error("flat")
    assert error.code == "cast_failed"
    assert "5 values of `kind`" in error.message
    assert "'a'" in error.message
    assert error.where == "steps.flat.rules[0]"


def test_a_cast_may_leave_nothing_where_it_fails(bench: Bench) -> None:
    outcome = walk(
        bench,
        {"cast": {"kind": "integer", "value": "number"}, "on_error": "null"},
        {"drop_nulls": ["kind"]},
    ).outcome("flat")
    assert [(count.rows, count.effect) for count in outcome.counts] == [
        (5, "changed"),
        (6, "removed"),
    ]
    assert outcome.ledger == "balanced"


def test_a_cast_looks_only_at_rows_that_are_still_there(bench: Bench) -> None:
    outcome = walk(
        bench,
        {"keep_rows": "kind not in ('a', 'b')"},
        {"cast": {"kind": "integer"}},
    ).outcome("flat")
    assert outcome.rows_out == 0
    outcome = walk(
        bench,
        {"keep_rows": "kind is null"},
        {"keep_rows": "cast(kind as integer) is null"},
    ).outcome("flat")
    assert [count.rows for count in outcome.counts] == [5, 0]


def test_an_integer_is_not_made_by_rounding(bench: Bench) -> None:
    done = walk(
        bench,
        {"cast": {"kind": "number"}},
        {"cast": {"kind": "integer"}, "on_error": "null"},
    )
    bench.write("in.csv", "id,kind,value,at\n1,1.5,1,\n2,2.0,2,\n3,,3,\n")
    done.outcome("raw")
    outcome = done.outcome("flat")
    assert [row["kind"] for row in bench.rows(outcome.output)] == [None, 2, None]
    assert [count.rows for count in outcome.counts] == [0, 1]


def test_names_can_be_swapped_and_conditions_bind_params(bench: Bench) -> None:
    outcome = walk(
        bench, {"rename": {"id": "value", "value": "id"}}, {"keep_rows": "id > $least -- much"}
    ).outcome("flat")
    assert [(row["id"], row["value"]) for row in bench.rows(outcome.output)] == [
        (40, 1),
        (50, 3),
        (60, 4),
    ]


def test_a_condition_that_gives_another_answer_each_time_is_found(bench: Bench) -> None:
    done = walk(bench, {"keep_rows": "random() < 0.5"})
    bench.write("in.csv", "id,kind,value,at\n" + "1,a,1,\n" * 20_000)
    done.outcome("raw")
    assert done.error("flat").code == "ledger_unbalanced"


def test_column_edges_follow_names(bench: Bench) -> None:
    result = walk(bench, {"rename": {"value": "amount"}}).step("flat")
    assert ("raw", "value", "amount") in [
        (edge.source, edge.source_column, edge.column)
        for edge in result.edges  # type: ignore[union-attr]  # a failure has none, and fails here
    ]


def test_a_cast_may_set_rows_apart_as_they_came_in(bench: Bench) -> None:
    done = walk(
        bench,
        {"rename": {"kind": "code"}},
        {"keep_rows": "value is not null"},
        {"cast": {"code": "integer", "value": "string"}, "on_error": "quarantine"},
        {"drop_nulls": ["code"]},
        limits={"max_quarantined": "80%"},
    )
    outcome = done.outcome("flat")
    assert [(count.rows, count.effect) for count in outcome.counts] == [
        (0, "changed"),
        (1, "removed"),
        (4, "quarantined"),
        (1, "removed"),
    ]
    (entry,) = outcome.inputs
    assert (entry.rows_in, entry.reached, entry.filtered, entry.quarantined) == (6, 0, 2, 4)
    assert (outcome.rows_quarantined, outcome.ledger) == (4, "balanced")
    assert outcome.quarantine is not None
    assert outcome.quarantine.dataset == "walk.flat.quarantine"
    rows = bench.rows(outcome.quarantine)
    assert [row["headwater_line"] for row in rows] == [2, 4, 5, 6]
    assert rows[1] == {
        "id": "3",
        "kind": "b",
        "value": "30",
        "at": "2026-01-03",
        "headwater_rule": "cast(code: integer, value: string)",
        "headwater_reason": "column `code`: 'b' is no integer",
        "headwater_source": str(bench.project / "in.csv"),
        "headwater_line": 4,
        "headwater_text": None,
    }


@pytest.mark.parametrize(("most", "fits"), [("50%", True), ("49%", False), (3, True), (2, False)])
def test_more_than_the_limit_is_not_set_apart(bench: Bench, most: str | int, fits: bool) -> None:
    done = walk(
        bench,
        {"cast": {"kind": "integer"}, "on_error": "quarantine"},
        limits={"max_quarantined": most},
    )
    bench.write("in.csv", "id,kind,value,at\n1,x,,\n2,1,,\n3,y,,\n4,2,,\n5,z,,\n6,3,,\n")
    done.outcome("raw")
    result = done.step("flat")
    assert isinstance(result, Succeeded) is fits
    if isinstance(result, Failed):
        assert result.error.code == "too_many_quarantined"
        assert result.error.message.startswith("3 of 6 rows would be set apart, more than the ")
        assert "/in.csv:2: column `kind`: 'x' is no integer" in result.error.message
        assert result.outcome is not None
        assert len(bench.rows(result.outcome.quarantine)) == 3
