"""Files of mended rows, whatever is in them."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.datasets.mendedfile import read_mended
from commands.steps.ports import StepBroken

PIECES = st.lists(
    st.sampled_from(
        [
            b"headwater_line",
            b"a",
            b",",
            b"\n",
            b"\r\n",
            b'"',
            b"1",
            b"99999999999999999999999",
            b'{"headwater_line": 1, "a": ',
            b"}",
            b"null",
            b'"\\ud800"',
            b"[[",
            b"\x00",
            b"\xff",
            b"\xef\xbb\xbf",
        ]
    ),
    max_size=12,
).map(b"".join)


@settings(max_examples=150, deadline=None)
@given(content=PIECES, name=st.sampled_from(["m.csv", "m.jsonl"]))
@example(content=b'{"headwater_line": 1, "a": "\\ud800"}', name="m.jsonl")
@example(content=b"headwater_line\n1\n", name="m.csv")
@example(content=b",headwater_line\nx,1\n", name="m.csv")
@example(content=b"headwater_line,a\n1," + b"x" * 20_000_000 + b"\n", name="m.csv")
def test_any_bytes_are_read_or_told(content: bytes, name: str) -> None:
    with TemporaryDirectory(prefix="headwater-test-") as folder:
        path, target = Path(folder, name), Path(folder, "rows.parquet")
        path.write_bytes(content)
        try:
            read = read_mended(str(path), str(target))
        except StepBroken as error:
            stopped = error
            read = None
        if read is None:
            assert stopped.error.where.startswith(str(path))
        else:
            assert pq.read_table(target).num_rows > 0
            assert read.file.bytes == len(content)


def test_a_file_above_the_limit_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.datasets.mendedfile.mended_bytes_max", 10)
    path = tmp_path / "m.csv"
    path.write_text("headwater_line,a\n1,2\n")
    with pytest.raises(StepBroken, match="above the limit of 10"):
        read_mended(str(path), str(tmp_path / "rows.parquet"))
