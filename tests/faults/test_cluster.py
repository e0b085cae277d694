"""Three NATS servers, three worker hosts, a database: cables are pulled, and the run ends."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.project import Project
from tests.faults.campaign.spread import Spread
from tests.faults.campaign.systems import working
from tests.faults.hosts import network, why_not
from tests.postgres import postgres_server

FLIGHTS = Path(__file__).parents[2] / "examples" / "flights"

cut_seconds = 15.0
"""How long the leader is away: longer than an election takes, and than a lease lasts."""


@pytest.fixture
def cluster(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Spread]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with network() as wire, postgres_server(free_port()) as database:
        made = Spread(tmp_path, database, wire)
        for campaigns in ("HEADWATER_TASK_TIMEOUT", "HEADWATER_HEARTBEAT", "HEADWATER_WORKERS"):
            del made.project.environment[campaigns]
        with working(made):
            made.project.until(lambda: len(_there(made.project)) == 8, 60)
            yield made


def _there(project: Project) -> list[str]:
    done = project.run("services", "--json")
    return [one["role"] for one in json.loads(done.stdout)["items"]] if done.stdout else []


def test_the_leader_is_cut_off_and_a_worker_lost_and_the_runs_end(cluster: Spread) -> None:
    project = cluster.project
    shutil.copytree(FLIGHTS, project.folder / "flights")
    slow = [str(project.json("run", "slow.yaml", "--detach")["run"]) for _ in range(3)]
    flights = str(project.json("run", "flights/flights.yaml", "--detach")["run"])
    project.until(lambda: project.status(flights) in ("running", "completed"))
    leader = cluster.leader()
    begun = time.monotonic()
    leader.pull()
    cluster.workers[0].pull()
    during = str(_answer(project, "run", "small.yaml", "--detach")["run"])
    project.until(lambda: time.monotonic() - begun > cut_seconds)
    leader.plug()
    for run in (*slow, flights, during):
        project.until(lambda run=run: project.status(run) not in ("", "running"), 90)
        shown = _answer(project, "show", run)
        # The slow ones write the same file: one that is late to it finds the rows of a later one.
        late = run in slow and shown["error"] and shown["error"]["code"] == "newer_content"
        assert late or shown["status"] == "completed", json.dumps(shown)
    assert (project.folder / "out/numbers.csv").read_text() == "n\n1\n2\n3\n"
    assert (project.folder / "flights/out/punctuality.parquet").exists()
    assert _answer(project, "verify")["ok"] is True
    assert _answer(project, "verify", "--chain")["ok"] is True
    lines = project.run("events", "--json", "--limit", "100000").stdout.splitlines()
    positions = [json.loads(line)["position"] for line in lines]
    assert positions == sorted(set(positions))


def _answer(project: Project, *arguments: str) -> Any:
    """What is answered, by whoever is there again: roles find their way to another server while
    one comes back."""
    told: list[subprocess.CompletedProcess[str]] = []

    def asked() -> bool:
        told.append(project.run(*arguments, "--json"))
        return told[-1].returncode == 0

    try:
        project.until(asked, 60)
    except AssertionError as error:
        error.add_note("\n".join(f"{one.returncode}: {one.stderr}" for one in told))
        raise
    return json.loads(told[-1].stdout)
