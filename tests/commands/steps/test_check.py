"""Check: every rule evaluated, missing values told apart from wrong ones."""

import pytest

from domain.run.commands import Failed
from tests.commands.steps.bench import Bench, Walk

CSV = """id,kind,value,day
1,a,0.5,2026-01-01
2,b,1.5,2026-01-02
2,b,,2026-02-01
,,9,
,,9,
"""
COLUMNS = {"id": "integer", "kind": "string", "value": "number", "day": "date"}


def walk(bench: Bench, *rules: dict[str, object]) -> Walk:
    bench.write("in.csv", CSV)
    done = Walk(
        bench,
        {
            "sources": {"s": {"kind": "csv", "path": "in.csv", "columns": COLUMNS}},
            "steps": [
                {"id": "raw", "kind": "ingest", "source": "s"},
                {"id": "checked", "kind": "check", "input": "raw", "rules": list(rules)},
            ],
        },
    )
    done.outcome("raw")
    return done


@pytest.mark.parametrize(
    ("rule", "name", "failing", "nulls"),
    [
        ({"not_null": ["id"]}, "not_null(id)", 2, None),
        ({"unique": ["id"]}, "unique(id)", 2, None),
        ({"unique": ["id", "value"]}, "unique(id, value)", 1, None),
        ({"unique": ["id", "day"]}, "unique(id, day)", 1, None),
        ({"accepted_values": {"kind": ["a"]}}, "accepted_values(kind: [a])", 2, 2),
        ({"accepted_values": {"id": [1, 2]}}, "accepted_values(id: [1, 2])", 0, 2),
        ({"accepted_values": {"day": ["2026-01-01"]}}, None, 2, 2),
        ({"range": {"value": [1, 2]}}, "range(value: 1…2)", 3, 1),
        ({"range": {"value": [None, 1.5]}}, None, 2, 1),
        ({"range": {"id": [1.5, None]}}, None, 1, 2),
        ({"range": {"day": ["2026-01-02", "2026-01-31"]}}, None, 2, 2),
        ({"pattern": {"kind": "[ab]"}}, None, 0, 2),
        ({"pattern": {"kind": "a|x"}}, None, 2, 2),
        ({"pattern": {"id": "1"}, "name": "ones"}, "ones", 2, 2),
    ],
)
def test_each_rule_counts_what_breaks_it(
    bench: Bench, rule: dict[str, object], name: str | None, failing: int, nulls: int | None
) -> None:
    outcome = walk(bench, rule | {"severity": "warn"}).outcome("checked")
    (result,) = outcome.checks
    assert name is None or result.name == name
    assert (result.failing_rows, result.null_rows) == (failing, nulls)
    assert result.passed == (failing == 0)
    assert len(outcome.warnings) == (failing > 0)


@pytest.mark.parametrize(
    ("limits", "passed"),
    [({"min": 5}, True), ({"min": 6}, False), ({"max": 4}, False), ({"min": 1, "max": 5}, True)],
)
def test_row_count(bench: Bench, limits: dict[str, int], passed: bool) -> None:
    outcome = walk(bench, {"row_count": limits, "severity": "warn"}).outcome("checked")
    (result,) = outcome.checks
    assert (result.passed, result.observed, result.failing_rows) == (passed, "rows = 5", None)


def test_a_rule_over_several_columns_means_each(bench: Bench) -> None:
    done = walk(bench, {"not_null": ["id", "value"], "name": "there", "severity": "warn"})
    names = [(one.name, one.rule) for one in done.outcome("checked").checks]
    assert names == [("there.id", "not_null(id)"), ("there.value", "not_null(value)")]


def test_the_output_is_the_input(bench: Bench) -> None:
    done = walk(bench, {"row_count": {"min": 1}})
    outcome = done.outcome("checked")
    assert outcome.output == done.done["raw"]
    assert (outcome.rows_in, outcome.rows_out, outcome.ledger) == (5, 5, "balanced")


def test_an_error_fails_with_all_that_was_found(bench: Bench) -> None:
    result = walk(
        bench, {"unique": ["id"]}, {"not_null": ["value"]}, {"row_count": {"min": 1}}
    ).step("checked")
    assert isinstance(result, Failed)
    assert result.error.code == "check_failed"
    assert result.error.where == "steps.checked"
    assert not result.error.retryable
    assert "2 of 3 checks failed: unique(id): 2 rows" in result.error.message
    assert result.outcome is not None
    assert [check.passed for check in result.outcome.checks] == [False, False, True]
    assert result.outcome.rows_in == 5
