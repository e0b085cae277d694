"""What is kept and what is set apart, against a walk over the rows in Python."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.commands.steps.bench import Bench, Walk

Row = dict[str, Any]

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.one_of(st.none(), st.integers(0, 4)),
            "text": st.one_of(st.none(), st.text("ab'\"\n", max_size=3)),
            "number": st.one_of(st.none(), st.integers(-3, 3).map(float)),
        }
    ),
    min_size=1,
    max_size=12,
)
OPTIONS = st.fixed_dictionaries(
    {
        "id": st.fixed_dictionaries(
            {"required": st.booleans(), "unique": st.booleans(), "primaryKey": st.booleans()}
        ),
        "text": st.fixed_dictionaries(
            {},
            optional={
                "unique": st.just(True),
                "enum": st.lists(st.sampled_from(["", "a", "b", "ab"]), min_size=1, unique=True),
                "minLength": st.integers(0, 2),
                "maxLength": st.integers(0, 2),
                "pattern": st.sampled_from(["a", "^b", "^a?$", "[ab]{2}"]),
            },
        ),
        "number": st.fixed_dictionaries(
            {"required": st.booleans()},
            optional={
                "minimum": st.integers(-2, 1),
                "exclusiveMaximum": st.integers(0, 3),
                "multipleOf": st.just(2),
            },
        ),
    }
)


def contract_of(said: dict[str, dict[str, Any]]) -> str:
    """As JSON."""
    types = {"id": "integer", "text": "string", "number": "number"}
    plain = ("required", "unique", "primaryKey", "enum")
    properties = []
    for name, type_ in types.items():
        options = {key: value for key, value in said[name].items() if key not in plain}
        one = {key: value for key, value in said[name].items() if key in plain}
        if "enum" in one:
            one["enum"] = [{"value": value} for value in one["enum"]]
        properties.append({"name": name, "logicalType": type_, "logicalTypeOptions": options} | one)
    head = {"apiVersion": "v3.2.0", "kind": "DataContract", "id": "t", "version": "1"}
    table = {"name": "rows", "properties": properties}
    return msgspec.json.encode({**head, "schema": [table]}).decode()


def is_good(row: Row, said: dict[str, dict[str, Any]]) -> bool:
    """Whether a row keeps all terms but uniqueness."""
    for name, options in said.items():
        value = row[name]
        if value is None:
            if options.get("required") or options.get("primaryKey"):
                return False
            continue
        text = str(value)
        good = [
            value in options.get("enum", [value]),
            len(text) >= options.get("minLength", 0),
            len(text) <= options.get("maxLength", 99),
            re.search(options.get("pattern", "").replace("$", r"\Z"), text) is not None,
        ]
        if name == "number":
            good += [
                value >= options.get("minimum", value),
                value < options.get("exclusiveMaximum", value + 1),
                value % options.get("multipleOf", 1) == 0,
            ]
        if not all(good):
            return False
    return True


def expected(rows: list[Row], said: dict[str, dict[str, Any]]) -> list[Row]:
    """The rows that are kept."""
    kept = [row for row in rows if is_good(row, said)]
    for name, options in said.items():
        if options.get("unique"):
            kept = first_of_each(kept, name)
    if said["id"].get("primaryKey") and not said["id"].get("unique"):
        kept = first_of_each(kept, "id")
    return kept


def first_of_each(rows: list[Row], name: str) -> list[Row]:
    """Without those that repeat a value."""
    seen: set[object] = set()
    kept = []
    for row in rows:
        if row[name] is None or row[name] not in seen:
            kept.append(row)
            seen.add(row[name])
    return kept


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ROWS, OPTIONS)
def test_rows_add_up_and_are_the_right_ones(
    rows: list[Row], said: dict[str, dict[str, Any]]
) -> None:
    with TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        types = {"id": pa.int64(), "text": pa.string(), "number": pa.float64()}
        schema = pa.schema([pa.field(name, type_) for name, type_ in types.items()])
        pq.write_table(pa.Table.from_pylist(rows, schema), bench.project / "in.parquet")
        walk = Walk(
            bench,
            {
                "limits": {"max_quarantined": len(rows)},
                "sources": {"s": {"kind": "parquet", "path": "in.parquet"}},
                "steps": [
                    {"id": "raw", "kind": "ingest", "source": "s"},
                    {
                        "id": "valid",
                        "kind": "validate",
                        "input": "raw",
                        "contract": "c.json",
                        "on_violation": "quarantine",
                    },
                ],
            },
            files={"c.json": contract_of(said)},
        )
        pinned = {"id": "integer", "text": "string", "number": "number"}
        walk.spec = msgspec.structs.replace(
            walk.spec,
            sources={"s": msgspec.structs.replace(walk.spec.sources["s"], sniffed=pinned)},
        )
        walk.outcome("raw")
        outcome = walk.outcome("valid")
        kept = bench.rows(outcome.output)
        apart = bench.rows(outcome.quarantine) if outcome.quarantine else []
        bench.engines.close()
    assert kept == expected(rows, said)
    assert outcome.ledger == "balanced"
    assert (outcome.rows_out, outcome.rows_quarantined) == (len(kept), len(apart))
    assert len(kept) + len(apart) == len(rows)
    places = [int(str(row["headwater_line"])) for row in apart]
    assert places == sorted(set(places))
    assert [row for place, row in enumerate(rows, start=1) if place not in places] == kept
    assert sum(one.rows for one in outcome.counts) == len(apart)
