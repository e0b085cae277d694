"""kill -9 of each process at changing moments: the run ends as if nothing had happened."""

import json
import os
import shutil
import signal
from pathlib import Path

import psutil
import pytest

from tests.e2e.project import Project, descendants


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def _started(project: Project, step: str) -> str:
    """Start the slow pipeline without waiting; return its run once `step` is in work."""
    run = str(project.json("run", "slow.yaml", "--detach")["run"])
    project.until(lambda: _step(project, run, step) in ("running", "succeeded"))
    return run


def _step(project: Project, run: str, step: str) -> str:
    done = project.run("show", run, "--json")
    if done.returncode:
        return ""
    return str(next(s for s in json.loads(done.stdout)["steps"] if s["id"] == step)["status"])


def _ends_well(project: Project, run: str) -> None:
    project.until(lambda: project.status(run) in ("completed", "failed", "cancelled"), 40)
    shown = project.json("show", run)
    assert shown["status"] == "completed", shown
    assert (project.folder / "out/numbers.csv").read_text() == "n\n1\n2\n3\n"
    assert project.json("verify")["ok"] is True
    lines = project.run("events", "--run", run, "--json").stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["version"] for event in events] == list(range(1, len(events) + 1))
    ended = [event["data"]["step"] for event in events if "outcome" in event["data"]]
    assert sorted(ended) == sorted(set(ended))
    assert len(ended) == 5


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("step", ["first", "second", "third"])
def test_a_step_child_is_killed(project: Project, step: str) -> None:
    with project.up() as service:
        run = _started(project, step)
        for child in descendants(service.pid):
            if "runtime.child" in " ".join(child.cmdline()):
                _kill(child.pid)
        _ends_well(project, run)


@pytest.mark.parametrize("step", ["first", "third"])
def test_nats_server_is_killed(project: Project, step: str) -> None:
    with project.up() as service:
        run = _started(project, step)
        for child in descendants(service.pid):
            if "nats-server" in child.name():
                _kill(child.pid)
        _ends_well(project, run)


@pytest.mark.parametrize("step", ["raw", "first", "second", "third"])
def test_the_service_alone_is_killed_and_started_again(project: Project, step: str) -> None:
    with project.up() as service:
        run = _started(project, step)
        left = descendants(service.pid)
        _kill(service.pid)
        service.wait()
    with project.up():
        _ends_well(project, run)
        survivors = [p for p in left if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
        assert survivors == []


def test_jetstream_is_deleted_between_two_starts(project: Project) -> None:
    with project.up() as service:
        run = _started(project, "second")
        _kill(service.pid)
        service.wait()
    shutil.rmtree(project.folder / ".headwater/nats/jetstream", ignore_errors=True)
    with project.up():
        _ends_well(project, run)


def test_jetstream_is_deleted_under_a_running_service(project: Project) -> None:
    with project.up() as service:
        run = _started(project, "second")
        shutil.rmtree(project.folder / ".headwater/nats/jetstream", ignore_errors=True)
        for child in descendants(service.pid):
            if "nats-server" in child.name():
                _kill(child.pid)
        _ends_well(project, run)
