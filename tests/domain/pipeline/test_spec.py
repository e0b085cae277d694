"""The pipeline file as types: what it says, its canonical bytes, what is refused."""

from typing import Any

import msgspec
import pytest

from domain.errors import Malformed
from domain.pipeline.limits import Limits
from domain.pipeline.rules import (
    Deduplicate,
    DropNulls,
    Ordering,
    Range,
    RowCount,
    RowLimits,
    describe,
    orderings,
)
from domain.pipeline.sources import CsvSource
from domain.pipeline.spec import InvalidSpec, bundle_hash, decode_spec, encode_spec, examine
from domain.pipeline.steps import Clean, Store, Transform, inputs_of, kind_of
from domain.pipeline.units import ByteSize, Duration

FLIGHTS: dict[str, Any] = {
    "pipeline": "flights",
    "params": {"min_month": {"type": "integer", "default": 1}},
    "defaults": {"retry": {"attempts": 3, "initial": "1s"}, "timeout": "5m"},
    "sources": {"flights": {"kind": "csv", "path": "f.csv", "nulls": ["NA"]}},
    "steps": [
        {"id": "raw", "kind": "ingest", "source": "flights"},
        {
            "id": "flown",
            "kind": "clean",
            "input": "raw",
            "rules": [
                {"drop_nulls": ["dep_time"]},
                {"deduplicate": ["flight"], "keep": "last", "order_by": ["dep_time desc"]},
            ],
        },
        {
            "id": "made",
            "kind": "transform",
            "inputs": {"f": "flown"},
            "sql": "from f",
            "checks": [{"range": {"month": [1, None]}, "severity": "warn", "name": "months"}],
        },
        {
            "id": "out",
            "kind": "store",
            "input": "made",
            "sink": {"kind": "parquet", "path": "o.parquet"},
        },
    ],
}


def with_step(**step: object) -> dict[str, Any]:
    """A pipeline of one step."""
    return {"pipeline": "p", "steps": [{"id": "a", **step}]}


def test_a_spec_says_what_the_file_says() -> None:
    spec = decode_spec(FLIGHTS)
    assert [(step.id, kind_of(step)) for step in spec.steps] == [
        ("raw", "ingest"),
        ("flown", "clean"),
        ("made", "transform"),
        ("out", "store"),
    ]
    source = spec.sources["flights"]
    assert isinstance(source, CsvSource)
    assert source.null_texts == ("", "NA")
    flown = spec.step("flown")
    assert isinstance(flown, Clean)
    drop, dedupe = flown.rules
    assert isinstance(drop, DropNulls)
    assert isinstance(dedupe, Deduplicate)
    assert orderings(dedupe.order_by) == (Ordering("dep_time", descending=True),)
    assert describe(dedupe) == "deduplicate(flight)"
    made = spec.step("made")
    assert isinstance(made, Transform)
    assert inputs_of(made) == {"f": "flown"}
    (check,) = made.checks
    assert isinstance(check, Range)
    assert describe(check) == "range(month: 1…None)"
    assert isinstance(spec.step("out"), Store)
    assert spec.defaults.timeout == Duration("5m")
    assert spec.parallel == 64


def test_canonical_bytes_read_back_as_the_same() -> None:
    spec = decode_spec(FLIGHTS)
    encoded = encode_spec(spec)
    assert decode_spec(encoded) == spec
    assert encode_spec(decode_spec(encoded)) == encoded
    assert msgspec.json.decode(encoded)["steps"][2]["checks"] == [
        {"name": "months", "severity": "warn", "range": {"month": [1, None]}}
    ]


def test_a_bundle_is_its_spec_and_its_files() -> None:
    encoded = encode_spec(decode_spec(FLIGHTS))
    one = bundle_hash(encoded, {"a.sql": "select 1", "b.sql": "select 2"})
    assert one == bundle_hash(encoded, {"b.sql": "select 2", "a.sql": "select 1"})
    assert one != bundle_hash(encoded, {"a.sql": "select 1", "b.sql": "select 3"})
    assert one != bundle_hash(encoded, {})
    assert len(one) == 64


@pytest.mark.parametrize(
    ("step", "path", "message"),
    [
        ({"kind": "ingest"}, "steps.a", "`source` is missing"),
        ({}, "steps.a", "`kind` is missing"),
        ({"kind": 3}, "steps.a.kind", "expected text, got a whole number"),
        ({"kind": "ingest", "source": None}, "steps.a.source", "expected text, got nothing"),
        (
            {"kind": "transform"},
            "steps.a",
            "a transform has one of `sql`, `sql_file` and `python`, this has none of them",
        ),
        (
            {"kind": "transform", "sql": "from b", "python": "m:f"},
            "steps.a.python",
            "this has `sql` and `python`",
        ),
        (
            {"kind": "transform", "sql": "x", "input": "b", "inputs": ["b"]},
            "steps.a.input",
            "`input` beside `inputs`",
        ),
        (
            {"kind": "transform", "python": "steps.score", "input": "b"},
            "steps.a.python",
            "names no function",
        ),
        ({"kind": "transform", "python": "m:f"}, "steps.a", "needs `input` or `inputs`"),
        (
            {"kind": "transform", "sql": "x", "inputs": {"Select": "b"}},
            "steps.a.inputs.Select",
            "is no name",
        ),
        (
            {"kind": "transform", "sql": "x", "retry": {"attempts": 0}},
            "steps.a.retry.attempts",
            "0 is not between 1 and 100",
        ),
        (
            {"kind": "transform", "sql": "x", "retry": {"multiplier": 0.5}},
            "steps.a.retry.multiplier",
            "0.5 is not between 1 and 100",
        ),
        (
            {"kind": "transform", "sql": "x", "memory": "1MiB"},
            "steps.a.memory",
            "less than 16MiB",
        ),
        (
            {"kind": "transform", "sql": "x", "memory": 512},
            "steps.a.memory",
            "expected text, got a whole number; write 512MiB",
        ),
        ({"kind": "transform", "sql": "x", "timeout": "0s"}, "steps.a.timeout", "not between"),
        ({"kind": "clean", "input": "b", "rules": []}, "steps.a.rules", "no rule at all"),
        (
            {"kind": "clean", "input": "b", "rules": {"drop_nulls": ["x"]}},
            "steps.a.rules",
            "expected a list, got a map",
        ),
        (
            {"kind": "check", "input": "b", "rules": [{"range": {"x": [3]}}]},
            "steps.a.rules[0].range.x",
            "expected a list of 2",
        ),
        (
            {"kind": "check", "input": "b", "rules": [{"range": {"x": [3, 1]}}]},
            "steps.a.rules[0].range.x",
            "nothing lies between 3 and 1",
        ),
        (
            {"kind": "check", "input": "b", "rules": [{"range": {"x": [3, "z"]}}]},
            "steps.a.rules[0].range.x",
            "differ in type",
        ),
        (
            {"kind": "check", "input": "b", "rules": [{"row_count": {}}]},
            "steps.a.rules[0].row_count",
            "neither `min` nor `max`",
        ),
        (
            {"kind": "check", "input": "b", "rules": [{"row_count": {"mni": 1}}]},
            "steps.a.rules[0].row_count.mni",
            "unknown key `mni`",
        ),
        (
            {"kind": "check", "input": "b", "rules": [{"unique": ["x", "X"]}]},
            "steps.a.rules[0].unique",
            "column 'X' is there twice",
        ),
        (
            {"kind": "check", "input": "b", "rules": [{"unique": ["x"], "lookup": "y"}]},
            "steps.a.rules[0].lookup",
            "`lookup` is not there yet",
        ),
        (
            {"kind": "check", "input": "b", "rules": [{"severity": "warn"}]},
            "steps.a.rules[0].severity",
            "there is no rule",
        ),
        (
            {"kind": "store", "input": "b", "mode": "upsert", "sink": {"kind": "csv", "path": "x"}},
            "steps.a.mode",
            "`upsert` is not there yet",
        ),
        (
            {"kind": "store", "input": "b", "sink": {"kind": "postgres", "path": "x"}},
            "steps.a.sink.kind",
            "`postgres` is not there yet",
        ),
        (
            {"kind": "store", "input": "b", "sink": {"kind": "csv", "paht": "x"}},
            "steps.a.sink.paht",
            "unknown key `paht`",
        ),
        ({"kind": "store", "input": "b", "sink": "x.csv"}, "steps.a.sink", "expected a map"),
    ],
)
def test_a_step_that_is_refused(step: dict[str, object], path: str, message: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        decode_spec(with_step(**step))
    assert caught.value.path == path
    assert message in caught.value.message
    assert isinstance(caught.value, Malformed)


@pytest.mark.parametrize("word", ["alerts", "contracts", "schedule", "on_failure"])
def test_words_that_come_later_are_refused_by_name(word: str) -> None:
    (problem,) = examine({**FLIGHTS, word: {}})[1]
    assert (problem.path, problem.message) == (word, f"`{word}` is not there yet")


@pytest.mark.parametrize(
    ("value", "path", "message"),
    [
        (None, "", "expected a map, got nothing"),
        ([], "", "expected a map, got a list"),
        ({}, "", "`pipeline` is missing"),
        (b"{", "", "not JSON"),
        (b"[" * 100_000, "", "not JSON"),
        ({**FLIGHTS, "pipeline": "Flights"}, "pipeline", "'Flights' is no name"),
        ({**FLIGHTS, "pipeline": "table"}, "pipeline", "is a reserved word of SQL"),
        ({**FLIGHTS, "parallel": 65}, "parallel", "65 is not between 1 and 64"),
        ({**FLIGHTS, "parallel": True}, "parallel", "expected a whole number, got true"),
        ({**FLIGHTS, "steps": {}}, "steps", "expected a list"),
        ({**FLIGHTS, "steps": [None]}, "steps[0]", "expected a map, got nothing"),
        (
            {**FLIGHTS, "params": {"run_time": {"type": "string"}}},
            "params.run_time",
            "is given by Headwater",
        ),
        (
            {**FLIGHTS, "sources": {"x": {"kind": "csv", "path": "a", "header": False}}},
            "sources.x.header",
            "does not name its columns",
        ),
        (
            {**FLIGHTS, "sources": {"x": {"kind": "csv", "path": "a", "columns": {"ok": "text"}}}},
            "sources.x.columns.ok",
            "'text' is not known here",
        ),
        (
            {**FLIGHTS, "steps": [FLIGHTS["steps"][0]] * 2},
            "steps[1].id",
            "a second step is called 'raw'; the first is steps[0]",
        ),
    ],
)
def test_a_file_that_is_refused(value: object, path: str, message: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        decode_spec(value)
    assert caught.value.path == path
    assert message in caught.value.message


def test_row_count_in_words() -> None:
    assert describe(RowCount(row_count=RowLimits(min=100))) == "row_count(100…)"


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("30s", 30), ("5m", 300), ("1.5h", 5400), ("1d", 86400)]
)
def test_times(text: str, seconds: float) -> None:
    assert Duration(text).seconds == seconds


@pytest.mark.parametrize("text", ["", "30", "s", "-1s", "30 s", "1w", "1e3s", "١s"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        Duration(text)


def test_sizes() -> None:
    assert ByteSize("512MiB").bytes == 512 * 2**20
    assert ByteSize("2GB").bytes == 2 * 10**9
    with pytest.raises(ValueError, match="is no size"):
        ByteSize("512")


@pytest.mark.parametrize("most", ["101%", "5", "-1%", "a lot", -1])
def test_a_limit_that_is_no_share_and_no_number_is_refused(most: str | int) -> None:
    (problem,) = examine({**FLIGHTS, "limits": {"max_quarantined": most}})[1]
    assert problem.path == "limits.max_quarantined"


@pytest.mark.parametrize(
    ("most", "fits"),
    [("5%", 5), ("0%", 0), ("2.5 %", 2), ("100%", 100), (7, 7), (0, 0)],
)
def test_a_limit_allows_a_share_or_a_number_of_rows(most: str | int, fits: int) -> None:
    limits = Limits(max_quarantined=most)
    assert limits.allow(fits, 100)
    assert not limits.allow(fits + 1, 100)


@pytest.mark.parametrize(
    ("type_", "hint"),
    [("strng", "did you mean `string`?"), ("blob", "known here: boolean, date, decimal, integer")],
)
def test_a_columns_type_is_guessed_or_all_are_told(type_: str, hint: str) -> None:
    source = {"kind": "csv", "path": "a", "columns": {"ok": type_}}
    with pytest.raises(InvalidSpec) as caught:
        decode_spec({**FLIGHTS, "sources": {"x": source}})
    assert caught.value.hint.startswith(hint)
