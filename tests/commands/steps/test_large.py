"""Large datasets are encoded in another way than small ones, and hold the same rows in order."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from adapters.datasets.reading import Reading
from commands.steps.ports import StepBroken
from domain.data.dataset import DatasetVersion
from tests.commands.steps.bench import Bench, Walk

COLUMNS = {"n": "integer", "part": "number", "text": "string", "at": "timestamp"}


def walk(bench: Bench, rows: int) -> Walk:
    text = "a text that makes the file large enough " * 2
    lines = (f"{n},{n % 7 / 4},{text}{n},2013-01-01 00:00:{n % 60:02}\n" for n in range(rows))
    bench.write("in.csv", ",".join(COLUMNS) + "\n" + "".join(lines))
    source = {"kind": "csv", "path": "in.csv", "columns": COLUMNS}
    steps = [
        {"id": "raw", "kind": "ingest", "source": "s"},
        {"id": "odd", "kind": "clean", "input": "raw", "rules": [{"keep_rows": "n % 2 = 1"}]},
        {"id": "same", "kind": "transform", "input": "odd", "sql": "select n, text from odd"},
    ]
    return Walk(bench, {"sources": {"s": source}, "steps": steps})


def encodings(bench: Bench, version: DatasetVersion | None) -> set[str]:
    assert version is not None
    path = bench.artifacts.path_of(version)
    return set(pq.read_metadata(path).row_group(0).column(0).encodings)


@pytest.mark.parametrize(("rows", "is_delta"), [(200_002, True), (2, False)])
def test_rows_and_their_order_are_the_same_however_many(
    bench: Bench, rows: int, *, is_delta: bool
) -> None:
    done = walk(bench, rows).all()
    for step, numbers in (("raw", range(rows)), ("odd", range(1, rows, 2))):
        output = done[step].output
        assert [row["n"] for row in bench.rows(output)] == list(numbers)
        assert ("DELTA_BINARY_PACKED" in encodings(bench, output)) == is_delta, step
        assert done[step].ledger == "balanced"
    assert [row["n"] for row in bench.rows(done["same"].output)] == list(range(1, rows, 2))
    again = walk(bench, rows)
    again.fresh = True
    assert {step: one.output for step, one in again.all().items()} == {
        step: one.output for step, one in done.items()
    }


def test_a_file_that_is_gone_when_its_size_is_asked_for_is_told(tmp_path: Path) -> None:
    path = str(tmp_path / "gone.csv")
    reading = Reading(
        name="s", path=path, target="", rejects="", texts="", jumps="", types={}, declared=True
    )
    with pytest.raises(StepBroken) as stopped:
        _ = reading.is_large
    assert stopped.value.error.code == "source_missing"
