"""Rules on real rows: freshness, references, sql, tolerance and where."""

from datetime import timedelta

import pytest

from domain.data.quality import CheckResult
from tests.commands.steps.bench import RUN_TIME, Bench, Walk

CSV = """id,kind,value,at
1,a,0.5,2026-01-01T03:04:05
2,b,1.5,2026-01-02T00:04:05
3,b,,
,c,9,
5,c,-1,2025-12-31T03:04:05
"""
OTHERS = "key,kind\n1,a\n2,b\n,c\n3,b\n"


def walk(bench: Bench, *rules: dict[str, object], given: dict[str, object] | None = None) -> Walk:
    bench.write("in.csv", CSV)
    bench.write("others.csv", OTHERS)
    columns = {"id": "integer", "kind": "string", "value": "number", "at": "timestamp"}
    named = {"key": "integer", "kind": "string"}
    done = Walk(
        bench,
        {
            "params": {"least": {"type": "number", "default": 0}},
            "sources": {
                "s": {"kind": "csv", "path": "in.csv", "columns": columns},
                "o": {"kind": "csv", "path": "others.csv", "columns": named},
            },
            "steps": [
                {"id": "raw", "kind": "ingest", "source": "s"},
                {"id": "others", "kind": "ingest", "source": "o"},
                given or {"id": "a", "kind": "check", "input": "raw", "rules": list(rules)},
            ],
        },
        params={"least": 0},
    )
    done.outcome("raw")
    done.outcome("others")
    return done


def result(bench: Bench, rule: dict[str, object]) -> CheckResult:
    (found,) = walk(bench, rule | {"severity": "warn"}).outcome("a").checks
    return found


@pytest.mark.parametrize(
    ("rule", "checked", "failing", "nulls"),
    [
        ({"not_null": ["id"]}, 5, 1, None),
        ({"not_null": ["value"], "where": "kind = 'b'"}, 2, 1, None),
        ({"not_null": ["value"], "where": "id > 2"}, 2, 1, None),
        ({"unique": ["kind"], "where": "value > $least"}, 3, 0, None),
        ({"unique": ["kind"], "where": "id is not null -- all but one"}, 4, 1, None),
        ({"range": {"value": [0, 2]}, "where": "kind <> 'a'"}, 4, 2, 1),
        ({"accepted_values": {"kind": ["a"]}, "where": "id < 3"}, 2, 1, 0),
        ({"pattern": {"kind": "[ab]"}, "where": "value is null"}, 1, 0, 0),
        ({"references": ["id"], "to": "others", "columns": ["key"]}, 5, 1, 1),
        ({"references": ["id"], "to": "others", "columns": ["key"], "where": "id < 5"}, 3, 0, 0),
        ({"references": ["id", "kind"], "to": "others", "columns": ["key", "kind"]}, 5, 1, 1),
        ({"references": ["kind"], "to": "raw"}, 5, 0, 0),
        ({"references": ["id"], "to": "a"}, 5, 0, 1),
        ({"sql": "value > $least"}, 5, 1, 1),
        ({"sql": "value > 0 or kind = 'c'", "where": "kind <> 'a'"}, 4, 0, 1),
        ({"sql": "select * from raw where value < $least", "inputs": ["raw"]}, 5, 1, None),
        ({"sql": "from a where kind = 'b';"}, 5, 2, None),
        ({"sql": "with x as (from others) from a anti join x using (kind)", "inputs": ["others"]},
         5, 0, None),
        ({"sql": "select kind from a group by kind having count(*) > 1"}, 5, 2, None),
    ],
)  # fmt: skip
def test_each_rule_counts_the_rows_that_it_is_about(
    bench: Bench, rule: dict[str, object], checked: int, failing: int, nulls: int | None
) -> None:
    found = result(bench, rule)
    assert (found.checked_rows, found.failing_rows, found.null_rows) == (checked, failing, nulls)
    assert found.passed == (failing == 0)


@pytest.mark.parametrize(
    ("tolerance", "passed", "told"),
    [(0, False, ""), (1, True, "1 rows"), ("20%", True, "20%"), ("19.9%", False, "19.9%")],
)
def test_a_tolerance_lets_some_rows_break_it(
    bench: Bench, tolerance: str | int, passed: bool, told: str
) -> None:
    found = result(bench, {"not_null": ["id"], "tolerance": tolerance})
    assert (found.passed, found.tolerance, found.failing_rows) == (passed, told, 1)


def test_more_than_tolerated_is_told_with_the_share(bench: Bench) -> None:
    error = walk(bench, {"not_null": ["id"], "tolerance": "1%"}).error("a")
    assert "not_null(id): 1 of 5 rows breaks it, more than 1%" in error.message


@pytest.mark.parametrize(
    ("rule", "passed", "observed"),
    [
        ({"freshness": {"at": "3h"}}, True, "the newest is 3h older than the run"),
        ({"freshness": {"at": "179m"}}, False, "the newest is 3h older than the run"),
        ({"freshness": {"at": "1d"}, "where": "id < 2"}, True, "the newest is 1d older"),
        ({"freshness": {"at": "900d"}, "where": "id = 3"}, False, "no moment at all"),
    ],
)
def test_freshness_is_the_age_of_the_newest_row(
    bench: Bench, rule: dict[str, object], passed: bool, observed: str
) -> None:
    found = result(bench, rule)
    assert found.passed == passed
    assert observed in found.observed
    assert found.failing_rows is None


def test_a_moment_ahead_of_the_run_is_told(bench: Bench) -> None:
    done = walk(bench, {"freshness": {"at": "1h"}})
    done.run_time = RUN_TIME - timedelta(hours=5)
    (found,) = done.outcome("a").checks
    assert (found.passed, found.observed) == (True, "the newest is 2h ahead of the run")


def test_freshness_is_never_reused(bench: Bench) -> None:
    done = walk(bench, {"freshness": {"at": "3h"}})
    assert done.outcome("a").checks[0].passed
    done.run_time = RUN_TIME + timedelta(hours=1)
    done.run = type(done.run)(int=1)
    assert done.error("a").code == "check_failed"


def test_a_destination_that_is_as_it_was_left_is_checked_for_freshness_anew(bench: Bench) -> None:
    sink = {"kind": "parquet", "path": "out.parquet"}
    checks = [{"freshness": {"at": "3h"}}]
    store: dict[str, object] = {
        "id": "a",
        "kind": "store",
        "input": "raw",
        "sink": sink,
        "checks": checks,
    }
    done = walk(bench, given=store)
    done.outcome("a")
    done.run = type(done.run)(int=1)
    assert done.outcome("a").written_by is not None
    done.run_time = RUN_TIME + timedelta(hours=1)
    done.run = type(done.run)(int=2)
    assert done.error("a").code == "check_failed"


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "clean", "input": "raw", "rules": [{"drop_nulls": ["id"]}]},
        {"kind": "transform", "sql": "from raw where id is not null", "inputs": ["raw"]},
        {"kind": "store", "input": "raw", "sink": {"kind": "parquet", "path": "out.parquet"}},
        {"kind": "ingest", "source": "s"},
    ],
)
def test_rules_of_any_step_look_at_other_steps(bench: Bench, given: dict[str, object]) -> None:
    checks: list[dict[str, object]] = [
        {"references": ["id"], "to": "others", "columns": ["key"]},
        {"sql": "from a semi join others on id = key where value > 1", "inputs": ["others"]},
    ]
    warned = [one | {"severity": "warn"} for one in checks]
    outcome = walk(bench, given={"id": "a", **given, "checks": warned}).outcome("a")
    assert [one.failing_rows for one in outcome.checks] == [1, 1]
    looked = [one.dataset for one in outcome.inputs if one.looked_at]
    assert looked == ["walk.others"]
    assert outcome.ledger == "balanced"


def test_other_rows_there_are_another_check(bench: Bench) -> None:
    done = walk(bench, {"references": ["id"], "to": "others", "columns": ["key"], "tolerance": 1})
    first = done.outcome("a")
    bench.write("others.csv", OTHERS + "5,x\n")
    done.run = type(done.run)(int=1)
    done.outcome("others")
    second = done.outcome("a")
    assert (first.checks[0].failing_rows, second.checks[0].failing_rows) == (1, 0)


@pytest.mark.parametrize(
    ("rule", "code", "message"),
    [
        ({"not_null": ["idd"]}, "missing_column", "check not_null(idd): there is no column `idd`"),
        ({"sql": "idd > 1"}, "sql_error", "check sql(idd > 1): Binder Error"),
        ({"sql": "cast(kind as integer) > 1"}, "sql_error", "check sql(cast(kind as integer) > 1)"),
        ({"unique": ["id"], "where": "idd"}, "sql_error", "check unique(id) where idd"),
    ],
)
def test_a_rule_that_cannot_be_evaluated_is_named(
    bench: Bench, rule: dict[str, object], code: str, message: str
) -> None:
    error = walk(bench, {"not_null": ["value"], "severity": "warn"}, rule).error("a")
    assert error.code == code
    assert message in error.message
    assert error.where == "steps.a"
