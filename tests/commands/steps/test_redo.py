"""Rows that were set apart are put back: by an ingest, by a validation, by a cleaning."""

import csv
import io
import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from domain.run.events import Redo, StepOutcome
from tests.commands.steps.bench import Bench, Walk

ALL = {"limits": {"max_quarantined": 1000}}
COLUMNS = {"id": "integer", "name": "string", "born": "date"}
DIRTY = """id,name,born
1,ada,1815-12-10
two,bob,2013-01-02
3,"cy
rus",1999-31-12
4,dan
5,eve,2001-05-05
"""

CONTRACT = """
apiVersion: v3.0.2
kind: DataContract
id: people
version: 1.0.0
status: active
schema:
  - name: people
    properties:
      - {name: id, logicalType: integer, unique: true}
      - {name: name, logicalType: string, required: true}
      - {name: born, logicalType: date}
"""


def ingest(bench: Bench, content: str = DIRTY, kind: str = "csv", **source: object) -> Walk:
    bench.write(f"in.{kind}", content)
    declared = {"kind": kind, "path": f"in.{kind}", "columns": COLUMNS, **source}
    step = {"id": "raw", "kind": "ingest", "source": "s", **ALL}
    return Walk(bench, {"sources": {"s": declared}, "steps": [step]})


def apart(bench: Bench, outcome: StepOutcome) -> list[dict[str, Any]]:
    return bench.rows(outcome.quarantine)


def again(walk: Walk, step: str, outcome: StepOutcome, rows: str = "") -> Walk:
    """Another run of the same, that puts back what `step` has set apart."""
    assert outcome.quarantine is not None
    walk.run = uuid4()
    walk.redo = Redo(
        run=uuid4(),
        step=step,
        quarantine=outcome.quarantine,
        output=outcome.output,
        rows_in=outcome.rows_in,
        source=outcome.source,
        patched=outcome.patched,
        row_map=outcome.row_map,
        rows=rows,
    )
    return walk


def mend(bench: Bench, name: str, rows: list[dict[str, Any]]) -> str:
    """A file of mended rows, as `headwater quarantine show` writes one."""
    if name.endswith(".csv"):
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        bench.write(name, text.getvalue())
    else:
        bench.write(name, "".join(json.dumps(row) + "\n" for row in rows))
    return name


@pytest.mark.parametrize("name", ["mended.csv", "mended.jsonl"])
def test_an_ingest_puts_mended_rows_behind_the_others(bench: Bench, name: str) -> None:
    walk = ingest(bench)
    first = walk.outcome("raw")
    rows = apart(bench, first)
    assert [row["headwater_line"] for row in rows] == [3, 4, 6]
    rows[0]["id"] = "2"
    rows[2] |= {"id": "4", "name": "dan", "born": "2004-04-04"}
    (bench.project / "in.csv").unlink()  # what the source holds now is of no interest
    outcome = again(walk, "raw", first, mend(bench, name, rows)).outcome("raw")
    assert (outcome.rows_in, outcome.rows_out, outcome.rows_quarantined) == (5, 4, 1)
    assert (outcome.ledger, outcome.readmitted) == ("balanced", 2)
    assert outcome.source == first.source
    assert outcome.mended is not None
    assert outcome.mended.name.endswith(name)
    assert [(row["id"], row["name"]) for row in bench.rows(outcome.output)] == [
        (1, "ada"),
        (5, "eve"),
        (2, "bob"),
        (4, "dan"),
    ]
    (left,) = apart(bench, outcome)
    assert left == apart(bench, first)[1]
    assert len(bench.rows(first.output)) == 2


def test_the_rest_is_put_back_by_a_third_run(bench: Bench) -> None:
    walk = ingest(bench)
    first = walk.outcome("raw")
    rows = apart(bench, first)
    rows[0]["id"] = "2"
    second = again(walk, "raw", first, mend(bench, "m.csv", rows[:1])).outcome("raw")
    rows = apart(bench, second)
    assert [row["headwater_line"] for row in rows] == [4, 6]
    rows[0]["born"] = "1999-12-31"
    rows[1] |= {"id": "4", "name": "dan"}
    third = again(walk, "raw", second, mend(bench, "m.csv", rows)).outcome("raw")
    assert (third.rows_in, third.rows_out, third.quarantine) == (5, 5, None)
    assert [row["id"] for row in bench.rows(third.output)] == [1, 5, 2, 3, 4]
    assert bench.rows(third.output)[3]["name"] == "cy\nrus"


def test_an_appending_store_replaces_its_part(bench: Bench) -> None:
    bench.write("in.csv", DIRTY)
    sink = {"kind": "csv", "path": "out"}
    spec = {
        "params": {"day": {"type": "date"}},
        "sources": {"s": {"kind": "csv", "path": "in.csv", "columns": COLUMNS}},
        "steps": [
            {"id": "raw", "kind": "ingest", "source": "s", **ALL},
            {"id": "out", "kind": "store", "input": "raw", "mode": "append", "sink": sink},
        ],
    }
    walk = Walk(bench, spec, params={"day": "2026-01-01"})
    first = walk.outcome("raw")
    walk.outcome("out")
    rows = apart(bench, first)
    rows[0]["id"] = "2"
    again(walk, "raw", first, mend(bench, "m.csv", rows))
    walk.run_time += timedelta(minutes=1)
    walk.outcome("raw")
    assert walk.outcome("out").rows_out == 3
    (part,) = (bench.project / "out").glob("*.csv")
    assert len(part.read_text().splitlines()) == 4


def test_rows_without_a_change_do_not_come_back(bench: Bench) -> None:
    walk = ingest(bench)
    first = walk.outcome("raw")
    file = mend(bench, "m.csv", apart(bench, first))
    error = again(walk, "raw", first, file).error("raw")
    assert error.code == "nothing_readmitted"
    assert "each of the 3 rows" in error.message
    assert "line 3: column `id`: 'two' is no integer" in error.message


def test_rows_are_tried_as_they_are_under_another_declaration(bench: Bench) -> None:
    walk = ingest(bench)
    first = walk.outcome("raw")
    other = ingest(bench, nulls=["two"])
    outcome = again(other, "raw", first).outcome("raw")
    assert (outcome.rows_out, outcome.rows_quarantined, outcome.readmitted) == (3, 2, 1)
    assert bench.rows(outcome.output)[2] | {"born": None} == {
        "id": None,
        "name": "bob",
        "born": None,
    }
    changed = ingest(bench, columns=COLUMNS | {"id": "string"})
    assert again(changed, "raw", first).error("raw").code == "schema_changed"


def test_types_of_json_lines_and_parquet_are_cast_as_in_the_file(bench: Bench) -> None:
    columns = {
        "n": "integer",
        "ok": "boolean",
        "price": "decimal",
        "day": {"type": "date", "format": "%d/%m/%Y"},
        "at": "timestamp",
    }
    good = {"n": 1, "ok": True, "price": "1.25", "day": "01/02/2013", "at": "2013-01-02 03:04:05"}
    bad = good | {"n": "x", "ok": False}
    bench.write("in.jsonl", "".join(json.dumps(row) + "\n" for row in (good, bad)))
    texts = [{name: str(value) for name, value in row.items()} for row in (good, bad)]
    pq.write_table(pa.Table.from_pylist(texts), bench.project / "in.parquet")
    for kind in ("jsonl", "parquet"):
        source = {"kind": kind, "path": f"in.{kind}", "columns": columns}
        step = {"id": "raw", "kind": "ingest", "source": "s", **ALL}
        walk = Walk(bench, {"sources": {"s": source}, "steps": [step]})
        first = walk.outcome("raw")
        (row,) = apart(bench, first)
        row["n"] = "2"
        outcome = again(walk, "raw", first, mend(bench, "m.csv", [row])).outcome("raw")
        one, two = bench.rows(outcome.output)
        assert two == one | {"n": 2, "ok": False}


def test_columns_may_have_the_names_of_what_is_looked_for(bench: Bench) -> None:
    names = ("misfit", "part", "texts", "n", "o", "t", "json")
    good, bad = (",".join([value] * len(names)) for value in ("1", "x"))
    columns = dict.fromkeys(names, "integer")
    walk = ingest(bench, f"{','.join(names)}\n{good}\n{bad}\n", columns=columns)
    first = walk.outcome("raw")
    (row,) = apart(bench, first)
    file = mend(bench, "m.csv", [row | dict.fromkeys(names, "2")])
    outcome = again(walk, "raw", first, file).outcome("raw")
    assert bench.rows(outcome.output) == [dict.fromkeys(names, 1), dict.fromkeys(names, 2)]


def test_an_empty_text_of_json_stays_one(bench: Bench) -> None:
    lines = '{"id": "x", "name": "", "born": null}\n{"id": 2, "name": "b", "born": "2001-01-01"}\n'
    walk = ingest(bench, lines, kind="jsonl")
    first = walk.outcome("raw")
    (row,) = apart(bench, first)
    file = mend(bench, "m.csv", [{name: value or "" for name, value in row.items()} | {"id": "1"}])
    outcome = again(walk, "raw", first, file).outcome("raw")
    assert bench.rows(outcome.output)[1] == {"id": 1, "name": "", "born": None}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda rows: [rows[0] | {"headwater_line": 2}], "not_quarantined"),
        (lambda rows: [rows[0], rows[0]], "line_twice"),
        (lambda rows: [{key: rows[0][key] for key in rows[0] if key != "born"}], "missing_column"),
        (lambda rows: [rows[0] | {"more": "x"}], "extra_column"),
        (lambda rows: [rows[0] | {"headwater_line": "x"}], "bad_rows"),
    ],
)
def test_what_is_no_row_of_the_quarantine_is_told(bench: Bench, change: Any, code: str) -> None:
    walk = ingest(bench)
    first = walk.outcome("raw")
    rows = apart(bench, first)
    rows[0]["id"] = "2"
    for name in ("m.csv", "m.jsonl"):
        error = again(walk, "raw", first, mend(bench, name, change(rows))).error("raw")
        assert error.code == code
        assert name in error.where


def test_a_file_that_is_not_there_or_outside_is_told(bench: Bench) -> None:
    walk = ingest(bench)
    first = walk.outcome("raw")
    assert again(walk, "raw", first, "nothing.csv").error("raw").code == "no_rows"
    assert again(walk, "raw", first, "../m.csv").error("raw").code == "path_outside"
    bench.write("m.csv", "")
    assert again(walk, "raw", first, "m.csv").error("raw").code == "bad_rows"


GOOD = "id,name,born\n1,ada,1815-12-10\n2,,2013-01-02\n1,cy,1999-12-31\n4,dan,2004-04-04\n"


def validated(bench: Bench) -> Walk:
    bench.write("in.csv", GOOD)
    steps = [
        {"id": "raw", "kind": "ingest", "source": "s"},
        {
            "id": "valid",
            "kind": "validate",
            "input": "raw",
            "contract": "people.yaml",
            "on_violation": "quarantine",
            **ALL,
        },
    ]
    spec: dict[str, object] = {
        "sources": {"s": {"kind": "csv", "path": "in.csv", "columns": COLUMNS}},
        "steps": steps,
    }
    walk = Walk(bench, spec, files={"people.yaml": CONTRACT})
    walk.outcome("raw")
    return walk


def test_a_validation_takes_mended_rows_in_their_places(bench: Bench) -> None:
    walk = validated(bench)
    first = walk.outcome("valid")
    rows = apart(bench, first)
    assert [row["headwater_line"] for row in rows] == [3, 4]
    rows[0]["name"] = "bob"
    second = again(walk, "valid", first, mend(bench, "m.csv", rows)).outcome("valid")
    assert (second.rows_in, second.rows_out, second.rows_quarantined) == (4, 3, 1)
    assert second.readmitted == 1
    assert [row["name"] for row in bench.rows(second.output)] == ["ada", "bob", "dan"]
    rows = apart(bench, second)
    assert [(row["headwater_line"], row["name"]) for row in rows] == [(4, "cy")]
    rows[0]["id"] = "3"
    third = again(walk, "valid", second, mend(bench, "m.csv", rows)).outcome("valid")
    assert (third.rows_out, third.quarantine, third.ledger) == (4, None, "balanced")
    assert third.output is not None
    assert third.output.dataset == "walk.valid"
    assert [row["id"] for row in bench.rows(third.output)] == [1, 2, 3, 4]
    assert third.inputs[0].fingerprint == first.inputs[0].fingerprint


def test_a_mended_row_takes_no_good_ones_place(bench: Bench) -> None:
    walk = validated(bench)
    first = walk.outcome("valid")
    rows = apart(bench, first)
    rows[1]["id"] = "4"  # which the last row has
    error = again(walk, "valid", first, mend(bench, "m.csv", rows)).error("valid")
    assert error.code == "good_row_lost"
    assert "line 5, which had not been set apart, would be now: `id` is '4'" in error.message
    assert error.message.endswith("(rows put back: headwater_line 4)")


def test_a_value_of_another_type_than_the_input_has_is_told(bench: Bench) -> None:
    walk = validated(bench)
    first = walk.outcome("valid")
    rows = apart(bench, first)
    rows[1]["id"] = "four"
    error = again(walk, "valid", first, mend(bench, "m.csv", rows)).error("valid")
    assert error.code == "bad_value"
    assert error.message == "line 4, column `id`: 'four' is no integer"


def test_a_cleaning_applies_all_its_rules_to_mended_rows(bench: Bench) -> None:
    bench.write("in.csv", "id,year\n1,2013\n2,x\n3,y\n1,z\n")
    rules = [
        {"cast": {"year": "integer"}, "on_error": "quarantine"},
        {"keep_rows": "year > 2000"},
        {"deduplicate": ["id"], "keep": "first", "order_by": ["year"]},
    ]
    spec: dict[str, object] = {
        "sources": {
            "s": {"kind": "csv", "path": "in.csv", "columns": {"id": "integer", "year": "string"}}
        },
        "steps": [
            {"id": "raw", "kind": "ingest", "source": "s"},
            {"id": "tidy", "kind": "clean", "input": "raw", "rules": rules, **ALL},
        ],
    }
    walk = Walk(bench, spec)
    walk.outcome("raw")
    first = walk.outcome("tidy")
    rows = apart(bench, first)
    assert [row["headwater_line"] for row in rows] == [3, 4, 5]
    for row, year in zip(rows, ("2014", "1999", "2015"), strict=True):
        row["year"] = year
    outcome = again(walk, "tidy", first, mend(bench, "m.csv", rows)).outcome("tidy")
    assert bench.rows(outcome.output) == [{"id": 1, "year": 2013}, {"id": 2, "year": 2014}]
    assert (outcome.rows_filtered, outcome.readmitted, outcome.quarantine) == (2, 3, None)


def test_what_is_put_back_is_not_reused_by_an_ordinary_run(bench: Bench) -> None:
    walk = validated(bench)
    first = walk.outcome("valid")
    rows = apart(bench, first)
    rows[0]["name"] = "bob"
    again(walk, "valid", first, mend(bench, "m.csv", rows)).outcome("valid")
    walk.redo, walk.run = None, uuid4()
    assert walk.outcome("valid").rows_quarantined == 2


def test_the_limit_holds_for_what_is_left(bench: Bench) -> None:
    walk = ingest(bench)
    first = walk.outcome("raw")
    rows = apart(bench, first)
    rows[0]["id"] = "2"
    step = {"id": "raw", "kind": "ingest", "source": "s", "limits": {"max_quarantined": 1}}
    source = {"kind": "csv", "path": "in.csv", "columns": COLUMNS}
    strict = Walk(bench, {"sources": {"s": source}, "steps": [step]})
    error = again(strict, "raw", first, mend(bench, "m.csv", rows)).error("raw")
    assert error.code == "too_many_quarantined"
