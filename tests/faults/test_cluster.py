"""Three NATS servers, three worker hosts, a database: cables are pulled, and the run ends."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import nats
import pytest

from adapters.jetstream.server import find_binary
from tests.e2e.project import HEADWATER, Project
from tests.faults.hosts import Host, Network, Process, network
from tests.postgres import PASSWORD, postgres_server

FLIGHTS = Path(__file__).parents[2] / "examples" / "flights"

cut_seconds = 15.0
"""How long the leader is away: longer than an election takes, and than a lease lasts."""


class Cluster:
    """NATS servers, workers and the rest of a service on hosts of their own."""

    def __init__(self, project: Project, wire: Network) -> None:
        self.project = project
        self._wire = wire
        self.servers = [wire.host() for _ in range(3)]
        self.workers = [wire.host() for _ in range(3)]

    @property
    def nats(self) -> str:
        """What clients are given."""
        return ",".join(f"nats://{host.address}:4222" for host in self.servers)

    def start_nats(self, folder: Path) -> None:
        """Three servers that know each other."""
        routes = ", ".join(f'"nats://{host.address}:6222"' for host in self.servers)
        for number, host in enumerate(self.servers):
            settings = folder / f"{number}.conf"
            settings.write_text(
                f"server_name: s{number}\nlisten: {host.address}:4222\n"
                f'jetstream {{ store_dir: "{folder}/{number}" }}\n'
                f"cluster {{ name: c, listen: {host.address}:6222, routes: [{routes}] }}\n"
            )
            command = [find_binary(), "-c", str(settings)]
            host.start(command, folder / f"{number}.log", self.project.environment, folder)

    def start_service(self) -> list[Process]:
        """Every role but steps on this machine, and a worker on each host."""
        project, log = self.project, self.project.folder / "up.log"
        made = []
        with log.open("ab") as output:
            for role in ("commands", "relay", "projections", "policies"):
                made.append(
                    subprocess.Popen(
                        [HEADWATER, "up", "--role", role],
                        cwd=project.folder,
                        env=project.environment,
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=output,
                    )
                )
        for host in self.workers:
            command = [str(HEADWATER), "up", "--role", "steps"]
            host.start(command, log, project.environment, project.folder)
        project.until(lambda: len(self._there()) == 8, 60)
        return made

    def _there(self) -> list[str]:
        done = self.project.run("services", "--json")
        return [one["role"] for one in json.loads(done.stdout)["items"]] if done.stdout else []

    async def leader(self, stream: str) -> Host:
        """Whose copy of a stream is the one that is written to."""
        client = await nats.connect(self.nats.split(","))
        try:
            answer = await client.request(f"$JS.API.STREAM.INFO.{stream}", b"")
            name = json.loads(answer.data)["cluster"]["leader"]
        finally:
            await client.close()
        return self.servers[int(name[1:])]


@pytest.fixture
def cluster(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Cluster]:
    with network() as wire, postgres_server(free_port()) as database:
        address = wire.address(1)
        database.listen(address, f"{address}/24")
        folder = tmp_path / "project"
        folder.mkdir()
        url = f"postgresql://headwater@{address}:{database.port}/{database.database()}"
        made = Cluster(
            Project(
                folder,
                HEADWATER_STORE=url,
                HEADWATER_STORE_PASSWORD=PASSWORD,
                HEADWATER_NATS_REPLICAS="3",
            ),
            wire,
        )
        made.project.environment["HEADWATER_NATS"] = made.nats
        (tmp_path / "nats").mkdir()
        made.start_nats(tmp_path / "nats")
        service = made.start_service()
        try:
            yield made
        finally:
            for process in service:
                process.terminate()
            for process in service:
                process.wait(30)


def test_the_leader_is_cut_off_and_a_worker_lost_and_the_runs_end(cluster: Cluster) -> None:
    project = cluster.project
    shutil.copytree(FLIGHTS, project.folder / "flights")
    slow = [str(project.json("run", "slow.yaml", "--detach")["run"]) for _ in range(3)]
    flights = str(project.json("run", "flights/flights.yaml", "--detach")["run"])
    project.until(lambda: project.status(flights) in ("running", "completed"))
    leader = anyio.run(cluster.leader, "HEADWATER_EVENTS")
    begun = time.monotonic()
    leader.pull()
    cluster.workers[0].pull()
    during = str(_answer(project, "run", "small.yaml", "--detach")["run"])
    project.until(lambda: time.monotonic() - begun > cut_seconds)
    leader.plug()
    for run in (*slow, flights, during):
        project.until(lambda run=run: project.status(run) not in ("", "running"), 90)
        shown = _answer(project, "show", run)
        if run in slow and shown["status"] == "failed":
            # Three of its workers in a row were cut off or lost: they are not told from a step
            # that kills its workers.
            assert shown["error"]["code"] == "worker_lost", json.dumps(shown)
        else:
            assert shown["status"] == "completed", json.dumps(shown)
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
    answers: list[str] = []

    def asked() -> bool:
        done = project.run(*arguments, "--json")
        answers.append(done.stdout)
        return done.returncode == 0

    project.until(asked, 60)
    return json.loads(answers[-1])
