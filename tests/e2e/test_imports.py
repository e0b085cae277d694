"""What a command imports: start-up is most of the time of one that only looks."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.e2e.project import Project, environment

READING = (["runs"], ["show"], ["events", "--run", "last"])

SERVICE = {"duckdb", "pyarrow", "sqlglot", "yaml", "opentelemetry", "psutil"}
"""For those who work on steps, read pipeline files or are asked for traces."""
OFFLINE = {"aiosqlite", "sqlite3", "eventsourcing", "commands.dispatcher", "projections.projection"}
"""For those who have the files in their hands."""
CLIENT = {"nats"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which `small` has run."""
    project = Project(tmp_path_factory.mktemp("imports"))
    assert project.json("run", "small.yaml")["status"] == "completed"
    return project


@pytest.fixture(scope="module")
def served(project: Project) -> Iterator[Project]:
    """The same with a service."""
    with project.up():
        yield project


def imported(project: Project, words: list[str]) -> set[str]:
    """Every module that a command has imported, and every package above one."""
    done = subprocess.run(
        [sys.executable, "-P", "-X", "importtime", "-m", "runtime", *words],
        cwd=project.folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    names = {line.rpartition("|")[2].strip() for line in lines}
    return names | {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_without_a_service_the_files_are_read_and_no_more(
    project: Project, words: list[str]
) -> None:
    found = imported(project, words)
    assert found >= OFFLINE
    assert not found & (SERVICE | CLIENT)


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_a_client_needs_the_bus_and_no_more(served: Project, words: list[str]) -> None:
    found = imported(served, words)
    assert found >= CLIENT
    assert not found & (SERVICE | OFFLINE)
