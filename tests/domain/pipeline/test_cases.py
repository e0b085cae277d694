"""Tests that stand in a pipeline file: what is refused, and which steps they run."""

from typing import Any

import pytest

from domain.pipeline.cases import case_rows_max, to_be_run
from domain.pipeline.spec import decode_spec, encode_spec, examine

PIPELINE: dict[str, Any] = {
    "pipeline": "orders",
    "sources": {"orders": {"kind": "csv", "path": "o.csv", "columns": {"id": "integer"}}},
    "steps": [
        {"id": "raw", "kind": "ingest", "source": "orders"},
        {"id": "tidy", "kind": "clean", "input": "raw", "rules": [{"drop_nulls": ["id"]}]},
        {"id": "sums", "kind": "transform", "input": "tidy", "sql": "from tidy"},
        {"id": "out", "kind": "store", "input": "sums", "sink": {"kind": "csv", "path": "s.csv"}},
    ],
}
GOOD: dict[str, Any] = {"name": "a", "given": {"raw": []}, "expect": {"sums": []}}


def mistakes(*cases: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one.path, one.message) for one in examine({**PIPELINE, "tests": [*cases]})[1]]


def test_a_good_one_is_read_and_written_as_it_is() -> None:
    spec = decode_spec({**PIPELINE, "tests": [{**GOOD, "expect": {"sums": [{"id": None}]}}]})
    assert spec.tests[0].expect == {"sums": ({"id": None},)}
    assert decode_spec(encode_spec(spec)) == spec


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        ({"name": " "}, "tests[0].name", "without a name"),
        ({"expect": {}}, "tests[0].expect", "nothing is expected"),
        ({"given": {"rwa": []}}, "tests[0].given.rwa", "no step `rwa`"),
        ({"expect": {"sms": []}}, "tests[0].expect.sms", "no step `sms`"),
        ({"expect": {"out": []}}, "tests[0].expect.out", "lies outside"),
        ({"expect": {"raw": []}, "given": {}}, "tests[0].expect.raw", "lies outside"),
        ({"given": {"sums": []}}, "tests[0].expect.sums", "they are not made"),
        ({"given": {"raw": [{}] * (case_rows_max + 1)}}, "tests[0].given.raw", "more than"),
        ({"given": {"raw": [{"id": [1]}]}}, "tests[0].given.raw[0]", "expected"),
        ({"whatever": 1}, "tests[0].whatever", "unknown key"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_place(
    change: dict[str, Any], path: str, message: str
) -> None:
    found = mistakes({**GOOD, **change})
    assert any(place.startswith(path) and message in words for place, words in found), found


def test_two_of_one_name_are_refused() -> None:
    ((path, message),) = mistakes(GOOD, GOOD)
    assert path == "tests[1].name"
    assert "tests[0]" in message


def test_what_is_between_given_and_expected_is_run_and_nothing_else() -> None:
    spec = decode_spec({**PIPELINE, "tests": [GOOD, {**GOOD, "name": "b", "given": {"tidy": []}}]})
    first, second = spec.tests
    assert [step.id for step in to_be_run(first, spec.steps)] == ["tidy", "sums"]
    assert [step.id for step in to_be_run(second, spec.steps)] == ["sums"]


def test_a_source_that_would_be_read_is_named() -> None:
    spec = decode_spec({**PIPELINE, "tests": [{**GOOD, "given": {}}]})
    with pytest.raises(KeyError, match="raw"):
        to_be_run(spec.tests[0], spec.steps)


def test_what_rules_look_at_is_needed_too() -> None:
    check = {"references": ["id"], "to": "known"}
    steps: list[dict[str, Any]] = [dict(one) for one in PIPELINE["steps"]]
    known = {"id": "known", "kind": "transform", "sql": "select 1 as id", "inputs": ["raw"]}
    steps = [known, *({**one, "checks": [check]} if one["id"] == "sums" else one for one in steps)]
    case = {**GOOD, "given": {"tidy": []}}
    spec = decode_spec({**PIPELINE, "steps": steps, "tests": [case]})
    with pytest.raises(KeyError, match="raw"):
        to_be_run(spec.tests[0], spec.steps)
    given = {**case, "given": {"tidy": [], "known": []}}
    spec = decode_spec({**PIPELINE, "steps": steps, "tests": [given]})
    assert [step.id for step in to_be_run(spec.tests[0], spec.steps)] == ["sums"]
