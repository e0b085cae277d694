"""Destinations as people leave them: marks that are gone or wrong, places where nothing can be."""

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from tests.commands.steps.bench import Bench, Walk

SINK: dict[str, object] = {"kind": "csv", "path": "out/rows.csv"}


def walk(bench: Bench, sink: dict[str, object] = SINK, rows: str = "2,b\n1,a\n") -> Walk:
    bench.write("in.csv", "n,g\n" + rows)
    columns = {"n": "integer", "g": "string"}
    made = Walk(
        bench,
        {
            "sources": {"s": {"kind": "csv", "path": "in.csv", "columns": columns}},
            "steps": [
                {"id": "raw", "kind": "ingest", "source": "s"},
                {"id": "kept", "kind": "store", "input": "raw", "sink": sink, "order_by": ["n"]},
            ],
        },
    )
    made.outcome("raw")
    return made


def target(bench: Bench) -> Path:
    return bench.project / "out/rows.csv"


def mark(bench: Bench) -> Path:
    return bench.project / "out/.rows.csv.headwater.json"


def _as_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _of_other_content(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "fingerprint": "0" * 64}))


@pytest.mark.parametrize(
    "harm",
    [
        Path.unlink,
        lambda path: path.write_text(""),
        lambda path: path.write_text("{"),
        lambda path: path.write_text("[]"),
        lambda path: path.write_bytes(b"\xff\x00"),
        lambda path: path.write_text('{"run": "me"}'),
        _of_other_content,
    ],
)
def test_a_mark_that_is_gone_or_wrong_is_written_again_with_the_rows(
    bench: Bench, harm: Callable[[Path], object]
) -> None:
    walk(bench).outcome("kept")
    harm(mark(bench))
    again = walk(bench)
    assert again.outcome("kept").written_by is None
    assert target(bench).read_text() == "n,g\n1,a\n2,b\n"
    assert json.loads(mark(bench).read_text())["run"] == str(again.run)
    assert walk(bench).outcome("kept").written_by == again.run


def test_a_mark_that_cannot_be_written_is_told_and_healed_when_it_can(bench: Bench) -> None:
    walk(bench).outcome("kept")
    _as_a_folder(mark(bench))
    error = walk(bench, rows="3,c\n").error("kept")
    assert (error.code, error.retryable) == ("io_error", True)
    mark(bench).rmdir()
    assert walk(bench, rows="3,c\n").outcome("kept").written_by is None
    assert target(bench).read_text() == "n,g\n3,c\n"
    assert not list(target(bench).parent.glob(".*-draft"))


def test_the_marks_of_another_destination_mean_nothing(bench: Bench) -> None:
    first = walk(bench)
    first.outcome("kept")
    copied = bench.project / "out/other.csv"
    copied.write_bytes(target(bench).read_bytes())
    copied.with_name(".other.csv.headwater.json").write_bytes(mark(bench).read_bytes())
    other = walk(bench, {"kind": "csv", "path": "out/other.csv"})
    assert other.outcome("kept").written_by is None


def test_an_older_run_is_held_off_by_a_mark_whose_rows_are_gone(bench: Bench) -> None:
    newer = walk(bench)
    newer.run_time += timedelta(seconds=1)
    newer.outcome("kept")
    target(bench).unlink()
    error = walk(bench, rows="9,z\n").error("kept")
    assert (error.code, str(mark(bench)) in error.hint) == ("newer_content", True)
    assert not target(bench).exists()
    mark(bench).unlink()
    walk(bench, rows="9,z\n").outcome("kept")
    assert target(bench).read_text() == "n,g\n9,z\n"


def test_a_link_stays_and_what_it_leads_to_is_replaced(bench: Bench) -> None:
    real = bench.write("real/rows.csv", "old")
    target(bench).parent.mkdir()
    target(bench).symlink_to(real)
    outcome = walk(bench).outcome("kept")
    assert target(bench).is_symlink()
    assert real.read_text() == "n,g\n1,a\n2,b\n"
    assert outcome.destination is not None
    assert outcome.destination.name == str(real)
    assert walk(bench).outcome("kept").written_by is not None


@pytest.mark.parametrize("place", ["rows.csv", "folder/rows.csv"])
def test_a_link_that_leads_out_of_the_roots_is_refused(bench: Bench, place: str) -> None:
    outside = bench.project.parent / "outside"
    outside.mkdir()
    (outside / "rows.csv").write_text("mine")
    link = bench.project / place.partition("/")[0]
    link.symlink_to(outside if "/" in place else outside / "rows.csv")
    assert walk(bench, {"kind": "csv", "path": place}).error("kept").code == "path_outside"
    assert (outside / "rows.csv").read_text() == "mine"
    assert [path.name for path in outside.iterdir()] == ["rows.csv"]


def test_a_link_that_leads_nowhere_is_filled(bench: Bench) -> None:
    target(bench).parent.mkdir()
    target(bench).symlink_to(bench.project / "made.csv")
    walk(bench).outcome("kept")
    assert (bench.project / "made.csv").read_text() == "n,g\n1,a\n2,b\n"


def test_what_is_no_file_is_not_replaced(bench: Bench) -> None:
    target(bench).parent.mkdir()
    os.mkfifo(target(bench))
    error = walk(bench).error("kept")
    assert (error.code, error.message) == ("io_error", "the destination is no regular file")
    assert target(bench).is_fifo()
    bench.write("file", "")
    below = walk(bench, {"kind": "csv", "path": "file/rows.csv"}).error("kept")
    assert below.code == "io_error"
    assert below.where.endswith("file/rows.csv")


def test_a_name_that_is_too_long_is_told(bench: Bench) -> None:
    error = walk(bench, {"kind": "csv", "path": "x" * 250 + ".csv"}).error("kept")
    assert (error.code, "too long" in error.message) == ("io_error", True)


def test_a_folder_that_takes_nothing_is_told(bench: Bench) -> None:
    made = walk(bench, {"kind": "csv", "path": "/proc/rows.csv"})
    assert made.error("kept").code == "path_outside"
    (bench.project / "nowhere").symlink_to("/proc")
    assert walk(bench, {"kind": "csv", "path": "nowhere/a.csv"}).error("kept").code == (
        "path_outside"
    )


@pytest.mark.parametrize("name", ["a b.csv", "it's.csv", 'say "x".csv', "über.csv", "a\nb.csv"])
def test_names_of_any_kind(bench: Bench, name: str) -> None:
    sink: dict[str, object] = {"kind": "csv", "path": f"out/{name}"}
    walk(bench, sink).outcome("kept")
    assert (bench.project / "out" / name).read_text() == "n,g\n1,a\n2,b\n"
    assert walk(bench, sink).outcome("kept").written_by is not None


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_rows_of_equal_order_stay_in_the_order_of_the_input(bench: Bench, kind: str) -> None:
    count = 400_000  # several row groups, so that several threads sort
    rows = "".join(f"{place},{place % 3}\n" for place in range(count))
    bench.write("in.csv", "n,g\n" + rows)
    columns = {"n": "integer", "g": "integer"}
    spec: dict[str, object] = {
        "sources": {"s": {"kind": "csv", "path": "in.csv", "columns": columns}},
        "steps": [
            {"id": "raw", "kind": "ingest", "source": "s"},
            {
                "id": "kept",
                "kind": "store",
                "input": "raw",
                "order_by": ["g desc"],
                "sink": {"kind": kind, "path": f"out.{kind}"},
            },
        ],
    }
    seen = set()
    for _ in range(2):
        made = Walk(bench, spec)
        made.run, made.fresh = uuid4(), True
        made.outcome("raw")
        destination = made.outcome("kept").destination
        assert destination is not None
        seen.add(destination.fingerprint)
    assert len(seen) == 1
    if kind == "csv":
        lines = (bench.project / "out.csv").read_text().splitlines()[1:]
        assert lines == [f"{n},{g}" for g in (2, 1, 0) for n in range(g, count, 3)]


def test_a_column_with_the_engine_s_own_name_is_a_column(bench: Bench) -> None:
    bench.write("in.csv", "file_row_number,g\n7,1\n5,1\n6,0\n")
    columns = {"file_row_number": "integer", "g": "integer"}
    sink = {"kind": "csv", "path": "out.csv"}
    store = {"id": "kept", "kind": "store", "input": "raw", "order_by": ["g"], "sink": sink}
    made = Walk(
        bench,
        {
            "sources": {"s": {"kind": "csv", "path": "in.csv", "columns": columns}},
            "steps": [{"id": "raw", "kind": "ingest", "source": "s"}, store],
        },
    )
    made.all()
    assert (bench.project / "out.csv").read_text() == "file_row_number,g\n6,0\n5,1\n7,1\n"
