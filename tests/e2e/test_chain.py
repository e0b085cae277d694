"""`headwater verify --chain`: what was done to the stored events behind Headwater's back."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.json("run", "small.yaml")
    return project


def execute(project: Project, statement: str) -> None:
    store = project.folder / ".headwater/events.db"
    with closing(sqlite3.connect(store)) as connection, connection:
        assert connection.execute(statement).rowcount > 0


def test_a_run_is_proven_while_the_service_goes_on_and_later_by_a_head(project: Project) -> None:
    with project.up():
        first = project.json("verify", "--chain")
        assert first["ok"] is True
        assert first["position"] == first["events"] > 20
        project.json("run", "small.yaml")
        second = project.json("verify", "--chain", "--head", first["head"])
        assert second["ok"] is True
        assert second["position"] > first["position"]
    words = project.run("verify", "--chain")
    assert words.returncode == 0
    assert f"Head: {second['head']}" in words.stdout


def test_an_altered_event_is_named(project: Project) -> None:
    execute(
        project,
        """UPDATE stored_events
        SET state = CAST(replace(CAST(state AS TEXT), '"rows_out":2', '"rows_out":3') AS BLOB)
        WHERE rowid = (SELECT min(rowid) FROM stored_events
                       WHERE topic = 'run.data_ingested.v1'
                         AND instr(CAST(state AS TEXT), '"rows_out":2'))""",
    )
    told = project.json("verify", "--chain", code=1)
    (finding,) = told["findings"]
    assert (finding["kind"], finding["tag"]) == ("altered", "run.data_ingested.v1")
    assert finding["detail"].endswith("of its state is 0x33 '3', was 0x32 '2'")
    words = project.run("verify", "--chain")
    assert words.returncode == 1
    assert f"✗ position {finding['position']}  {finding['stream']} version" in words.stdout
    assert "Not proven." in words.stdout


def test_an_event_that_no_view_can_read_is_named_all_the_same(project: Project) -> None:
    execute(project, "UPDATE stored_events SET state = x'ff' WHERE rowid = 7")
    (finding,) = project.json("verify", "--chain", code=1)["findings"]
    assert finding["position"] == 7


def test_what_cannot_be_asked(project: Project) -> None:
    assert project.run("verify", "--head", "x").returncode == 2
    assert project.run("verify", "--chain", "--head", "x").returncode == 2
    assert project.run("verify", "--chain", "--repair").returncode == 2
    (project.folder / ".headwater/events.db").unlink()
    gone = project.run("verify", "--chain")
    assert (gone.returncode, "no event store" in gone.stderr) == (3, True)
