"""Whatever a file holds and rules demand: each record is stored, filtered or set apart, once."""

import csv
import io
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from domain.run.events import Redo, StepOutcome
from tests.commands.steps.bench import Bench, Walk

NAMES = ("a", "b", "b,c", 'say "d"', "two\nlines", "", " ")
NUMBERS = ("1", "-2", "3.5", "7", "", "x", "1e3", "0x1", "ten")
FIT = {"1": 1.0, "-2": -2.0, "3.5": 3.5, "7": 7.0, "": None, "1e3": 1000.0}
LEAST = 0

CONTRACT = f"""
apiVersion: v3.2.0
kind: DataContract
id: rows
version: 1.0.0
status: active
schema:
  - name: rows
    properties:
      - {{name: id, logicalType: integer, required: true, unique: true}}
      - {{name: name, logicalType: string}}
      - {{name: amount, logicalType: number, logicalTypeOptions: {{minimum: {LEAST}}}}}
"""

RULES = (
    {"drop_nulls": ["amount"]},
    {"keep_rows": "amount < 500"},
    {"cast": {"name": "integer"}, "on_error": "null"},
    {"cast": {"amount": "integer"}, "on_error": "quarantine"},
    {"deduplicate": ["amount"], "keep": "first", "order_by": ["id"]},
)


class Written(Struct, frozen=True):
    """A record in the file."""

    fields: tuple[str, ...]
    blank_before: int = 0

    @property
    def text(self) -> str:
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerow(self.fields)
        return "\n" * self.blank_before + out.getvalue()

    @property
    def fits(self) -> bool:
        """Whether an ingest of an integer, a text and a number can read it."""
        if len(self.fields) != 3:
            return False
        return (not self.fields[0] or self.fields[0].isdigit()) and self.fields[2] in FIT


IDS = st.sampled_from(("1", "2", "3", "40", "500", "", "no"))
RECORDS = st.builds(
    Written,
    st.one_of(
        st.tuples(IDS, st.sampled_from(NAMES), st.sampled_from(NUMBERS)),
        st.tuples(IDS, st.sampled_from(NAMES), st.sampled_from(("1", "7", "3.5"))),
        st.tuples(IDS, st.sampled_from(NAMES)),
        st.tuples(IDS, IDS, IDS, IDS),
    ),
    st.sampled_from((0, 0, 0, 1, 2)),
)
GOOD = st.builds(lambda n: Written((str(1000 + n), "good", "7")), st.integers(0, 99))


def lines_of(records: list[Written]) -> list[int]:
    """The physical line on which each of them begins, behind a header."""
    lines, at = [], 2
    for one in records:
        lines.append(at + one.blank_before)
        at += one.text.count("\n")
    return lines


def pipeline(rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "limits": {"max_quarantined": 1_000_000},
        "sources": {
            "s": {
                "kind": "csv",
                "path": "in.csv",
                "columns": {"id": "integer", "name": "string", "amount": "number"},
            }
        },
        "steps": [
            {"id": "raw", "kind": "ingest", "source": "s"},
            {
                "id": "valid",
                "kind": "validate",
                "input": "raw",
                "contract": "rows.yaml",
                "on_violation": "quarantine",
            },
            {"id": "tidy", "kind": "clean", "input": "valid", "rules": rules},
            {
                "id": "out",
                "kind": "store",
                "input": "tidy",
                "allow_empty": True,
                "sink": {"kind": "csv", "path": "out.csv"},
            },
        ],
    }


def expected_valid(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that keep the contract, by the plainest way there is."""
    whole = [
        row
        for row in rows
        if row["id"] is not None and (row["amount"] is None or row["amount"] >= LEAST)
    ]
    seen: set[int] = set()
    return [row for row in whole if not (row["id"] in seen or seen.add(row["id"]))]  # type: ignore[func-returns-value]


def add_up(bench: Bench, outcome: StepOutcome) -> None:
    """The numbers of an outcome among themselves, and against the files."""
    apart = bench.rows(outcome.quarantine) if outcome.quarantine else []
    assert outcome.ledger == "balanced"
    assert outcome.rows_in == (
        (outcome.rows_out or 0) + (outcome.rows_filtered or 0) + (outcome.rows_quarantined or 0)
    )
    assert outcome.rows_quarantined == len(apart)
    assert outcome.rows_out == len(bench.rows(outcome.output))
    (entry,) = outcome.inputs
    assert (entry.rows_in, entry.reached) == (outcome.rows_in, outcome.rows_out)
    assert (entry.filtered, entry.quarantined) == (outcome.rows_filtered, outcome.rows_quarantined)
    by_rule = sum(one.rows for one in outcome.counts if one.effect == "removed")
    assert by_rule == (outcome.rows_filtered or 0)


def mended(bench: Bench, outcome: StepOutcome, wanted: set[int]) -> tuple[Redo, list[int]]:
    """Some of an ingest's quarantined rows, made good in a file."""
    rows = bench.rows(outcome.quarantine)
    some = [row for place, row in enumerate(rows) if place in wanted] or rows[:1]
    for row in some:
        row |= {"id": "77", "name": "mended", "amount": "1"}
    out = io.StringIO()
    writer = csv.DictWriter(out, list(some[0]))
    writer.writeheader()
    writer.writerows(some)
    bench.write("mended.csv", out.getvalue())
    assert outcome.quarantine is not None
    redo = Redo(
        run=uuid4(),
        step="raw",
        quarantine=outcome.quarantine,
        output=outcome.output,
        rows_in=outcome.rows_in,
        source=outcome.source,
        row_map=outcome.row_map,
        rows="mended.csv",
    )
    return redo, [int(str(row["headwater_line"])) for row in some]


@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.generate],  # an example is small, and shrinking it takes minutes
    suppress_health_check=list(HealthCheck),
)
@given(
    records=st.lists(RECORDS, max_size=12),
    good=st.lists(GOOD, min_size=1, max_size=3),
    rules=st.lists(st.sampled_from(RULES), min_size=1, max_size=4, unique_by=str),
    some=st.sets(st.integers(0, 8)),
)
def test_every_record_is_accounted_for(
    records: list[Written], good: list[Written], rules: list[dict[str, Any]], some: set[int]
) -> None:
    written = [*records, *good]
    with TemporaryDirectory(prefix="headwater-test-") as folder:
        bench = Bench(Path(folder))
        bench.write("in.csv", "id,name,amount\n" + "".join(one.text for one in written))
        walk = Walk(bench, pipeline(rules), files={"rows.yaml": CONTRACT})
        raw = walk.outcome("raw")
        _hold_raw(bench, raw, written)
        lines = [line for one, line in _with_lines(written) if one.fits]
        _hold_rest(bench, walk, raw, lines)
        if raw.quarantine is not None:
            walk.redo, back = mended(bench, raw, some)
            walk.run = uuid4()
            again = walk.outcome("raw")
            assert again.rows_in == raw.rows_in
            assert again.readmitted == len(back)
            assert again.rows_out == (raw.rows_out or 0) + len(back)
            add_up(bench, again)
            _hold_rest(bench, walk, again, [*lines, *back])
        bench.engines.close()


def _hold_raw(bench: Bench, raw: StepOutcome, written: list[Written]) -> None:
    assert raw.rows_in == len(written)
    add_up(bench, raw)
    stored = [tuple(row.values()) for row in bench.rows(raw.output)]
    assert stored == [
        (int(one.fields[0]) if one.fields[0] else None, one.fields[1] or None, FIT[one.fields[2]])
        for one in written
        if one.fits
    ]
    apart = [line for one, line in _with_lines(written) if not one.fits]
    found = bench.rows(raw.quarantine) if raw.quarantine else []
    assert [row["headwater_line"] for row in found] == apart


def _with_lines(written: list[Written]) -> list[tuple[Written, int]]:
    return list(zip(written, lines_of(written), strict=True))


def _hold_rest(bench: Bench, walk: Walk, raw: StepOutcome, lines: list[int]) -> None:
    """What follows an ingest adds up, too, and no row is made or lost on the way; `lines` are those
    of the ingest's rows in the file."""
    rows = bench.rows(raw.output)
    valid = walk.outcome("valid")
    add_up(bench, valid)
    kept = bench.rows(valid.output)
    assert kept == expected_valid(rows)
    apart = bench.rows(valid.quarantine) if valid.quarantine else []
    places = {row["headwater_line"] for row in apart}
    assert len(places) == len(apart)
    assert places <= {*lines}
    assert kept == [row for line, row in zip(lines, rows, strict=True) if line not in places]
    tidy = walk.outcome("tidy")
    add_up(bench, tidy)
    known = {line: str(row["name"]) for line, row in zip(lines, rows, strict=True)}
    for row in bench.rows(tidy.quarantine) if tidy.quarantine else []:
        assert str(row["name"]) == known[int(str(row["headwater_line"]))]
        assert row["headwater_line"] not in places
    left = Counter(row["id"] for row in bench.rows(tidy.output))
    assert left <= Counter(row["id"] for row in kept)
    out = walk.outcome("out")
    assert out.rows_out == tidy.rows_out
    with (bench.project / "out.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == tidy.rows_out
