"""A service of many processes: each role apart, several of each, and any of them killed."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapters.jetstream.server import find_binary
from runtime.roles import ROLES
from tests.e2e.project import HEADWATER, Project
from tests.postgres import PASSWORD, PostgresServer

Process = subprocess.Popen[bytes]


class Cluster:
    """Processes that share NATS, a database and a data directory."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._processes: list[Process] = []

    def start(self, *roles: str) -> list[Process]:
        """A process for each of these roles; returns once all are there."""
        before = self.there()
        made = [self._spawn(role) for role in roles]
        wanted = sorted([*before, *roles])
        self.project.until(lambda: self.there() == wanted)
        return made

    def there(self) -> list[str]:
        """The role of everybody who answers and is healthy."""
        if self.project.run("services", "--json").returncode:
            return []
        found = self.project.json("services")["items"]
        roles = {"queries": "projections"}
        return sorted(
            roles.get(one["role"], one["role"])
            for one in found
            if one["healthy"] and one["role"] != "lookup"
        )

    def stop(self) -> None:
        """Ask all of them to stop, and wait until they have."""
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        for process in self._processes:
            assert process.wait(30) in (0, -signal.SIGKILL)

    def _spawn(self, role: str) -> Process:
        with (self.project.folder / "up.log").open("ab") as log:
            process = subprocess.Popen(
                [HEADWATER, "up", "--role", role],
                cwd=self.project.folder,
                env=self.project.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)
        return process


@contextmanager
def nats_server(folder: Path, port: int) -> Iterator[str]:
    """A NATS server that is none of ours; yields its URL."""
    command = [find_binary(), "-js", "-sd", str(folder), "-a", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield f"nats://127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.fixture
def cluster(
    tmp_path: Path, postgres: PostgresServer, free_port: Callable[[], int]
) -> Iterator[Cluster]:
    database = postgres.take()
    with nats_server(tmp_path / "js", free_port()) as nats:
        folder = tmp_path / "project"
        folder.mkdir()
        made = Cluster(
            Project(
                folder,
                HEADWATER_NATS=nats,
                HEADWATER_STORE=postgres.url(database),
                HEADWATER_STORE_PASSWORD=PASSWORD,
            )
        )
        try:
            yield made
        finally:
            made.stop()
    postgres.give_back(database)


def _published(project: Project) -> str:
    return (project.folder / "out/totals.csv").read_text()


def test_each_role_in_a_process_of_its_own(cluster: Cluster) -> None:
    project = cluster.project
    cluster.start(*ROLES)
    shown = project.json("run", "small.yaml")
    assert shown["status"] == "completed"
    assert _published(project) == "name,orders,amount\nAda,1,10.0\nBob,1,7.0\n"
    assert project.json("verify")["ok"] is True
    again = project.json("run", "small.yaml")
    assert [step["status"] for step in again["steps"]] == ["reused"] * 4 + ["unchanged"]


def test_any_of_two_of_each_is_killed_and_the_run_ends(cluster: Cluster) -> None:
    project = cluster.project
    doomed = cluster.start(*ROLES)
    cluster.start(*ROLES)
    run = str(project.json("run", "slow.yaml", "--detach")["run"])
    for process in doomed:
        process.kill()
    project.until(lambda: cluster.there() == sorted(ROLES))
    project.until(lambda: project.status(run) in ("completed", "failed", "cancelled"), 60)
    assert project.status(run) == "completed"
    assert (project.folder / "out/numbers.csv").read_text() == "n\n1\n2\n3\n"
    assert project.json("verify")["ok"] is True


def test_a_worker_elsewhere_stops_when_its_run_is_cancelled(cluster: Cluster) -> None:
    project = cluster.project
    cluster.start(*ROLES)
    (project.folder / "steps.py").write_text("import time\n\ndef wait(**_):\n    time.sleep(600)\n")
    run = str(project.json("run", "slow.yaml", "--detach")["run"])
    project.until(lambda: project.json("show", run)["steps"][1]["status"] == "running")
    project.json("cancel", run)
    project.until(lambda: project.status(run) == "cancelled")


def test_a_role_needs_what_it_shares_with_the_others(tmp_path: Path) -> None:
    alone = Project(tmp_path).run("up", "--role", "steps")
    assert (alone.returncode, "--nats URL" in alone.stderr) == (2, True)
    apart = Project(tmp_path, HEADWATER_NATS="nats://127.0.0.1:1").run("up", "--role", "steps")
    assert (apart.returncode, "--store postgresql" in apart.stderr) == (2, True)
    wrong = Project(tmp_path).run("up", "--role", "worker")
    assert (wrong.returncode, "choose of commands, relay" in wrong.stderr) == (2, True)
