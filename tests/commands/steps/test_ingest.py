"""Ingest: every record accounted for, and the physical line of the one that cannot be read."""

import gzip
import hashlib
from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.commands.steps.bench import Bench, Walk

Columns = Mapping[str, object]
AB: Columns = {"a": "integer", "b": "string"}


def walk(bench: Bench, kind: str, path: str, columns: Columns, **more: object) -> Walk:
    source = {"kind": kind, "path": path, "columns": columns, **more}
    step = {"id": "raw", "kind": "ingest", "source": "s"}
    return Walk(bench, {"sources": {"s": source}, "steps": [step]})


def sniffed(bench: Bench, kind: str, path: str, columns: Columns) -> Walk:
    source = {"kind": kind, "path": path, "sniffed": columns}
    step = {"id": "raw", "kind": "ingest", "source": "s"}
    return Walk(bench, {"sources": {"s": source}, "steps": [step]})


def test_a_csv_file_is_read_counted_and_hashed(bench: Bench) -> None:
    content = 'a,b\n1,x\n\n2,"y\nz"\n3,NA\n'
    path = bench.write("in.csv", content)
    outcome = walk(bench, "csv", "in.csv", AB, nulls=["NA"]).outcome("raw")
    assert bench.rows(outcome.output) == [
        {"a": 1, "b": "x"},
        {"a": 2, "b": "y\nz"},
        {"a": 3, "b": None},
    ]
    assert (outcome.rows_in, outcome.rows_out, outcome.ledger) == (3, 3, "balanced")
    assert outcome.source is not None
    assert outcome.source.name == str(path)
    assert outcome.source.fingerprint == hashlib.sha256(content.encode()).hexdigest()
    assert outcome.source.bytes == len(content)


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("a,b\r\n1,x\r\n\r\n2,y\r\n", 2),
        ("a,b\n1,x\n2,y", 2),
        ("\n\na,b\n1,x\n", 1),
        ("\ufeffa,b\n1,x\n", 1),
        ('a,b\n1,"x ""quoted"" y"\n', 1),
        ('a,b\n1,x "loose\n2,y" quotes\n', 2),
        ('"a","b"\n"1","x"\n', 1),
        ('a,"b"\n1,"x\n\ny"\n', 1),
        ("a,b\r1,x\r2,y\r", 2),
        ("a,b\n1,\n2,\n", 2),
    ],
)
def test_records_are_counted_as_they_are_read(bench: Bench, content: str, rows: int) -> None:
    bench.write("in.csv", content)
    outcome = walk(bench, "csv", "in.csv", AB).outcome("raw")
    assert (outcome.rows_in, outcome.rows_out, outcome.ledger) == (rows, rows, "balanced")


def test_an_empty_line_of_a_single_column_is_a_record(bench: Bench) -> None:
    bench.write("in.csv", "a\n1\n\n2\n")
    outcome = walk(bench, "csv", "in.csv", {"a": "integer"}).outcome("raw")
    assert outcome.rows_in == outcome.rows_out == 3
    assert [row["a"] for row in bench.rows(outcome.output)] == [1, None, 2]


def test_columns_come_in_declared_order_without_a_header_too(bench: Bench) -> None:
    bench.write("in.csv", "b,a\nx,1\n")
    assert list(bench.rows(walk(bench, "csv", "in.csv", AB).outcome("raw").output)[0]) == ["a", "b"]
    bench.write("bare.tsv", "1\tx\n2\ty\n")
    bare = walk(bench, "csv", "bare.tsv", AB, header=False, delimiter="\t").outcome("raw")
    assert bench.rows(bare.output)[1] == {"a": 2, "b": "y"}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("a,b\n1,x\nzz,y\n", 3, ["column `a`", "'zz'"]),
        ("a,b\n1,x\n2\n", 3, ["1 fields instead of 2"]),
        ("a,b\n1,x\n2,y,z\n", 3, ["3 fields instead of 2"]),
        ("a,b\n1,x\n2,y,\n", 3, ["3 fields instead of 2"]),
        ('a,b\n1,"x\ny\nz"\nzz,y\n', 5, ["'zz'"]),
        ('a,b\n1,"x\ny"\n\n\n2\n', 6, ["1 fields instead of 2"]),
        ("\n\na,b\n1,x\n\nzz,y\n", 6, ["'zz'"]),
        ("a,b\r\n1,x\r\n\r\nzz,y\r\n", 4, ["'zz'"]),
        ("a,b\n1,x\n1.5,y\n", 3, ["column `a`", "'1.5'"]),
        ('a,b\n1,x\n2,"y"z\n', 3, ["not CSV"]),
        ('a,b\n1,x\n2,"y\n3,z\n', 3, ["not CSV", '2,"y']),
        ('a,"b\n"\n1,x\n', 1, ["column"]),
    ],
)
def test_a_row_that_cannot_be_read_is_told_with_its_physical_line(
    bench: Bench, content: str, line: int, words: list[str], packed: bool
) -> None:
    name = "in.csv.gz" if packed else "in.csv"
    path = bench.write(name, gzip.compress(content.encode()) if packed else content)
    error = walk(bench, "csv", name, AB).error("raw")
    assert error.where == f"{path}:{line}"
    assert all(word in error.message for word in words), error.message
    assert not error.retryable


def test_the_line_is_right_far_into_a_file_with_line_breaks_in_quotes(bench: Bench) -> None:
    rows = [f'{n},"x\ny"' if n % 3 == 0 else f"{n},x" for n in range(30_000)]
    rows[25_000] = "abc,x"
    lines_before = sum(2 if n % 3 == 0 else 1 for n in range(25_000))
    path = bench.write("in.csv", "a,b\n" + "\n".join(rows) + "\n")
    (row,) = bench.rows(walk(bench, "csv", "in.csv", AB).outcome("raw").quarantine)
    assert (row["headwater_source"], row["headwater_line"]) == (str(path), lines_before + 2)


def test_bytes_that_are_no_text_are_told(bench: Bench) -> None:
    path = bench.write("in.csv", b"a,b\n1,x\n2,\xff\xfe\n")
    error = walk(bench, "csv", "in.csv", AB).error("raw")
    assert (error.code, error.where) == ("too_many_quarantined", f"{path}:3")
    assert "UTF-8" in error.message


def test_a_cut_gzip_file_is_told(bench: Bench) -> None:
    whole = gzip.compress(b"a,b\n" + b"".join(b"%d,x\n" % n for n in range(5000)))
    bench.write("in.csv.gz", whole[: len(whole) // 2])
    error = walk(bench, "csv", "in.csv.gz", AB).error("raw")
    assert error.code == "bad_row"


def test_a_sniffed_column_that_stops_fitting_asks_to_be_declared(bench: Bench) -> None:
    bench.write("in.csv", "a,b\n1,x\nNA,y\n")
    error = sniffed(bench, "csv", "in.csv", AB).error("raw")
    assert error.hint == "declare its type: sources.s.columns"
    told = "column `a`: 'NA' is no integer, which the column was found to be"
    assert error.message == told


@pytest.mark.parametrize(
    ("header", "code", "word"),
    [
        ("a,c", "missing_column", "b"),
        ("a,b,c", "extra_column", "c"),
        ("a,b,B", "duplicate_column", "b, B"),
    ],
)
def test_columns_that_are_not_those_declared(
    bench: Bench, header: str, code: str, word: str
) -> None:
    path = bench.write("in.csv", f"{header}\n1,x\n")
    error = walk(bench, "csv", "in.csv", AB).error("raw")
    assert (error.code, error.where) == (code, f"{path}:1")
    assert word in error.message


def test_a_missing_file_and_an_empty_one(bench: Bench) -> None:
    assert walk(bench, "csv", "none.csv", AB).error("raw").code == "source_missing"
    bench.write("in.csv", "a,b\n")
    assert walk(bench, "csv", "in.csv", AB).error("raw").code == "empty_source"
    bench.write("nothing.csv", "")
    assert walk(bench, "csv", "nothing.csv", AB).error("raw").code == "empty_source"


def test_an_empty_file_passes_where_it_may(bench: Bench) -> None:
    bench.write("in.csv", "a,b\n")
    source = {"kind": "csv", "path": "in.csv", "columns": AB}
    step = {"id": "raw", "kind": "ingest", "source": "s", "allow_empty": True}
    outcome = Walk(bench, {"sources": {"s": source}, "steps": [step]}).outcome("raw")
    assert (outcome.rows_in, outcome.rows_out, outcome.ledger) == (0, 0, "balanced")


def test_a_path_outside_the_project_is_refused(bench: Bench) -> None:
    assert walk(bench, "csv", "../../etc/passwd", AB).error("raw").code == "path_outside"


def test_every_type_is_read(bench: Bench) -> None:
    types = {
        "s": "string",
        "i": "integer",
        "n": "number",
        "d": "decimal",
        "b": "boolean",
        "day": "date",
        "t": "time",
        "at": "timestamp",
        "atz": "timestamptz",
    }
    row = "x,-5,1.5,2.25,true,2013-01-02,03:04:05,2013-01-02 03:04:05,2013-01-02T03:04:05Z"
    bench.write("in.csv", f"{','.join(types)}\n{row}\n{',' * 8}\n")
    rows = bench.rows(walk(bench, "csv", "in.csv", types).outcome("raw").output)
    assert [str(value) for value in rows[0].values()] == [
        "x",
        "-5",
        "1.5",
        "2.250000000",
        "True",
        "2013-01-02",
        "03:04:05",
        "2013-01-02 03:04:05",
        "2013-01-02 03:04:05+00:00",
    ]
    assert set(rows[1].values()) == {None}


def test_parquet(bench: Bench) -> None:
    table = pa.table({"b": ["x", "y"], "a": pa.array([1.0, 2.0])})
    pq.write_table(table, bench.project / "in.parquet")
    outcome = walk(bench, "parquet", "in.parquet", AB).outcome("raw")
    assert (outcome.rows_in, outcome.rows_out, outcome.ledger) == (2, 2, "balanced")
    assert bench.rows(outcome.output) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    pq.write_table(pa.table({"b": ["x", "y"], "a": [1.0, 2.5]}), bench.project / "in.parquet")
    error = walk(bench, "parquet", "in.parquet", AB).error("raw")
    assert error.where.endswith("in.parquet:2")
    bench.write("in.parquet", "no such thing")
    assert walk(bench, "parquet", "in.parquet", AB).error("raw").code == "bad_row"


def test_column_edges_name_the_source(bench: Bench) -> None:
    bench.write("in.csv", "a,b\n1,x\n")
    done = walk(bench, "csv", "in.csv", AB)
    result = done.step("raw")
    assert [(edge.source, edge.source_column, edge.column) for edge in result.edges] == [  # type: ignore[union-attr]  # a failure has none, and fails here
        ("s", "a", "a"),
        ("s", "b", "b"),
    ]


def test_extra_columns_of_csv(bench: Bench) -> None:
    path = bench.write("in.csv", "a,c,b\n1,9,x\n2,8,y\n")
    error = walk(bench, "csv", "in.csv", AB).error("raw")
    assert (error.code, error.where) == ("extra_column", f"{path}:1")
    assert error.message == "column c is not declared"
    assert "extra_columns: drop" in error.hint
    bench.write("wide.csv", "a,c,b,d\n1,9,x,0\n")
    error = walk(bench, "csv", "wide.csv", AB).error("raw")
    assert error.message == "columns c, d are not declared"
    dropped = walk(bench, "csv", "in.csv", AB, extra_columns="drop").outcome("raw")
    assert bench.rows(dropped.output) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    pinned = {"extra_columns": "keep", "sniffed": {"c": "string"}}
    kept = walk(bench, "csv", "in.csv", AB, **pinned).outcome("raw")
    assert bench.rows(kept.output)[0] == {"a": 1, "b": "x", "c": "9"}
    bench.write("in.csv", "a,b,c,d\n1,x,9,0\n")
    late = walk(bench, "csv", "in.csv", AB, **pinned).error("raw")
    assert (late.code, late.hint.endswith("apply the pipeline again")) == ("extra_column", True)


def test_extra_columns_of_parquet(bench: Bench) -> None:
    pq.write_table(pa.table({"a": [1], "b": ["x"], "c": [0.5]}), bench.project / "in.parquet")
    assert walk(bench, "parquet", "in.parquet", AB).error("raw").code == "extra_column"
    dropped = walk(bench, "parquet", "in.parquet", AB, extra_columns="drop").outcome("raw")
    assert bench.rows(dropped.output) == [{"a": 1, "b": "x"}]
    pinned = {"extra_columns": "keep", "sniffed": {"c": "number"}}
    kept = walk(bench, "parquet", "in.parquet", AB, **pinned).outcome("raw")
    assert bench.rows(kept.output) == [{"a": 1, "b": "x", "c": 0.5}]


def test_a_declared_encoding_is_read_and_so_are_its_rejected_rows(bench: Bench) -> None:
    content = "a,b\n1,caf\xe9\n2,\xfcber\nzz,\xe9\n".encode("latin-1")
    bench.write("in.csv", content)
    source = {"kind": "csv", "path": "in.csv", "columns": AB, "encoding": "latin-1"}
    step = {"id": "raw", "kind": "ingest", "source": "s", "limits": {"max_quarantined": 1}}
    outcome = Walk(bench, {"sources": {"s": source}, "steps": [step]}).outcome("raw")
    assert [row["b"] for row in bench.rows(outcome.output)] == ["caf\xe9", "\xfcber"]
    assert bench.rows(outcome.quarantine)[0]["b"] == "\xe9"
    bench.write("in.csv", content.replace(b"zz", b"3"))
    clean = Walk(bench, {"sources": {"s": source}, "steps": [step]}).outcome("raw")
    assert [row["b"] for row in bench.rows(clean.output)] == ["caf\xe9", "\xfcber", "\xe9"]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_dates_are_read_as_it_is_declared_that_they_are_written(bench: Bench, kind: str) -> None:
    days = ["03/04/2013", "28/02/2013", "13/13/2013", ""]
    written = {
        "csv": "day,at\n" + "".join(f"{day},2013.1.2 3h\n" for day in days),
        "jsonl": "".join(
            f'{{"day": "{day}", "at": "2013.1.2 3h"}}\n'.replace('""', "null") for day in days
        ),
    }
    columns = {
        "day": {"type": "date", "format": "%d/%m/%Y"},
        "at": {"type": "timestamp", "format": "%Y.%m.%d %Hh"},
    }
    bench.write(f"in.{kind}", written[kind])
    source = {"kind": kind, "path": f"in.{kind}", "columns": columns}
    step = {"id": "raw", "kind": "ingest", "source": "s", "limits": {"max_quarantined": 1}}
    outcome = Walk(bench, {"sources": {"s": source}, "steps": [step]}).outcome("raw")
    rows = bench.rows(outcome.output)
    assert [str(row["day"]) for row in rows] == ["2013-04-03", "2013-02-28", "None"]
    assert str(rows[0]["at"]) == "2013-01-02 03:00:00"
    (row,) = bench.rows(outcome.quarantine)
    assert row["headwater_reason"] == "column `day`: '13/13/2013' is no date such as %d/%m/%Y"


def test_a_time_of_a_parquet_file_is_not_cut_off(bench: Bench) -> None:
    times = [datetime(2013, 1, 2), datetime(2013, 1, 2, 10, 30)]  # noqa: DTZ001 # as files have it
    pq.write_table(pa.table({"day": times}), bench.project / "in.parquet")
    columns = {"day": "date"}
    error = walk(bench, "parquet", "in.parquet", columns).error("raw")
    assert (error.code, error.where.endswith("in.parquet:2")) == ("too_many_quarantined", True)


def wide(columns: Columns) -> str:
    row = ",".join("1" for _ in columns)
    return ",".join(columns) + f"\n{row}\n" * 3


def test_a_file_of_five_thousand_columns(bench: Bench) -> None:
    columns = {f"c{n}": "integer" for n in range(5000)}
    bench.write("in.csv", wide(columns))
    assert walk(bench, "csv", "in.csv", columns).outcome("raw").rows_out == 3


def test_dirt_in_a_wide_file(bench: Bench) -> None:
    columns = {f"c{n}": "integer" for n in range(200)}
    bench.write("in.csv", f"{wide(columns)}{'1,' * 150}y,{'1,' * 48}x\n")
    source = {"kind": "csv", "path": "in.csv", "columns": columns}
    step = {"id": "raw", "kind": "ingest", "source": "s", "limits": {"max_quarantined": 1}}
    outcome = Walk(bench, {"sources": {"s": source}, "steps": [step]}).outcome("raw")
    (rejected,) = bench.rows(outcome.quarantine)
    assert rejected["headwater_reason"] == "column `c150`: 'y' is no integer"


@pytest.mark.parametrize("name", ["with space.csv", 'it\'s "so".csv', "two\nlines.csv", "%s.csv"])
def test_any_name_is_a_name(bench: Bench, name: str) -> None:
    bench.write(name, 'a,b\n1,x\n2,"y\n"\n')
    assert walk(bench, "csv", name, AB).outcome("raw").rows_out == 2


def test_a_link_that_leads_outside_is_refused(bench: Bench) -> None:
    outside = bench.project.parent / "secret.csv"
    outside.write_text("a,b\n1,x\n")
    (bench.project / "in.csv").symlink_to(outside)
    assert walk(bench, "csv", "in.csv", AB).error("raw").code == "path_outside"
