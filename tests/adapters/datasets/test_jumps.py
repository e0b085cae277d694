"""Jumps: told by the count of a file's bytes, they are the lines that a plain reader counts."""

import csv
import io
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.datasets.jumps import Jumps
from adapters.datasets.scan import Tally

FIELDS = st.text(st.sampled_from('a,"\n\r '), max_size=6)
BLANKS = st.sampled_from([0, 0, 0, 0, 1, 3])


def read(path: Path, jumps: Jumps, records: int) -> list[int]:
    """The line of each record, as the jumps tell it."""
    jumps.end(records)
    jumps.close()
    found = {0: jumps.first}
    if jumps.count:
        rows = pq.read_table(path).to_pylist()
        found |= {row["number"]: row["line"] for row in rows}
        assert len(rows) == jumps.count == len(found) - 1
    lines = list[int]()
    for number in range(records):
        lines.append(found.get(number, lines[-1] + 1 if lines else 0))
    return lines


@settings(max_examples=300, deadline=None)
@given(
    records=st.lists(st.tuples(BLANKS, FIELDS, FIELDS, st.booleans()), min_size=1, max_size=30),
    head=st.integers(0, 2),
    end=st.sampled_from(["\n", "\r\n"]),
    trailing=st.integers(0, 3),
    block=st.integers(1, 40),
)
def test_lines_are_those_of_a_plain_reader(
    records: list[tuple[int, str, str, bool]], head: int, end: str, trailing: int, block: int
) -> None:
    text, wanted = "", []
    for blanks, one, two, is_quoted in records:
        text += end * blanks
        wanted.append(len(re.findall("\r\n|\r|\n", text)) + 1)
        out = io.StringIO()
        in_quotes = is_quoted or bool({*"\r\n"} & {*one, *two})
        writer = csv.writer(
            out, lineterminator=end, quoting=csv.QUOTE_ALL if in_quotes else csv.QUOTE_MINIMAL
        )
        writer.writerow(["x" + one, two])
        text += out.getvalue()
    content = (text + end * trailing).encode()
    head = min(head, len(records))
    with TemporaryDirectory() as folder:
        path = Path(folder, "jumps.parquet")
        with Jumps(str(path)) as jumps:
            jumps.begin(head)
            tally = Tally(delimiter=b",", jumps=jumps)
            for start in range(0, len(content), block):
                tally.feed(content[start : start + block])
            tally.end()
            assert tally.records == len(records)
            assert read(path, jumps, len(records) - head) == wanted[head:]
            assert path.exists() == bool(jumps.count)


def test_of_lines_without_quotes_only_blanks_are_told(tmp_path: Path) -> None:
    path = tmp_path / "jumps.parquet"
    with Jumps(str(path)) as jumps:
        tally = Tally(quoted=False, jumps=jumps)
        tally.feed(b'{"a": "1"}\n{"a": "\r"}\n\n\r\n{"a": "')
        tally.feed(b'2"}\n')
        tally.end()
        assert read(path, jumps, tally.records) == [1, 2, 5]


def test_more_jumps_than_are_held_at_once_are_all_written(tmp_path: Path) -> None:
    path = tmp_path / "jumps.parquet"
    records = 150_000
    with Jumps(str(path)) as jumps:
        tally = Tally(delimiter=b",", jumps=jumps)
        for _ in range(records // 1000):
            tally.feed(b'1,"a\nb"\n' * 1000)
        tally.end()
        assert read(path, jumps, records) == list(range(1, 2 * records, 2))
        assert jumps.count == records - 1


def test_a_file_that_is_counted_anew_forgets_what_was_told(tmp_path: Path) -> None:
    path = tmp_path / "jumps.parquet"
    with Jumps(str(path)) as jumps:
        jumps.begin(1)
        jumps.stretch(5, 9)
        jumps.begin()
        jumps.stretch(0, 3)
        assert read(path, jumps, 2) == [3, 4]
        assert jumps.count == 0
