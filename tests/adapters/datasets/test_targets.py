"""Destinations under kill: at every moment the old content or the new, never a part."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from adapters.datasets.targets import FileSinks

WRITER = """
import sys
from datetime import datetime, timedelta, UTC
from pathlib import Path
from uuid import uuid4
from adapters.datasets.targets import FileSinks
from commands.steps.ports import Mark

sinks = FileSinks(sys.argv[1], [sys.argv[1]])
letters = "abcdefghij"
at = datetime.now(UTC)
for number in range(1_000_000):
    with sinks.draft("rows.csv") as draft:
        Path(draft.path).write_text(letters[number % 10] * 300_000)
        draft.publish(Mark(pipeline="p", step="s", run=uuid4(), key=str(number), rows=1,
                           run_time=at + timedelta(seconds=number)))
    if number == 0:
        print("begun", flush=True)
"""


@pytest.mark.parametrize("microseconds", [0, 300, 1_000, 2_500, 5_000])
def test_a_writer_that_is_killed_leaves_whole_content(tmp_path: Path, microseconds: int) -> None:
    target = tmp_path / "rows.csv"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"begun\n"
        until = time.perf_counter() + microseconds / 1e6
        while time.perf_counter() < until:
            text = target.read_text()
            assert (len(text), len(set(text))) == (300_000, 1)
        writer.kill()
    text = target.read_text()
    assert (len(text), len(set(text))) == (300_000, 1)
    with FileSinks(str(tmp_path), [str(tmp_path)]).draft("rows.csv"):
        drafts = list(tmp_path.glob(".*.headwater-draft"))
        assert len(drafts) == 1
    assert not list(tmp_path.glob(".*.headwater-draft"))
