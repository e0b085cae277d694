"""Store: the destination holds all of the rows or what it held before, and its mark says whose."""

import csv
import gzip
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pyarrow.parquet as pq
import pytest

from tests.commands.steps.bench import Bench, Walk


def walk(bench: Bench, sink: dict[str, object], csv_text: str = "n,g\n3,x\n1,\n2,z\n") -> Walk:
    bench.write("in.csv", csv_text)
    store = {"id": "kept", "kind": "store", "input": "raw", "sink": sink, "order_by": ["n desc"]}
    done = Walk(
        bench,
        {
            "sources": {
                "s": {"kind": "csv", "path": "in.csv", "columns": {"n": "integer", "g": "string"}}
            },
            "steps": [
                {"id": "raw", "kind": "ingest", "source": "s", "allow_empty": True},
                store,
            ],
        },
    )
    done.outcome("raw")
    return done


def content(path: Path) -> list[tuple[int, str | None]]:
    name = path.name
    if name.endswith(".parquet"):
        return [(row["n"], row["g"]) for row in pq.read_table(path).to_pylist()]
    data = gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()
    lines = data.decode().splitlines()
    if "json" in name:
        rows = [json.loads(line) for line in lines]
        return [(row["n"], row["g"]) for row in rows]
    return [(int(row["n"]), row["g"] or None) for row in csv.DictReader(lines)]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("parquet", "out/rows.parquet"),
        ("csv", "out/rows.csv"),
        ("csv", "rows.csv.gz"),
        ("jsonl", "out/deep/rows.jsonl"),
        ("jsonl", "rows.jsonl.gz"),
    ],
)
def test_rows_arrive_in_order_and_are_counted_there(bench: Bench, kind: str, name: str) -> None:
    done = walk(bench, {"kind": kind, "path": name})
    outcome = done.outcome("kept")
    path = bench.project / name
    assert content(path) == [(3, "x"), (2, "z"), (1, None)]
    assert (outcome.rows_in, outcome.rows_out, outcome.ledger) == (3, 3, "balanced")
    assert outcome.output == done.done["raw"]
    assert outcome.destination is not None
    assert outcome.destination.name == str(path)
    assert outcome.destination.bytes == path.stat().st_size
    assert not list(path.parent.glob(".*-draft"))


def test_a_destination_is_replaced_whole(bench: Bench) -> None:
    sink: dict[str, object] = {"kind": "csv", "path": "rows.csv"}
    walk(bench, sink).outcome("kept")
    walk(bench, sink, "n,g\n7,x\n").outcome("kept")
    assert content(bench.project / "rows.csv") == [(7, "x")]


def test_the_same_content_is_not_written_again(bench: Bench) -> None:
    sink: dict[str, object] = {"kind": "csv", "path": "rows.csv"}
    path = bench.project / "rows.csv"
    writer = walk(bench, sink)
    first = writer.outcome("kept")
    inode = path.stat().st_ino
    second = walk(bench, sink).outcome("kept")
    assert path.stat().st_ino == inode
    assert second.destination == first.destination
    assert (first.written_by, second.written_by) == (None, writer.run)


@pytest.mark.parametrize("by_hand", [Path.unlink, lambda path: path.write_text("touched")])
def test_what_was_changed_by_hand_is_written_again(
    bench: Bench, by_hand: Callable[[Path], object]
) -> None:
    sink: dict[str, object] = {"kind": "csv", "path": "rows.csv"}
    path = bench.project / "rows.csv"
    walk(bench, sink).outcome("kept")
    by_hand(path)
    again = walk(bench, sink).outcome("kept")
    assert content(path) == [(3, "x"), (2, "z"), (1, None)]
    assert again.written_by is None


def test_what_is_wanted_anew_is_written_again(bench: Bench) -> None:
    sink: dict[str, object] = {"kind": "csv", "path": "rows.csv"}
    walk(bench, sink).outcome("kept")
    inode = (bench.project / "rows.csv").stat().st_ino
    anew = walk(bench, sink)
    anew.fresh = True
    assert anew.outcome("kept").written_by is None
    assert (bench.project / "rows.csv").stat().st_ino != inode


def test_rows_that_a_newer_run_found_in_place_are_safe_from_an_older_one(bench: Bench) -> None:
    sink: dict[str, object] = {"kind": "csv", "path": "rows.csv"}
    walk(bench, sink).outcome("kept")
    late = walk(bench, sink, "n,g\n7,x\n")
    late.run_time += timedelta(seconds=1)
    newer = walk(bench, sink)
    newer.run_time += timedelta(seconds=2)
    assert newer.outcome("kept").written_by is not None
    assert late.error("kept").code == "newer_content"
    assert len(content(bench.project / "rows.csv")) == 3


def test_an_older_run_does_not_replace_a_newer_ones_rows(bench: Bench) -> None:
    sink: dict[str, object] = {"kind": "csv", "path": "rows.csv"}
    walk(bench, sink).outcome("kept")
    late = walk(bench, sink, "n,g\n7,x\n")
    late.run, late.run_time = uuid4(), late.run_time - timedelta(seconds=1)
    assert late.error("kept").code == "newer_content"
    assert len(content(bench.project / "rows.csv")) == 3


def test_nothing_does_not_replace_something(bench: Bench) -> None:
    error = walk(bench, {"kind": "csv", "path": "rows.csv"}, "n,g\n").error("kept")
    assert error.code == "empty_output"
    assert not (bench.project / "rows.csv").exists()


def test_params_and_roots(bench: Bench) -> None:
    done = walk(bench, {"kind": "csv", "path": "out/${day}.csv"})
    done.params["day"] = "monday"
    done.outcome("kept")
    assert (bench.project / "out/monday.csv").exists()
    outside = walk(bench, {"kind": "csv", "path": "../rows.csv"})
    assert outside.error("kept").code == "path_outside"
    (bench.project / "folder").mkdir()
    folder = walk(bench, {"kind": "csv", "path": "folder"})
    assert folder.error("kept").code == "io_error"


def test_drafts_of_the_dead_are_removed(bench: Bench) -> None:
    dead = bench.write(".rows.csv.0123.headwater-draft", "half")
    walk(bench, {"kind": "csv", "path": "rows.csv"}).outcome("kept")
    assert not dead.exists()


def test_a_step_that_is_handed_out_again_leaves_newer_rows_alone(bench: Bench) -> None:
    sink: dict[str, object] = {"kind": "csv", "path": "rows.csv"}
    first = walk(bench, sink)
    outcome = first.outcome("kept")
    later = walk(bench, sink, "n,g\n7,x\n")
    later.run_time += timedelta(seconds=1)
    later.outcome("kept")
    assert first.outcome("kept") == outcome
    assert content(bench.project / "rows.csv") == [(7, "x")]
