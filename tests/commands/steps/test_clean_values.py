"""Cleaning values: trim, fill and map, with what they change counted, held against plain Python."""

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.run.events import StepOutcome
from tests.commands.steps.bench import Bench, Walk

Row = dict[str, Any]
COLUMNS = {"id": "integer", "name": "string", "score": "number"}
SPACES = " \t\n\r\f\v\u00a0\u2003\u3000"


def cleaned(bench: Bench, rows: list[Row], *rules: dict[str, object]) -> tuple[StepOutcome, list]:  # type: ignore[type-arg]  # rows of a file
    types: dict[str, pa.DataType] = {
        "id": pa.int64(),
        "name": pa.string(),
        "score": pa.float64(),
    }
    schema = pa.schema(types)
    pq.write_table(pa.Table.from_pylist(rows, schema), bench.project / "in.parquet")
    walk = Walk(
        bench,
        {
            "sources": {"s": {"kind": "parquet", "path": "in.parquet", "columns": COLUMNS}},
            "steps": [
                {"id": "raw", "kind": "ingest", "source": "s", "allow_empty": True},
                {"id": "a", "kind": "clean", "input": "raw", "rules": list(rules)},
            ],
        },
    )
    walk.outcome("raw")
    outcome = walk.outcome("a")
    assert outcome.output is not None
    return outcome, bench.rows(outcome.output)


ROWS: list[Row] = [
    {"id": 1, "name": " Ada\t", "score": 1.5},
    {"id": 2, "name": "Grace", "score": None},
    {"id": None, "name": "\u00a0", "score": 2.0},
    {"id": None, "name": None, "score": None},
]


@pytest.mark.parametrize(
    ("rule", "column", "values", "counted"),
    [
        ({"trim": ["name"]}, "name", ["Ada", "Grace", "", None], (2, 2)),
        ({"fill": {"name": "x"}}, "name", [" Ada\t", "Grace", "\u00a0", "x"], (1, 1)),
        ({"fill": {"id": 0, "score": 9}}, "id", [1, 2, 0, 0], (3, 4)),
        ({"fill": {"id": 0, "score": 9}}, "score", [1.5, 9.0, 2.0, 9.0], (3, 4)),
        ({"map": {"id": {"1": 7}}}, "id", [7, 2, None, None], (1, 1)),
        ({"map": {"id": {"1": None, "2": 2}}}, "id", [None, 2, None, None], (1, 1)),
        ({"map": {"id": {"2": 3}}, "others": "null"}, "id", [None, 3, None, None], (2, 2)),
        ({"map": {"name": {"Grace": "it's \"x\""}}}, "name",
         [" Ada\t", "it's \"x\"", "\u00a0", None], (1, 1)),
    ],
)  # fmt: skip
def test_what_a_rule_makes_of_values(
    bench: Bench, rule: dict[str, object], column: str, values: list[Any], counted: tuple[int, int]
) -> None:
    outcome, made = cleaned(bench, ROWS, rule)
    assert [row[column] for row in made] == values
    (count,) = outcome.counts
    assert (count.rows, count.cells, count.effect) == (*counted, "changed")
    assert (outcome.rows_out, outcome.rows_filtered, outcome.ledger) == (4, 0, "balanced")


def test_rules_see_what_those_before_them_made(bench: Bench) -> None:
    outcome, made = cleaned(
        bench,
        ROWS,
        {"trim": ["name"]},
        {"map": {"name": {"": None}}},
        {"fill": {"name": "nobody"}},
        {"keep_rows": "name <> 'Grace'"},
        {"map": {"name": {"Grace": "Admiral", "nobody": "somebody"}}},
        {"deduplicate": ["name"]},
    )
    assert [row["name"] for row in made] == ["Ada", "somebody"]
    counts = [(one.rows, one.effect) for one in outcome.counts]
    assert counts == [(2, "changed"), (1, "changed"), (2, "changed"), (1, "removed"),
                      (2, "changed"), (1, "removed")]  # fmt: skip


texts = st.none() | st.text(st.sampled_from("ab'\"é" + SPACES), max_size=4)
rows = st.fixed_dictionaries(
    {
        "id": st.none() | st.integers(0, 3),
        "name": texts,
        "score": st.none() | st.sampled_from([0.5, 1.0, 2.0]),
    }
)


def plain(row: Row, rule: dict[str, Any]) -> Row:
    """What a rule makes of a row, in plain Python."""
    made = dict(row)
    for name in rule.get("trim", ()):
        made[name] = row[name].strip() if row[name] is not None else None
    for name, value in rule.get("fill", {}).items():
        made[name] = value if row[name] is None else row[name]
    for name, pairs in rule.get("map", {}).items():
        old = row[name]
        rest = old if rule.get("others", "keep") == "keep" else None
        made[name] = pairs[str(old)] if old is not None and str(old) in pairs else rest
    return made


rules = st.one_of(
    st.just({"trim": ["name"]}),
    st.fixed_dictionaries({"fill": st.fixed_dictionaries({"id": st.integers(0, 3)})}),
    st.fixed_dictionaries({"fill": st.fixed_dictionaries({"name": st.text("a ", max_size=2)})}),
    st.fixed_dictionaries(
        {
            "map": st.dictionaries(
                st.just("name"), st.dictionaries(texts.filter(bool), texts, min_size=1), min_size=1
            ),
            "others": st.sampled_from(["keep", "null"]),
        }
    ),
    st.fixed_dictionaries(
        {
            "map": st.fixed_dictionaries(
                {
                    "id": st.dictionaries(
                        st.sampled_from("0123"), st.none() | st.integers(0, 3), min_size=1
                    )
                }
            ),
        }
    ),
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(given_rows=st.lists(rows, max_size=5), given_rules=st.lists(rules, min_size=1, max_size=4))
def test_as_plain_python_has_it(
    bench: Bench, given_rows: list[Row], given_rules: list[dict[str, object]]
) -> None:
    outcome, made = cleaned(bench, given_rows, *given_rules)
    expected, counts = given_rows, []
    for rule in given_rules:
        after = [plain(row, rule) for row in expected]
        pairs = [(old, new) for old, new in zip(expected, after, strict=True) if old != new]
        cells = sum(old[name] != new[name] for old, new in pairs for name in old)
        counts.append((len(pairs), cells))
        expected = after
    assert json.dumps(made, sort_keys=True) == json.dumps(expected, sort_keys=True)
    assert [(one.rows, one.cells) for one in outcome.counts] == counts
