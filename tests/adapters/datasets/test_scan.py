"""Counting records in bytes, against Python's own reader of CSV."""

import csv
import hashlib
import io
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.datasets.scan import Look, Tally
from commands.steps.ports import StepBroken

texts = st.text(alphabet='ab,"\n\r ', max_size=6)
tables = st.lists(st.tuples(texts, texts), max_size=12)


@settings(max_examples=200, deadline=None)
@given(rows=tables, block=st.integers(1, 9), newline=st.sampled_from(["\n", "\r\n"]))
def test_records_are_counted_however_the_blocks_fall(
    rows: list[tuple[str, str]], block: int, newline: str
) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator=newline).writerows(rows)
    data = text.getvalue().encode()
    tally = Tally(delimiter=b",")
    for start in range(0, len(data), block):
        tally.feed(data[start : start + block])
    tally.end()
    assert tally.records == len(rows)
    assert tally.delimiters == tally.plain


@pytest.mark.parametrize(
    ("data", "records"),
    [(b"", 0), (b"a", 1), (b"a\n\n\nb\n", 2), (b"a\r\n\r\nb", 2), (b"\n\n", 0)],
)
def test_blank_lines_count_only_where_they_are_records(data: bytes, records: int) -> None:
    for block in (1, 2, 100):
        tally, single = Tally(), Tally(blank_counts=True)
        for start in range(0, len(data), block):
            tally.feed(data[start : start + block])
            single.feed(data[start : start + block])
        tally.end()
        single.end()
        assert tally.records == records
        assert single.records == len(data.splitlines())


def test_a_look_hashes_and_counts(tmp_path: Path) -> None:
    data = b"a,b\n" + b"1,2.5\n" * 400_000
    path = tmp_path / "in.csv"
    path.write_bytes(data)
    tally = Tally(delimiter=b",")
    with Look(str(path), tally) as look:
        scan = look.result()
    assert (scan.fingerprint, scan.bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    assert (tally.records, tally.has_point) == (400_001, True)


@pytest.mark.parametrize("change", ["longer", "touched", "replaced", "gone"])
def test_a_file_that_changes_while_it_is_read_is_worth_another_try(
    tmp_path: Path, change: str
) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(b"a\n1\n")
    with Look(str(path), Tally()) as look:
        match change:
            case "longer":
                with path.open("ab") as file:
                    file.write(b"2\n")
            case "touched":
                os.utime(path, ns=(1, 1))
            case "replaced":
                (tmp_path / "new").write_bytes(b"a\n1\n")
                (tmp_path / "new").replace(path)
            case "gone":
                path.unlink()
        with pytest.raises(StepBroken) as stopped:
            look.hold()
    assert stopped.value.error.code in ("source_changed", "source_missing")
    assert stopped.value.error.retryable
