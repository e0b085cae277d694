"""Rules as the file has them: what is understood, what is refused and with which words."""

from typing import Any

import pytest

from domain.pipeline.rules import (
    Freshness,
    QualityRules,
    References,
    Sql,
    Unique,
    describe,
    named_by,
)
from domain.pipeline.spec import decode_spec, encode_spec, examine
from domain.pipeline.steps import Check, lookups_of, named_by_rules, needs_of
from domain.pipeline.units import Duration, spoken


def spec(*steps: dict[str, object]) -> dict[str, object]:
    first = {"id": "raw", "kind": "ingest", "source": "s"}
    return {
        "pipeline": "p",
        "sources": {"s": {"kind": "csv", "path": "s.csv"}},
        "steps": [first, *steps],
    }


def check(rule: dict[str, object]) -> dict[str, object]:
    return {"id": "a", "kind": "check", "input": "raw", "rules": [rule]}


def clean(rule: dict[str, object]) -> dict[str, object]:
    return {"id": "a", "kind": "clean", "input": "raw", "rules": [rule]}


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"freshness": {"at": "24h"}}, "freshness(at: 24h)"),
        ({"references": ["a"], "to": "b"}, "references(a: b.a)"),
        ({"references": ["a", "c"], "to": "b", "columns": ["x", "y"]}, "references(a, c: b.x, y)"),
        ({"sql": "a >\n  0"}, "sql(a > 0)"),
        ({"sql": "select 1", "name": "none"}, "sql(select 1)"),
        ({"unique": ["a"], "where": "b = 1"}, "unique(a) where b = 1"),
        ({"row_count": {"min": 1}, "where": "b  = 1"}, "row_count(1…) where b = 1"),
        ({"not_null": ["a"], "tolerance": "0.1%"}, "not_null(a)"),
    ],
)
def test_a_check_in_one_line(rule: dict[str, object], text: str) -> None:
    decoded = decode_spec(spec(check(rule)))
    step = decoded.step("a")
    assert isinstance(step, Check)
    assert describe(step.rules[0]) == text
    assert decode_spec(encode_spec(decoded)) == decoded


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"trim": ["a", "b"]}, "trim(a, b)"),
        ({"fill": {"a": 0, "b": ""}}, "fill(a: 0, b: )"),
        ({"map": {"a": {"x": "y", "n": None}}}, "map(a: x → y, n → None)"),
        ({"map": {"a": {str(one): one for one in range(9)}}, "others": "null"}, None),
    ],
)
def test_a_cleaning_rule_in_one_line(rule: dict[str, object], text: str | None) -> None:
    decoded = decode_spec(spec(clean(rule)))
    (told,) = (describe(one) for one in decoded.step("a").rules)  # type: ignore[union-attr]
    assert text is None or told == text
    assert len(told) < 200
    assert decode_spec(encode_spec(decoded)) == decoded


@pytest.mark.parametrize(
    ("step", "path", "message"),
    [
        (check({"freshness": {"at": "soon"}}), "rules[0].freshness.at", "'soon' is no time"),
        (check({"freshness": {}}), "rules[0].freshness", "no column at all"),
        (check({"references": ["a"]}), "rules[0]", "`to` is missing"),
        (check({"references": [], "to": "raw"}), "rules[0].references", "no column at all"),
        (
            check({"references": ["a"], "to": "raw", "columns": ["a", "b"]}),
            "rules[0].columns",
            "1 columns are held against 2",
        ),
        (check({"sql": " "}), "rules[0].sql", "an empty text"),
        (
            check({"sql": "-- which\nselect 1", "where": "a"}),
            "rules[0].where",
            "`where` beside a query",
        ),
        (
            check({"unique": ["a"], "tolerance": "1000%"}),
            "rules[0].tolerance",
            "'1000%' is no share",
        ),
        (check({"unique": ["a"], "tolerance": -1}), "rules[0].tolerance", "never below 0"),
        (
            check({"row_count": {"min": 1}, "tolerance": "1%"}),
            "rules[0].tolerance",
            "unknown key `tolerance`",
        ),
        (check({"relationships": {"to": "b"}}), "rules[0].relationships", "there is no rule"),
        (clean({"trim": []}), "rules[0].trim", "no column at all"),
        (clean({"fill": {"a": None}}), "rules[0].fill.a", "got nothing"),
        (clean({"map": {"a": {}}}), "rules[0].map.a", "no value at all is mapped"),
        (
            clean({"map": {"a": {str(one): "" for one in range(1001)}}}),
            "rules[0].map.a",
            "1001 values, more than 1000",
        ),
        (clean({"map": {"a": {"x": "y"}}, "others": "drop"}), "rules[0].others", "'drop'"),
        (clean({"sql": "a > 0"}), "rules[0].sql", "there is no rule `sql` here"),
    ],
)
def test_a_rule_that_is_refused(step: dict[str, object], path: str, message: str) -> None:
    decoded, problems = examine(spec(step))
    assert decoded is None
    assert [one.path for one in problems] == [f"steps.a.{path}"]
    assert message in problems[0].message


@pytest.mark.parametrize(
    ("word", "ours"), [("relationships", "references"), ("expression_is_true", "sql")]
)
def test_what_other_tools_call_it_leads_to_our_word(word: str, ours: str) -> None:
    _, problems = examine(spec(check({word: {}})))
    assert problems[0].hint == f"write `{ours}`"


@pytest.mark.parametrize(
    ("text", "is_query"),
    [
        ("select 1", True),
        ("  WITH a as (select 1) from a", True),
        ("from raw where x", True),
        ("-- the late ones\n/* all */ select 1", True),
        ("a > 0", False),
        ("(select max(x) from raw) > 3", False),
        ("selected", False),
        ("-- select\na > 0", False),
    ],
)
def test_a_query_begins_as_queries_do(text: str, is_query: bool) -> None:
    assert Sql(sql=text).is_query == is_query


@pytest.mark.parametrize(
    ("tolerance", "broken", "rows", "allowed"),
    [
        (0, 0, 0, True),
        (0, 1, 10, False),
        (1, 1, 10, True),
        (1, 2, 10, False),
        ("0.1%", 1, 1000, True),
        ("0.1%", 2, 1000, False),
        ("0.1%", 1, 999, False),
        ("0%", 0, 0, True),
        ("100%", 7, 7, True),
    ],
)
def test_a_tolerance_has_no_grey_edge(
    tolerance: str | int, broken: int, rows: int, allowed: bool
) -> None:
    assert Unique(unique=("a",), tolerance=tolerance).allows(broken, rows) == allowed


def step(*rules: Any) -> Check:
    return Check(id="a", input="raw", rules=QualityRules(rules))


def test_a_step_waits_for_those_that_its_rules_look_at() -> None:
    one = step(
        References(references=("x",), to="b"),
        References(references=("x",), to="raw"),
        References(references=("x",), to="a"),
        Sql(sql="select 1", inputs=("c", "b")),
        Freshness(freshness={"x": Duration("1h")}),
    )
    assert named_by_rules(one) == ("b", "raw", "c")
    assert lookups_of(one) == ("b", "c")
    assert needs_of(one) == ("raw", "b", "c")
    assert named_by(one.rules[4]) == ()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0s"), (61, "1m 1s"), (3600, "1h"), (93_784, "1d 2h"), (90, "1m 30s")],
)
def test_a_time_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert spoken(seconds) == text
