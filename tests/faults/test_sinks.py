"""Stores under kill and stop: nothing twice, nothing older over something newer.

A writer waits for the lock on its destination's folder before it renames, so whoever holds that
lock decides when it goes on: no moment is guessed.
"""

import fcntl
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.project import Project, descendants

PIPELINE = """\
pipeline: sink
params:
  day: {type: string, default: mon}
sources:
  rows: {kind: csv, path: rows.csv, columns: {n: integer}}
steps:
  - {id: raw, kind: ingest, source: rows}
  - {id: kept, kind: store, input: raw, mode: MODE, order_by: [n], retry: {attempts: 3},
     sink: {kind: csv, path: out/PLACE}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def _write(project: Project, mode: str, rows: str) -> Path:
    """The pipeline and its source; returns the folder whose lock decides."""
    place = "rows.csv" if mode == "replace" else "days"
    (project.folder / "p.yaml").write_text(PIPELINE.replace("MODE", mode).replace("PLACE", place))
    (project.folder / "rows.csv").write_text("n\n" + rows)
    folder = project.folder / "out"
    folder = folder if mode == "replace" else folder / "days"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _start(project: Project, *more: str) -> str:
    return str(project.json("run", "p.yaml", "--detach", *more)["run"])


def _writer(project: Project, service: int, folder: Path) -> psutil.Process:
    """The step process that has finished a draft and waits for the folder's lock."""

    def found() -> psutil.Process | None:
        for child in descendants(service):
            if "runtime.child" in " ".join(child.cmdline()) and _waits(child, folder):
                return child
        return None

    project.until(lambda: found() is not None)
    child = found()
    assert child is not None
    return child


def _waits(process: psutil.Process, folder: Path) -> bool:
    """Whether it has the folder itself open, and sleeps in `flock`."""
    try:
        places = [os.readlink(one) for one in Path(f"/proc/{process.pid}/fd").iterdir()]
        return str(folder) in places and _blocked(process.pid)
    except OSError:
        return False


def _blocked(pid: int) -> bool:
    """Whether the kernel lists a lock of this process as waiting."""
    lines = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and f" {pid} " in line for line in lines)


def _shown(project: Project, run: str) -> dict[str, Any]:
    project.until(lambda: project.status(run) in ("completed", "failed", "cancelled"), 40)
    return dict(project.json("show", run))


def _content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("[!.]*.csv")}


def _marked(folder: Path, name: str) -> str:
    """The run that the mark of a file names; empty where there is none."""
    mark = folder / f".{name}.headwater.json"
    return str(json.loads(mark.read_text())["run"]) if mark.exists() else ""


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_killed_between_the_rename_and_the_report(project: Project, mode: str) -> None:
    name = "rows.csv" if mode == "replace" else "sink.kept.day=mon.csv"
    folder = _write(project, mode, "2\n1\n")
    with project.up() as service:
        with _held(folder):
            run = _start(project)
            writer = _writer(project, service.pid, folder)
            os.kill(service.pid, signal.SIGSTOP)  # whoever would take the report
        project.until(lambda: _marked(folder, name) == run)
        writer.kill()
        os.kill(service.pid, signal.SIGKILL)
        service.wait()
    assert _content(folder) == {name: "n\n1\n2\n"}
    with project.up():
        shown = _shown(project, run)
    assert shown["status"] == "completed", shown["error"]
    assert _content(folder) == {name: "n\n1\n2\n"}
    assert _marked(folder, name) == run
    kept = shown["steps"][-1]
    assert (kept["rows_out"], kept["ledger"]) == (2, "balanced")
    assert not list(folder.glob(".*-draft"))
    assert project.json("verify")["ok"] is True


def test_a_part_is_killed_before_its_rename_and_others_stay(project: Project) -> None:
    folder = _write(project, "append", "1\n")
    with project.up() as service:
        assert project.json("run", "p.yaml")["status"] == "completed"
        (project.folder / "rows.csv").write_text("n\n5\n6\n")
        with _held(folder):
            run = _start(project, "--param", "day=tue")
            _writer(project, service.pid, folder).kill()
            # The next worker comes to the same place, and finds the draft of the dead.
            project.until(lambda: len(list(folder.glob(".*-draft"))) >= 1)
        assert _shown(project, run)["status"] == "completed"
        expected = {"sink.kept.day=mon.csv": "n\n1\n", "sink.kept.day=tue.csv": "n\n5\n6\n"}
        assert _content(folder) == expected
        again = project.json("run", "p.yaml", "--param", "day=tue")
        assert again["steps"][-1]["status"] == "unchanged"
        assert _content(folder) == expected
    assert not list(folder.glob(".*-draft"))


def test_a_sleeper_of_an_older_run_does_not_overwrite_a_newer_one(project: Project) -> None:
    folder = _write(project, "replace", "1\n")
    with project.up("--set", "workers=3") as service:
        with _held(folder):
            older = _start(project)
            sleeper = _writer(project, service.pid, folder)
            sleeper.suspend()
            (project.folder / "rows.csv").write_text("n\n7\n8\n")
            newer = _start(project)
            project.until(lambda: len(list(folder.glob(".*-draft"))) == 2)
        # The lock may come to the sleeper first, who holds it in his sleep until he is woken.
        project.until(lambda: _marked(folder, "rows.csv") == newer or not _blocked(sleeper.pid))
        sleeper.resume()
        shown = {run: _shown(project, run) for run in (older, newer)}
    assert shown[newer]["status"] == "completed", shown[newer]["error"]
    assert _content(folder) == {"rows.csv": "n\n7\n8\n"}
    assert _marked(folder, "rows.csv") == newer
    if shown[older]["status"] == "failed":
        assert shown[older]["error"]["code"] == "newer_content"
