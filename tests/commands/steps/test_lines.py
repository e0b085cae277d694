"""Lines of rows set apart: those that a plain reader counts, however many steps lie between."""

import csv
import gzip
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from domain.run.commands import Reused
from domain.run.events import StepOutcome
from tests.commands.steps.bench import Bench, Walk
from tests.commands.steps.test_redo import again, mend

COLUMNS = {"tag": "string", "id": "integer", "code": "string", "note": "string"}
STEPS = ("raw", "valid", "tidy", "short", "coded")
HEAD = "apiVersion: v3.1.0\nkind: DataContract\nid: rows\nversion: 1.0.0\nstatus: active\nschema:\n"
UNIQUE = HEAD + "- {name: r, properties: [{name: id, logicalType: integer, unique: true}]}\n"
SHORT = HEAD + (
    "- {name: r, properties: [{name: code, logicalType: string,"
    " logicalTypeOptions: {maxLength: 1}}]}\n"
)
BREAK = re.compile("\r\n|\r|\n")


class Record(Struct, frozen=True):
    """A record, which its tag tells apart from all others; without a note it is short."""

    id: str
    code: str
    note: str | None = ""
    blanks: int = 0
    quoted: bool = False


class Shape(Struct, frozen=True):
    """How the file is written."""

    kind: str = "csv"
    end: str = "\n"
    header: bool = True
    ended: bool = True
    """Whether its last line has a line break."""
    heading: str = ""
    """What stands in front of the header."""


IDS = ["", *map(str, range(1, 12))]
NOTES = ["", "a", "two\nlines", "win\r\ndows", "mac\ralone", 'say "d"', "x,y"]


def records(ids: list[str], notes: list[str | None]) -> st.SearchStrategy[list[Record]]:
    one = st.builds(
        Record,
        st.sampled_from(ids),
        st.sampled_from(["1", "2", "3", "", "x", "drop", "long"]),
        st.sampled_from(notes),
        st.sampled_from([0, 0, 0, 0, 1, 2]),
        st.booleans(),
    )
    return st.lists(one, max_size=25)


FITTING = records(IDS, [*NOTES])
"""Read in one pass, and set apart later."""
MISFITS = records([*IDS, "no"], [*NOTES, None])
GOOD = st.lists(
    st.builds(
        Record,
        st.integers(100, 999).map(str),
        st.sampled_from("123"),
        st.sampled_from(["", "b", "three\n\nlines"]),
        st.sampled_from([0, 0, 0, 1]),
    ),
    min_size=1,
    max_size=20,
)
SHAPES = st.builds(
    Shape,
    st.sampled_from(["csv", "csv", "csv.gz", "jsonl", "jsonl.gz", "parquet"]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["", "", "\n\n"]),
)


def tag(number: int) -> str:
    return f"r{number:04}"


def csv_text(one: Record, number: int, end: str) -> str:
    out = io.StringIO()
    is_quoted = one.quoted or bool(BREAK.search(one.note or ""))
    fields = [tag(number), one.id, one.code, one.note]
    writer = csv.writer(
        out, lineterminator=end, quoting=csv.QUOTE_ALL if is_quoted else csv.QUOTE_MINIMAL
    )
    writer.writerow(fields if one.note is not None else fields[:2])
    return out.getvalue()


def json_text(one: Record, number: int, end: str) -> str:
    told: dict[str, Any] = {"tag": tag(number), "id": one.id or None, "code": one.code or None}
    if one.id.isdigit():
        told["id"] = int(one.id)
    text = json.dumps(told | {"note": one.note})
    return (text[:-1] if one.note is None else text) + end


def write(bench: Bench, records: list[Record], shape: Shape) -> dict[str, int]:
    """Write the file; returns the line of each tag, counted in its text."""
    if shape.kind == "parquet":
        rows = [
            {"tag": tag(n), "id": one.id or None, "code": one.code or None, "note": one.note}
            for n, one in enumerate(records)
        ]
        pq.write_table(pa.Table.from_pylist(rows), bench.project / "in.parquet")
        return {tag(n): n + 1 for n in range(len(records))}
    is_csv = shape.kind.startswith("csv")
    text, lines = "", {}
    if is_csv and shape.header:
        text = shape.heading.replace("\n", shape.end) + ",".join(COLUMNS) + shape.end
    for number, one in enumerate(records):
        text += shape.end * one.blanks
        lines[tag(number)] = len(BREAK.findall(text)) + 1
        text += (csv_text if is_csv else json_text)(one, number, shape.end)
    if not shape.ended:
        text = text.removesuffix(shape.end)
    content = text.encode()
    bench.write(
        f"in.{shape.kind}", gzip.compress(content) if shape.kind.endswith("gz") else content
    )
    return lines


def pipeline(shape: Shape) -> dict[str, Any]:
    source: dict[str, Any] = {"kind": shape.kind.removesuffix(".gz"), "path": f"in.{shape.kind}"}
    if shape.kind.startswith("csv"):
        source |= {"header": shape.header}
    apart = {"on_violation": "quarantine"}
    rules = [
        {"keep_rows": "code is distinct from 'drop'"},
        {"deduplicate": ["note", "code"], "keep": "last"},
    ]
    cast = [{"cast": {"code": "integer"}, "on_error": "quarantine"}]
    return {
        "limits": {"max_quarantined": 1000},
        "sources": {"s": source | {"columns": COLUMNS}},
        "steps": [
            {"id": "raw", "kind": "ingest", "source": "s"},
            {"id": "valid", "kind": "validate", "input": "raw", "contract": "u.yaml", **apart},
            {"id": "tidy", "kind": "clean", "input": "valid", "rules": rules},
            {"id": "short", "kind": "validate", "input": "tidy", "contract": "s.yaml", **apart},
            {"id": "coded", "kind": "clean", "input": "short", "rules": cast},
        ],
    }


def hold(bench: Bench, outcome: StepOutcome, file: Path, lines: dict[str, int]) -> None:
    """Each row that a step has set apart tells the file, and the line of its tag."""
    if outcome.quarantine is None:
        return
    for row in bench.rows(outcome.quarantine):
        found = str(row["tag"] or row["headwater_text"])
        (name,) = re.findall(r"r\d{4}", found)
        assert (row["headwater_source"], row["headwater_line"]) == (str(file), lines[name]), row


def mended(row: dict[str, Any], number: int) -> dict[str, Any]:
    """A row that fits everywhere, but is the same one."""
    (name,) = re.findall(r"r\d{4}", str(row["tag"] or row["headwater_text"]))
    return row | {"tag": name, "id": str(5000 + number), "code": "9", "note": f"n{number}"}


def chain(
    bench: Bench,
    path: str,
    *,
    kept: str = "id > 0",
    mild: bool = False,
    checks: Sequence[object] = (),
) -> Walk:
    """An ingest, a cleaning that removes the first row, a validation that the last one breaks."""
    bench.write(path, "id,code\n0,drop\n1,2\n2,long\n")
    steps: list[dict[str, Any]] = [
        {"id": "raw", "kind": "ingest", "source": "s", "checks": [*checks]},
        {
            "id": "tidy",
            "kind": "clean",
            "input": "raw",
            "rules": [{"keep_rows": kept}],
            "checks": [*checks],
        },
        {"id": "short", "kind": "validate", "input": "tidy", "contract": "s.yaml"},
    ]
    steps[-1]["on_violation"] = "warn" if mild else "quarantine"
    columns = {"id": "integer", "code": "string"}
    source = {"kind": "csv", "path": path, "columns": columns}
    spec = {"limits": {"max_quarantined": 9}, "sources": {"s": source}, "steps": steps}
    return Walk(bench, spec, files={"s.yaml": SHORT})


def test_the_same_rows_of_another_file_tell_that_file(bench: Bench) -> None:
    first = chain(bench, "one.csv")
    assert place(bench, first.all()["short"]) == ("one.csv", 4)
    other = chain(bench, "two.csv")
    bench.write("two.csv", "id,code\n\n0,drop\n1,2\n\n2,long\n")
    other.outcome("raw")
    assert isinstance(other.step("tidy"), Reused)
    assert place(bench, other.outcome("short")) == ("two.csv", 6)
    for walk, found in ((first, ("one.csv", 4)), (other, ("two.csv", 6))):
        walk.run = uuid4()
        walk.outcome("raw")
        walk.outcome("tidy")
        again = walk.step("short")
        assert isinstance(again, Reused)
        assert place(bench, again.outcome) == found


def test_only_who_is_asked_keeps_what_was_left_out(bench: Bench) -> None:
    assert chain(bench, "in.csv", mild=True).all()["tidy"].row_map is None
    asked = chain(bench, "in.csv")
    assert isinstance(asked.step("raw"), Reused)
    kept = asked.outcome("tidy").row_map
    assert kept is not None
    assert kept.gaps is not None
    assert bench.rows(kept.gaps) == [{"number": 0}]
    assert place(bench, asked.outcome("short")) == ("in.csv", 4)


def test_a_check_that_asks_the_clock_takes_no_line_away(bench: Bench) -> None:
    walk = chain(bench, "in.csv", checks=[{"sql": "id >= 0 and now() is not null"}])
    assert place(bench, walk.all()["short"]) == ("in.csv", 4)


def test_behind_what_gives_other_rows_each_time_rows_tell_the_input(bench: Bench) -> None:
    walk = chain(bench, "in.csv", kept="id > 0 and random() >= 0")
    assert place(bench, walk.all()["short"]) == ("walk.tidy", 2)


def place(bench: Bench, outcome: StepOutcome) -> tuple[str, object]:
    """File, or dataset, and line of the one row that was set apart."""
    (row,) = bench.rows(outcome.quarantine)
    return Path(str(row["headwater_source"])).name, row["headwater_line"]


@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # shrinking takes minutes
    suppress_health_check=list(HealthCheck),
)
@given(records=FITTING | MISFITS, good=GOOD, shape=SHAPES, back=st.sampled_from(STEPS))
@example(records=[], good=[Record("1", "2"), Record("1", "x", blanks=1)], shape=Shape(), back="raw")
def test_every_row_set_apart_tells_its_line(
    records: list[Record], good: list[Record], shape: Shape, back: str
) -> None:
    with TemporaryDirectory(prefix="headwater-test-") as folder:
        bench = Bench(Path(folder))
        file = bench.project / f"in.{shape.kind}"
        lines = write(bench, [*good[::2], *records, *good[1::2]], shape)
        walk = Walk(bench, pipeline(shape), files={"u.yaml": UNIQUE, "s.yaml": SHORT})
        outcomes = walk.all()
        for outcome in outcomes.values():
            hold(bench, outcome, file, lines)
        if outcomes[back].quarantine is not None:
            rows = [mended(row, n) for n, row in enumerate(bench.rows(outcomes[back].quarantine))]
            again(walk, back, outcomes[back], mend(bench, "m.jsonl", rows[::2]))
            walk.run = uuid4()
            file.unlink()
            for step in STEPS[STEPS.index(back) :]:
                hold(bench, walk.outcome(step), file, lines)
        bench.engines.close()
