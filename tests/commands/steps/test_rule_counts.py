"""What rules count, held against plain Python on generated rows."""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.commands.steps.bench import Bench, Walk

Row = dict[str, Any]
Rule = dict[str, Any]
COLUMNS = {"id": "integer", "name": "string", "score": "number"}
TYPES: dict[str, pa.DataType] = {"id": pa.int64(), "name": pa.string(), "score": pa.float64()}

rows = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.none() | st.integers(0, 3),
            "name": st.none() | st.sampled_from(["", "a", "ab", "é", "A'b"]),
            "score": st.none() | st.sampled_from([-1.0, 0.0, 0.5, 2.0]),
        }
    ),
    max_size=8,
)
wheres: dict[str, Callable[[Row], bool | None]] = {
    "": lambda _row: True,
    "id > 1": lambda row: row["id"] is not None and row["id"] > 1,
    "name = 'a' or score is null": lambda row: row["name"] == "a" or row["score"] is None,
    "false -- none": lambda _row: False,
}
keys = st.sampled_from([("id",), ("name",), ("id", "name")])
bounds = st.sampled_from([[0, 1], [None, 0.5], [0.5, None]])
rules = st.one_of(
    st.builds(lambda names: {"not_null": list(names)[:1]}, keys),
    st.builds(lambda names: {"unique": list(names)}, keys),
    st.builds(lambda names: {"references": list(names), "to": "others"}, keys),
    st.builds(lambda bound: {"range": {"score": bound}}, bounds),
    st.just({"accepted_values": {"name": ["a", "é"]}}),
    st.just({"pattern": {"name": "[a-z]*"}}),
    st.just({"sql": "score >= id"}),
)
tolerances = st.sampled_from([0, 1, 3, "0%", "25%", "33.3%", "100%"])


def broken(rule: Rule, checked: list[Row], others: list[Row]) -> int:
    """How many of the rows break the rule."""
    match rule:
        case {"not_null": [name]}:
            return sum(row[name] is None for row in checked)
        case {"unique": names}:
            counts = Counter(tuple(row[name] for name in names) for row in checked)
            return sum(count - 1 for count in counts.values())
        case {"references": names}:
            there = {tuple(row[name] for name in names) for row in others}
            found = [tuple(row[name] for name in names) for row in checked]
            return sum(None not in one and one not in there for one in found)
        case {"range": {"score": [low, high]}}:
            known = [row["score"] for row in checked if row["score"] is not None]
            return sum(
                (low is not None and one < low) or (high is not None and one > high)
                for one in known
            )
        case {"accepted_values": {"name": values}}:
            return sum(row["name"] not in (None, *values) for row in checked)
        case {"pattern": {"name": pattern}}:
            texts = [row["name"] for row in checked if row["name"] is not None]
            return sum(re.fullmatch(pattern, text) is None for text in texts)
        case _:
            pairs = [(row["score"], row["id"]) for row in checked]
            return sum(None not in pair and pair[0] < pair[1] for pair in pairs)


def is_allowed(tolerance: int | str, failing: int, checked: int) -> bool:
    if isinstance(tolerance, int):
        return failing <= tolerance
    return failing * 1000 <= round(float(tolerance.rstrip("%")) * 10) * checked


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    mine=rows,
    others=rows,
    wanted=st.lists(
        st.tuples(rules, st.sampled_from([*wheres]), tolerances), min_size=1, max_size=5
    ),
)
def test_as_plain_python_counts(
    bench: Bench, mine: list[Row], others: list[Row], wanted: list[tuple[Rule, str, int | str]]
) -> None:
    for name, given_rows in (("mine", mine), ("others", others)):
        table = pa.Table.from_pylist(given_rows, pa.schema(TYPES))
        pq.write_table(table, bench.project / f"{name}.parquet")
    written: list[object] = [
        {**rule, "tolerance": tolerance, "severity": "warn", **({"where": where} if where else {})}
        for rule, where, tolerance in wanted
    ]
    source = {"kind": "parquet", "columns": COLUMNS}
    walk = Walk(
        bench,
        {
            "sources": {name: {**source, "path": f"{name}.parquet"} for name in ("mine", "others")},
            "steps": [
                {"id": "others", "kind": "ingest", "source": "others", "allow_empty": True},
                {
                    "id": "raw",
                    "kind": "ingest",
                    "source": "mine",
                    "allow_empty": True,
                    "checks": written,
                },
            ],
        },
    )
    walk.outcome("others")
    found = walk.outcome("raw").checks
    expected = []
    for rule, where, tolerance in wanted:
        checked = [row for row in mine if wheres[where](row)]
        failing = broken(rule, checked, others)
        allowed = is_allowed(tolerance, failing, len(checked))
        expected.append((len(checked), failing, allowed))
    assert [(one.checked_rows, one.failing_rows, one.passed) for one in found] == expected
