"""The command on a PostgreSQL database, as a user has it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.project import Project
from tests.postgres import PASSWORD, PostgresServer


@pytest.fixture
def name(postgres: PostgresServer) -> Iterator[str]:
    """Of an empty database."""
    taken = postgres.take()
    yield taken
    postgres.give_back(taken)


@pytest.fixture
def project(tmp_path: Path, postgres: PostgresServer, name: str) -> Project:
    return Project(tmp_path, HEADWATER_STORE=postgres.url(name), HEADWATER_STORE_PASSWORD=PASSWORD)


def test_a_run_is_kept_in_the_database_and_proven(project: Project, tmp_path: Path) -> None:
    assert project.json("run", "small.yaml")["status"] == "completed"
    assert not (project.folder / ".headwater" / "events.db").exists()
    with project.up():
        again = project.json("run", "small.yaml")
    assert {step["status"] for step in again["steps"]} <= {"reused", "unchanged"}
    assert len(project.json("runs")["items"]) == 2
    assert project.json("verify")["ok"] is True
    chain = project.json("verify", "--chain")
    assert chain["ok"] is True
    assert chain["events"] == chain["position"] > 0
    assert project.json("replay", "lineage")["swapped"] is True
    # From any folder, with nothing of the first one's.
    elsewhere = project.json("runs", "--data", str(tmp_path / "elsewhere"))
    assert len(elsewhere["items"]) == 2


def test_the_password_is_shown_nowhere(project: Project, postgres: PostgresServer) -> None:
    told = project.run("run", "small.yaml")
    doctor = project.run("doctor")
    assert doctor.returncode == 0
    assert f"127.0.0.1:{postgres.port}" in doctor.stdout
    assert "store_password" in doctor.stdout
    events = project.run("events", "--json")
    for done in (told, doctor, events, project.run("doctor", "--json")):
        assert PASSWORD not in done.stdout + done.stderr
    for file in project.folder.rglob("*"):
        assert not file.is_file() or PASSWORD.encode() not in file.read_bytes()


def test_a_data_directory_belongs_to_one_store(project: Project, postgres: PostgresServer) -> None:
    project.json("run", "small.yaml")
    other = project.run("runs", "--set", "store=sqlite")
    assert other.returncode == 2
    assert f"belongs to the event store {postgres.url('')}" in other.stderr
    assert "--store" in other.stderr
    database = postgres.take()
    third = project.run("runs", "--set", f"store={postgres.url(database)}")
    postgres.give_back(database)
    assert third.returncode == 2
    assert "belongs to the event store" in third.stderr


def test_a_server_that_is_away_is_told(project: Project) -> None:
    away = "postgresql://headwater@127.0.0.1:1/flights"
    for arguments in (("run", "small.yaml"), ("runs",), ("verify", "--chain"), ("up",)):
        done = project.run(*arguments, "--set", f"store={away}")
        assert done.returncode == 7, done
        assert f"{away} cannot be reached" in done.stderr
        assert "Traceback" not in done.stderr
    doctor = project.run("doctor", "--set", f"store={away}")
    assert doctor.returncode == 1
    assert "cannot be reached" in doctor.stdout


def test_a_wrong_password_is_told(project: Project) -> None:
    project.environment["HEADWATER_STORE_PASSWORD"] = "wrong"
    done = project.run("run", "small.yaml")
    assert done.returncode == 7
    assert "password authentication failed" in done.stderr
    assert "HEADWATER_STORE_PASSWORD" in done.stderr


def test_old_runs_are_sealed_in_the_database(project: Project) -> None:
    with project.up():
        runs = [project.json("run", "small.yaml", "--no-cache")["run"] for _ in range(3)]
        before = project.json("show", runs[0]), project.run("events", "--json").stdout
        told = project.json("retain", "--before", "0s")
        assert (told["runs"], len(told["segments"])) == (2, 1)
        assert project.json("replay", "monitoring")["swapped"] is True
        shown = project.json("show", runs[0])
        assert {**shown, "position": 0} == {**before[0], "position": 0}
        assert project.run("events", "--json").stdout == before[1]
        assert project.json("verify")["ok"] is True
    assert project.json("verify", "--chain")["ok"] is True
    again = project.json("retry", runs[0], "--from", "totals")
    assert again["status"] == "completed"
    assert project.json("retain", "--before", "0s")["runs"] == 1
