"""Datasets in a bucket: workers with data directories of their own, and nothing is missed."""

import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.roles import ROLES
from tests.e2e.project import HEADWATER, Project
from tests.e2e.test_roles import nats_server
from tests.postgres import PASSWORD, PostgresServer
from tests.s3 import S3Server

MEETING = """\
pipeline: meeting
sources:
  numbers: {kind: csv, path: mixed.csv, columns: {n: integer}}
steps:
  - {id: raw, kind: ingest, source: numbers, limits: {max_quarantined: 1}}
  - {id: one, kind: transform, input: raw, python: "meeting:one"}
  - {id: other, kind: transform, input: raw, python: "meeting:other"}
  - {id: met, kind: transform, sql: "select one.n from one join other using (n)"}
  - {id: published, kind: store, input: met, mode: replace, order_by: [n],
     sink: {kind: csv, path: out/numbers.csv}}
"""

STEPS = '''\
"""Two steps that end only when both are in work: a worker with one process cannot do both."""
import os
import time
from pathlib import Path


def one(**inputs):
    return meet("one", inputs)


def other(**inputs):
    return meet("other", inputs)


def meet(name, inputs):
    print("worked in", os.environ["HEADWATER_DATA"], flush=True)
    Path(name).touch()
    while not (Path("one").exists() and Path("other").exists()):
        time.sleep(0.02)
    return next(iter(inputs.values()))
'''


@pytest.fixture
def project(
    tmp_path: Path, postgres: PostgresServer, s3: S3Server, free_port: Callable[[], int]
) -> Iterator[Project]:
    """Where commands are typed: it has a third data directory, in which no worker works."""
    database = postgres.take()
    folder = tmp_path / "project"
    folder.mkdir()
    with nats_server(tmp_path / "js", free_port()) as nats:
        made = Project(
            folder,
            **s3.environment,
            HEADWATER_NATS=nats,
            HEADWATER_STORE=postgres.url(database),
            HEADWATER_STORE_PASSWORD=PASSWORD,
            HEADWATER_DATASETS=s3.place(),
            HEADWATER_DATA=str(tmp_path / "third"),
            HEADWATER_WORKERS="1",
        )
        (folder / "meeting.yaml").write_text(MEETING)
        (folder / "meeting.py").write_text(STEPS)
        (folder / "mixed.csv").write_text("n\n1\n2\nthree\n4\n")
        yield made
    postgres.give_back(database)


@pytest.fixture
def workers(project: Project, tmp_path: Path) -> Iterator[None]:
    """A process with all other roles, and two workers, each with a data directory of its own."""
    others = [word for role in ROLES if role != "steps" for word in ("--role", role)]
    processes = [
        _start(project, tmp_path / "service", *others),
        _start(project, tmp_path / "worker1", "--role", "steps"),
        _start(project, tmp_path / "worker2", "--role", "steps"),
    ]
    try:
        wanted = ["commands", "policies", "relay", "steps", "steps"]
        project.until(lambda: _healthy(project) == wanted)
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            assert process.wait(30) == 0


def test_two_workers_without_a_file_system_between_them_do_one_run(
    project: Project, workers: None, tmp_path: Path
) -> None:
    shown = project.json("run", "meeting.yaml")
    assert (shown["status"], shown["steps"][3]["rows_out"]) == ("completed", 3)
    assert (project.folder / "out/numbers.csv").read_text() == "n\n1\n2\n4\n"
    again = project.json("run", "meeting.yaml")
    # A worker that has not read the source itself reads it, and all that follows is found.
    assert again["steps"][0]["status"] in ("reused", "succeeded")
    assert [step["status"] for step in again["steps"][1:]] == ["reused"] * 3 + ["unchanged"]
    assert project.json("verify")["ok"] is True

    assert not (tmp_path / "third" / "datasets").exists()
    rows = project.json("data", "meeting.met")
    assert rows["items"] == [{"n": 1}, {"n": 2}, {"n": 4}]
    run = str(shown["run"])
    logs = project.json("logs", run)["items"]
    places = {log["text"].split()[-1] for log in logs}
    assert places == {str(tmp_path / "worker1"), str(tmp_path / "worker2")}
    apart = project.json("quarantine", "list")["items"]
    assert {(one["step"], one["rows"], one["kept"]) for one in apart} == {("raw", 1, True)}
    rows_apart = project.run("quarantine", "show", run, "raw", "-o", "csv").stdout
    assert "three" in rows_apart
    told = project.json("doctor")
    found = {one["name"]: one for one in told["findings"]}
    assert found["datasets"]["state"] == "well"
    everything = "".join(path.read_text() for path in project.folder.glob("*.log"))
    assert project.environment["AWS_SECRET_ACCESS_KEY"] not in f"{told}{everything}"

    (project.folder / "mended.csv").write_text(rows_apart.replace("three", "3"))
    redone = project.json("quarantine", "redo", run, "raw", "--with", "mended.csv")
    assert redone["status"] == "completed"
    assert (project.folder / "out/numbers.csv").read_text() == "n\n1\n2\n3\n4\n"


def _start(project: Project, data: Path, *roles: str) -> "subprocess.Popen[bytes]":
    with (project.folder / "up.log").open("ab") as log:
        return subprocess.Popen(
            [HEADWATER, "up", *roles],
            cwd=project.folder,
            env={**project.environment, "HEADWATER_DATA": str(data)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def _healthy(project: Project) -> list[str]:
    """The roles of those who answer; that the queries do is why there is an answer."""
    if project.run("services", "--json").returncode:
        return []
    found = project.json("services")["items"]
    roles = sorted(str(one["role"]) for one in found if one["healthy"])
    return [role for role in roles if role in ROLES and role != "projections"]


def test_alone_with_a_bucket_results_are_found_backed_up_and_tried(
    tmp_path: Path, s3: S3Server
) -> None:
    place = s3.place()
    project = Project(tmp_path, **s3.environment, HEADWATER_DATASETS=place)
    assert project.json("run", "small.yaml")["status"] == "completed"
    assert not list((tmp_path / ".headwater/keys").glob("*"))
    shutil.rmtree(tmp_path / ".headwater/datasets")
    planned = project.json("plan", "small.yaml")["steps"]
    assert {step["verdict"] for step in planned[:4]} == {"reuse"}
    project.run("backup", "saved", "--datasets")
    saved = sorted(path.relative_to(tmp_path / "saved") for path in tmp_path.glob("saved/*/*"))
    told = project.json("restore", "saved", "--data", str(tmp_path / "other"))
    assert len(saved) > 4, told
    alone = Project(tmp_path)
    rows = alone.json("data", "small.totals", "--data", str(tmp_path / "other"))["items"]
    assert [row["name"] for row in rows] == ["Ada", "Bob"]

    wrong = Project(tmp_path, **s3.environment, HEADWATER_DATASETS="s3://no-such-bucket")
    doctor = wrong.json("doctor", code=1)
    found = {one["name"]: one for one in doctor["findings"]}["datasets"]
    assert found["state"] == "wrong"
    assert "there is no bucket no-such-bucket" in found["found"]
    (tmp_path / "orders.csv").write_text("id,customer,amount\n1,b,10\n")
    failed = wrong.json("run", "small.yaml", code=1)
    errors = {step["error"]["code"] for step in failed["steps"] if step["error"]}
    assert errors == {"io_error"}
