"""Validate: each row and the whole held against a contract."""

from typing import Any

import msgspec
import pytest

from domain.run.commands import Failed, Reused, Succeeded
from domain.run.events import StepOutcome
from tests.commands.steps.bench import Bench, Walk

CSV = """id,kind,value,day,at
1,a,0.5,2026-01-01,2026-01-01 10:00:00
2,bb,1.5,2026-01-02,2026-01-02 10:00:00
2,bb,,2026-02-01,
,,9,,
,,9,,
"""
COLUMNS = {"id": "integer", "kind": "string", "value": "number", "day": "date", "at": "timestamp"}


def contract_text(
    properties: dict[str, dict[str, Any]], quality: list[dict[str, Any]] | None = None
) -> str:
    """A contract about the columns of `CSV`, as JSON, which is YAML too."""
    listed = [
        {"name": name, "logicalType": type_, **properties.get(name, {})}
        for name, type_ in COLUMNS.items()
    ]
    table = {"name": "things", "properties": listed, "quality": quality or []}
    head = {"apiVersion": "v3.2.0", "kind": "DataContract", "id": "t", "version": "1"}
    return msgspec.json.encode({**head, "schema": [table]}).decode()


def walk(bench: Bench, text: str, **step: Any) -> Walk:
    """The CSV ingested and ready to be validated."""
    bench.write("in.csv", CSV)
    done = Walk(
        bench,
        {
            "sources": {"s": {"kind": "csv", "path": "in.csv", "columns": COLUMNS}},
            "steps": [
                {"id": "raw", "kind": "ingest", "source": "s"},
                {"id": "valid", "kind": "validate", "input": "raw", "contract": "c.yaml", **step},
            ],
        },
        files={"c.yaml": text},
    )
    done.outcome("raw")
    return done


def options(**values: Any) -> dict[str, Any]:
    """Of a property."""
    return {"logicalTypeOptions": values}


@pytest.mark.parametrize(
    ("column", "said", "rule", "found"),
    [
        ("id", {"required": True}, "required(id)", (2, None)),
        ("id", {"unique": True}, "unique(id)", (1, None)),
        ("kind", {"enum": [{"value": "a"}]}, "one_of(kind: a)", (2, 2)),
        ("id", {"enum": [{"value": 1}, {"value": 2}]}, "one_of(id: 1, 2)", (0, 2)),
        ("day", {"enum": [{"value": "2026-01-01"}]}, None, (2, 2)),
        ("value", options(minimum=1), "limit(value >= 1)", (1, 1)),
        ("value", options(maximum=1.5), None, (2, 1)),
        ("value", options(exclusiveMaximum=1.5), "limit(value < 1.5)", (3, 1)),
        ("value", options(exclusiveMinimum=0.5), None, (1, 1)),
        ("day", options(minimum="2026-01-02"), None, (1, 2)),
        ("at", options(exclusiveMinimum="2026-01-01T10:00:00"), None, (1, 3)),
        ("kind", options(minLength=2), "length(kind >= 2)", (1, 2)),
        ("kind", options(maxLength=1), None, (2, 2)),
        ("kind", options(pattern="b"), "pattern(kind: b)", (1, 2)),
        ("kind", options(pattern="^.$"), None, (2, 2)),
        ("value", options(multipleOf=0.5), "multiple_of(value: 0.5)", (0, 1)),
        ("value", options(multipleOf=1), None, (2, 1)),
    ],
)
def test_each_term_counts_what_breaks_it(
    bench: Bench,
    column: str,
    said: dict[str, Any],
    rule: str | None,
    found: tuple[int, int | None],
) -> None:
    outcome = walk(bench, contract_text({column: said}), on_violation="warn").outcome("valid")
    (result,) = outcome.checks
    assert rule is None or result.rule == rule
    failing = found[0]
    assert (result.failing_rows, result.null_rows) == found
    assert (result.passed, result.severity) == (failing == 0, "warn")
    assert len(outcome.warnings) == (failing > 0)


@pytest.mark.parametrize(
    ("rule", "passed", "observed"),
    [
        ({"metric": "nullValues", "mustBe": 2}, True, "nullValues = 2"),
        ({"metric": "nullValues", "mustNotBe": 2}, False, "nullValues = 2"),
        ({"metric": "nullValues", "mustBe": 0}, False, ""),
        ({"metric": "nullValues", "mustBeLessThan": 40, "unit": "percent"}, False, None),
        (
            {"metric": "nullValues", "mustBeLessOrEqualTo": 40, "unit": "percent"},
            True,
            "nullValues = 40.0 % (2 of 5 rows)",
        ),
        (
            {
                "metric": "missingValues",
                "arguments": {"missingValues": [None, "a"]},
                "mustBeBetween": [3, 4],
            },
            True,
            "missingValues = 3",
        ),
        (
            {
                "metric": "invalidValues",
                "arguments": {"validValues": ["a"]},
                "mustNotBeBetween": [2, 3],
            },
            False,
            "invalidValues = 2",
        ),
        (
            {"metric": "invalidValues", "arguments": {"pattern": "^b+$"}, "mustBeLessThan": 2},
            True,
            "invalidValues = 1",
        ),
        ({"metric": "duplicateValues", "mustBeGreaterOrEqualTo": 1}, True, "duplicateValues = 1"),
        (
            {
                "type": "sql",
                "query": "select count(*) from ${table} where ${column} = 'a'",
                "mustBe": 1,
            },
            True,
            "1",
        ),
        (
            {"type": "sql", "query": "SELECT max(length(kind)) FROM things", "mustBeLessThan": 2},
            False,
            "2",
        ),
        ({"type": "sql", "query": "select null::int", "mustBe": 0}, False, "no number"),
        ({"type": "sql", "query": "from range(3)", "mustBe": 0}, False, "3 rows instead"),
    ],
)
def test_each_quality_rule_of_a_column(
    bench: Bench, rule: dict[str, Any], passed: bool, observed: str | None
) -> None:
    text = contract_text({"kind": {"quality": [rule]}})
    (result,) = walk(bench, text, on_violation="warn").outcome("valid").checks
    assert result.passed == passed
    assert observed is None or observed in result.observed


@pytest.mark.parametrize(
    ("rule", "passed"),
    [
        ({"metric": "rowCount", "mustBe": 5}, True),
        ({"metric": "rowCount", "mustBeGreaterThan": 5}, False),
        ({"metric": "rowCount", "mustBeBetween": [1, 5]}, True),
        ({"metric": "duplicateValues", "arguments": {"properties": ["id", "day"]}, "mustBe": 0}, 1),
        ({"metric": "duplicateValues", "arguments": {"properties": ["id"]}, "mustBe": 0}, False),
    ],
)
def test_each_quality_rule_of_the_table(bench: Bench, rule: dict[str, Any], passed: bool) -> None:
    (result,) = walk(bench, contract_text({}, [rule]), on_violation="warn").outcome("valid").checks
    assert result.passed == bool(passed)


def test_a_compound_primary_key(bench: Bench) -> None:
    key = {"primaryKey": True}
    text = contract_text({"id": key, "day": key})
    checks = walk(bench, text, on_violation="warn").outcome("valid").checks
    assert {one.rule: one.failing_rows for one in checks} == {
        "required(id)": 2,
        "required(day)": 2,
        "unique(id, day)": 0,
    }


def test_fail_tells_every_broken_term_with_counts_and_first_rows(bench: Bench) -> None:
    text = contract_text(
        {
            "id": {"primaryKey": True},
            "kind": {"required": True, "classification": "restricted"} | options(maxLength=1),
        },
        [{"metric": "rowCount", "mustBe": 5, "name": "all of them"}],
    )
    result = walk(bench, text).step("valid")
    assert isinstance(result, Failed)
    error = result.error
    assert (error.code, error.where, error.retryable) == (
        "contract_violated",
        "steps.valid",
        False,
    )
    head, *lines = error.message.splitlines()
    assert head == "4 of 5 terms of c.yaml are broken"
    assert "required(id): 2 rows break it (c.yaml:1); row 4 (id = null); row 5" in "\n".join(lines)
    assert "unique(id): 1 row breaks it (c.yaml:1); row 3 (id = 2)" in lines
    assert "row 2 (id = 2, kind = hidden)" in error.message
    assert "on_violation" in error.hint
    assert result.outcome is not None
    assert [check.passed for check in result.outcome.checks] == [False] * 4 + [True]
    assert result.outcome.rows_in == 5


def test_a_mild_severity_only_warns(bench: Bench) -> None:
    rule = {"metric": "rowCount", "mustBe": 6, "severity": "warning", "description": "six"}
    outcome = walk(bench, contract_text({}, [rule])).outcome("valid")
    assert [(one.name, one.severity, one.passed) for one in outcome.checks] == [
        ("six", "warn", False)
    ]
    assert "six: rowCount = 6: rowCount = 5 (c.yaml:1)" in outcome.warnings[0]


def test_the_output_of_a_contract_that_is_kept_is_the_input(bench: Bench) -> None:
    done = walk(bench, contract_text({"value": options(minimum=0)}))
    outcome = done.outcome("valid")
    assert outcome.output == done.done["raw"]
    assert (outcome.rows_in, outcome.rows_out, outcome.rows_quarantined) == (5, 5, 0)
    assert (outcome.ledger, outcome.warnings) == ("balanced", ())


def test_what_nobody_checks_is_told(bench: Bench) -> None:
    rules = [{"type": "text", "description": "be nice"}, {"type": "custom", "engine": "soda"}]
    outcome = walk(bench, contract_text({}, rules)).outcome("valid")
    assert outcome.checks == ()
    assert outcome.warnings == (
        "not checked in c.yaml: line 1: quality rule of type text (be nice) and 1 more",
    )


def test_a_contract_with_more_terms_than_an_event_can_hold(bench: Bench) -> None:
    values = [{"metric": "rowCount", "mustBe": 5, "name": f"n{n}"} for n in range(600)]
    values.append({"metric": "rowCount", "mustBe": 4, "name": "wrong"})
    outcome = walk(bench, contract_text({}, values), on_violation="warn").outcome("valid")
    assert len(outcome.checks) == 151
    assert (outcome.checks[0].name, outcome.checks[0].passed) == ("wrong", False)
    assert outcome.checks[-1].name == "451 more terms of the contract"


@pytest.mark.parametrize(
    ("types", "code"),
    [({"value": "boolean"}, "wrong_type"), ({"more": "string"}, "missing_column")],
)
def test_columns_that_a_run_finds_otherwise(bench: Bench, types: dict[str, str], code: str) -> None:
    listed = [{"name": name, "logicalType": type_} for name, type_ in types.items()]
    head = {"apiVersion": "v3.2.0", "kind": "DataContract", "id": "t", "version": "1"}
    table = {"name": "things", "properties": listed}
    text = msgspec.json.encode({**head, "schema": [table]}).decode()
    error = walk(bench, text, on_violation="warn").error("valid")
    assert (error.code, error.where) == (code, "steps.valid")


def sifted(bench: Bench, text: str, **step: Any) -> tuple[Walk, StepOutcome]:
    """A validate step that sets rows apart, done."""
    done = walk(bench, text, on_violation="quarantine", limits={"max_quarantined": 5}, **step)
    return done, done.outcome("valid")


def test_rows_that_break_a_term_are_set_apart(bench: Bench) -> None:
    text = contract_text({"id": {"required": True}, "value": options(minimum=1)})
    done, outcome = sifted(bench, text)
    kept = bench.rows(outcome.output)
    assert [(row["id"], row["value"]) for row in kept] == [(2, 1.5), (2, None)]
    assert list(kept[0]) == list(COLUMNS)
    assert outcome.quarantine is not None
    assert outcome.quarantine.dataset == "walk.valid.quarantine"
    apart = bench.rows(outcome.quarantine)
    assert [
        (row["id"], row["value"], row["headwater_rule"], row["headwater_line"]) for row in apart
    ] == [
        ("1", "0.5", "limit(value >= 1)", 2),
        (None, "9.0", "required(id)", 5),
        (None, "9.0", "required(id)", 6),
    ]
    assert apart[0]["headwater_reason"] == "`value` is '0.5': limit(value >= 1)"
    assert apart[1]["headwater_reason"] == "`id` is missing: required(id)"
    assert {row["headwater_source"] for row in apart} == {str(bench.project / "in.csv")}
    (entry,) = outcome.inputs
    assert (entry.rows_in, entry.reached, entry.filtered, entry.quarantined) == (5, 2, 0, 3)
    assert (outcome.rows_in, outcome.rows_out, outcome.rows_quarantined) == (5, 2, 3)
    assert outcome.ledger == "balanced"
    assert [(one.rule, one.rows, one.effect) for one in outcome.counts] == [
        ("required(id)", 2, "quarantined"),
        ("limit(value >= 1)", 1, "quarantined"),
    ]
    assert [(one.rule, one.passed, one.severity) for one in outcome.checks] == [
        ("required(id)", False, "warn"),
        ("limit(value >= 1)", False, "warn"),
    ]
    assert outcome.warnings == ()
    assert done.done["valid"] == outcome.output


def test_of_rows_that_agree_the_first_good_one_stays(bench: Bench) -> None:
    text = contract_text({"id": {"unique": True}, "value": options(exclusiveMinimum=0.5)})
    outcome = sifted(bench, text)[1]
    kept = [(row["id"], row["value"]) for row in bench.rows(outcome.output)]
    assert kept == [(2, 1.5), (None, 9.0), (None, 9.0)]
    text = contract_text({"id": {"unique": True}, "value": options(maximum=1)})
    outcome = sifted(bench, text)[1]
    kept = [(row["id"], row["value"]) for row in bench.rows(outcome.output)]
    assert kept == [(1, 0.5), (2, None)], "the bad row takes no place from the good one"


def test_a_contract_that_every_row_keeps_copies_nothing(bench: Bench) -> None:
    done, outcome = sifted(bench, contract_text({"value": options(minimum=0)}))
    assert outcome.output == done.done["raw"]
    assert (outcome.quarantine, outcome.rows_quarantined) == (None, 0)


def test_what_is_left_is_held_against_the_terms_of_the_whole(bench: Bench) -> None:
    text = contract_text(
        {"id": {"required": True}}, [{"metric": "rowCount", "mustBeGreaterThan": 3}]
    )
    result = walk(bench, text, on_violation="quarantine", limits={"max_quarantined": 5}).step(
        "valid"
    )
    assert isinstance(result, Failed)
    assert result.error.code == "contract_violated"
    assert "rowCount > 3: rowCount = 3 (c.yaml:1)" in result.error.message
    assert result.outcome is not None
    assert result.outcome.quarantine is not None


def test_a_mild_term_sets_nothing_apart(bench: Bench) -> None:
    rule = {"metric": "nullValues", "mustBe": 0, "severity": "info"}
    done, outcome = sifted(bench, contract_text({"id": {"quality": [rule]}}))
    assert outcome.output == done.done["raw"]
    assert "required(id): 2 rows break it" in outcome.warnings[0]


def test_more_than_the_limit_fails(bench: Bench) -> None:
    text = contract_text({"id": {"required": True}})
    error = walk(bench, text, on_violation="quarantine").error("valid")
    assert error.code == "too_many_quarantined"
    assert "2 of 5 rows would be set apart, more than the 5% allowed" in error.message


def test_columns_of_rows_that_were_set_apart_come_from_the_input(bench: Bench) -> None:
    done = walk(
        bench,
        contract_text({"id": {"required": True}}),
        on_violation="quarantine",
        limits={"max_quarantined": 5},
    )
    result = done.step("valid")
    assert isinstance(result, Succeeded)
    assert {(one.source, one.source_column, one.column) for one in result.edges} == {
        ("raw", name, name) for name in COLUMNS
    }


def again(bench: Bench, text: str) -> type[object]:
    """What becomes of the step in another run with this contract."""
    return type(walk(bench, text, on_violation="warn").step("valid"))


def test_the_contract_decides_whether_an_outcome_is_reused(bench: Bench) -> None:
    rule = {"type": "sql", "query": "select count(${column}) from ${table}", "mustBe": 3}
    text = contract_text({"id": {"required": True, "quality": [rule]}})
    walk(bench, text, on_violation="warn").outcome("valid")
    assert again(bench, text) is Reused
    assert again(bench, contract_text({"id": {"unique": True}})) is Succeeded


def test_a_contract_that_asks_for_another_answer_each_time_is_not_reused(bench: Bench) -> None:
    rule = {"type": "sql", "query": "select random() from ${table} limit 1", "mustBeLessThan": 2}
    text = contract_text({}, [rule])
    walk(bench, text, on_violation="warn").outcome("valid")
    assert again(bench, text) is Succeeded


def test_rules_see_the_rows_that_are_left_and_those_that_came_in(bench: Bench) -> None:
    text = contract_text({"id": {"required": True}})
    checks: list[dict[str, object]] = [
        {"sql": "from valid", "name": "left"},
        {"sql": "from raw", "inputs": ["raw"], "name": "came in"},
        {"references": ["id"], "to": "raw"},
        {"references": ["kind"], "to": "valid"},
    ]
    warned = [one | {"severity": "warn"} for one in checks]
    limits = {"max_quarantined": 5}
    done = walk(bench, text, on_violation="quarantine", checks=warned, limits=limits)
    outcome = done.outcome("valid")
    *_, left, came_in, known, own = outcome.checks
    assert (left.failing_rows, came_in.failing_rows) == (3, 5)
    assert (known.failing_rows, own.failing_rows) == (0, 0)
    assert {one.checked_rows for one in (left, came_in, known, own)} == {3}
    assert (outcome.checks[0].checked_rows, outcome.checks[0].failing_rows) == (5, 2)
