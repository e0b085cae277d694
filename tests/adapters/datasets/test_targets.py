"""Destinations under kill: at every moment the old content or the new, never a part."""

import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import pytest
from msgspec.structs import replace

from adapters.datasets.targets import FileSinks
from commands.steps.ports import Mark, StepBroken

WRITER = """
import sys
from datetime import datetime, timedelta, UTC
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4
from adapters.datasets.targets import FileSinks
from commands.steps.ports import (Mark,)

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


DYING = """
import os, signal, sys
from datetime import datetime, timedelta, UTC
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID
from adapters.datasets import targets
from commands.steps.ports import (Mark,)

sinks = targets.FileSinks(sys.argv[1], [sys.argv[1]])
at = datetime(2026, 1, 1, tzinfo=UTC)
put = targets._put_mark


def die(target, mark):
    if sys.argv[2] == "behind":
        put(target, mark)
    os.kill(os.getpid(), signal.SIGKILL)


for number, text in enumerate(("old", "new")):
    if number:
        targets._put_mark = die
    with sinks.draft("rows.csv") as draft:
        Path(draft.path).write_text(text)
        draft.publish(Mark(pipeline="p", step="s", run=UUID(int=number), key=text, rows=1,
                           run_time=at + timedelta(seconds=number)))
"""


@pytest.mark.parametrize("moment", ["before", "behind"])
def test_killed_around_its_mark_it_is_written_again_or_known(tmp_path: Path, moment: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DYING, str(tmp_path), moment],
        cwd=Path(__file__).parents[3],
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    target = tmp_path / "rows.csv"
    assert target.read_text() == "new"
    sinks = FileSinks(str(tmp_path), [str(tmp_path)])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    old = Mark(pipeline="p", step="s", run=UUID(int=0), key="old", rows=1, run_time=start)
    new = replace(old, run=UUID(int=1), key="new", run_time=start + timedelta(seconds=1))
    with sinks.draft("rows.csv") as draft:  # the older run must not take the rows for its own
        assert draft.unchanged("old", old.run_time) is None
    with sinks.draft("rows.csv") as draft:
        there = draft.unchanged("new", new.run_time)
        assert (there is not None) == (moment == "behind")
        if there is None:
            Path(draft.path).write_text("new")
            draft.publish(new)
    assert target.read_text() == "new"
    with sinks.draft("rows.csv") as draft:
        Path(draft.path).write_text("old")
        with pytest.raises(StepBroken, match="began later"):
            draft.publish(old)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".rows.csv.headwater.json",
        "rows.csv",
    ]


def test_a_folder_that_takes_nothing_is_told() -> None:
    sinks = FileSinks("/proc", ["/proc"])
    assert sinks.seen("rows.csv")[1] is None
    for path in ("rows.csv", "new/rows.csv", "self/rows.csv"):
        with pytest.raises(StepBroken) as stopped, sinks.draft(path):
            pass
        error = stopped.value.error
        assert (error.code, error.retryable) == ("io_error", True)
        assert error.where.startswith("/proc/")


def test_a_destination_on_another_file_system(tmp_path: Path) -> None:
    with TemporaryDirectory(dir="/dev/shm") as other:  # it is another one
        link = tmp_path / "rows.csv"
        link.symlink_to(f"{other}/rows.csv")
        sinks = FileSinks(str(tmp_path), [str(tmp_path), other])
        mark = Mark(
            pipeline="p",
            step="s",
            run=UUID(int=1),
            key="k",
            rows=1,
            run_time=datetime(2026, 1, 1, tzinfo=UTC),
        )
        with sinks.draft("rows.csv") as draft:
            Path(draft.path).write_text("new")
            draft.publish(mark)
        assert link.is_symlink()
        assert link.read_text() == "new"
        seen = sinks.seen("rows.csv")[1]
        assert seen is not None
        assert seen.key == "k"
