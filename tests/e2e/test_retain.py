"""`headwater retain`: old runs leave the store's file, and are there as before."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.e2e.project import Project


def events_of(project: Project, *arguments: str) -> list[dict[str, Any]]:
    lines = project.run("events", "--json", *arguments).stdout.splitlines()
    return [json.loads(line) for line in lines]


def shown(project: Project, run: str) -> list[Any]:
    answers = [project.json("show", run), project.json("why", run)]
    return [*[{**one, "position": None} for one in answers], events_of(project, "--run", run)]


def consistent(project: Project) -> None:
    assert project.json("verify")["ok"] is True
    assert project.json("verify", "--chain")["ok"] is True


def test_sealed_runs_are_there_as_before(tmp_path: Path) -> None:
    project = Project(tmp_path)
    with project.up():
        runs = [project.json("run", "small.yaml", "--no-cache")["run"] for _ in range(3)]
        (tmp_path / "orders.csv").write_text("id,customer,amount\n1,a,ten\n")
        failed = project.json("run", "small.yaml", code=1)["run"]
        project.json("run", "small.yaml", code=1)
        before = [events_of(project), *[shown(project, run) for run in (*runs, failed)]]
        told = project.json("retain", "--before", "0s", "--dry-run")
        assert (told["runs"], told["segments"]) == (4, [])
        assert not list((tmp_path / ".headwater/segments").glob("*.parquet"))

        told = project.json("retain", "--before", "0s")

        assert (told["runs"], len(told["segments"])) == (4, 1)
        assert told["file_bytes_after"] >= told["file_bytes_before"]
        assert [events_of(project), *[shown(project, run) for run in (*runs, failed)]] == before
        assert project.json("replay", "monitoring")["swapped"] is True
        consistent(project)
        assert project.json("retain", "--before", "0s")["runs"] == 0
        (tmp_path / "orders.csv").write_text("id,customer,amount\n1,a,10\n")
        assert project.json("retry", failed)["status"] == "completed"
    for file in (tmp_path / ".headwater").glob("views.db*"):
        file.unlink()
    told = project.json("retain", "--before", "0s")
    assert told["file_bytes_after"] < told["file_bytes_before"]
    assert [shown(project, run) for run in (*runs, failed)] == before[1:]
    consistent(project)


def test_segments_are_in_backups_and_missed_by_name(tmp_path: Path) -> None:
    project = Project(tmp_path)
    for _ in range(2):
        project.json("run", "small.yaml", "--no-cache")
    project.json("retain", "--before", "0s")
    before = events_of(project)
    (segment,) = (tmp_path / ".headwater/segments").glob("*.parquet")
    assert project.json("backup", "backup")["manifest"]["files"] == 2

    segment.unlink()

    gone = project.run("events")
    assert (gone.returncode, segment.name in gone.stderr) == (7, True)
    assert "put it back from a backup" in gone.stderr
    told = project.json("verify", "--chain", code=1)
    assert segment.name in told["findings"][0]["detail"]
    assert project.json("backup", "other", code=1)["ok"] is False
    project.json("restore", "backup", "--replace")
    assert events_of(project) == before
    consistent(project)


def test_a_file_that_others_have_open_stays_as_large(tmp_path: Path) -> None:
    project = Project(tmp_path)
    for _ in range(3):
        project.json("run", "small.yaml", "--no-cache")
    before = events_of(project)
    with closing(sqlite3.connect(tmp_path / ".headwater/events.db")) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM stored_events").fetchone()[0] == len(before)
        told = project.json("retain", "--before", "0s")
        assert reader.execute("SELECT count(*) FROM stored_events").fetchone()[0] == len(before)
    assert told["runs"] == 2
    assert told["file_bytes_after"] >= told["file_bytes_before"]
    assert events_of(project) == before
    consistent(project)


def test_what_cannot_be_sealed(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert project.run("retain", "--before", "1d").returncode == 3
    elsewhere = "--set=store=postgresql://ada@localhost/nowhere"
    assert project.run("retain", "--before", "1d", elsewhere).returncode == 7
    project.json("run", "small.yaml")
    assert project.run("retain").returncode == 2
    assert project.run("retain", "--before", "soon").returncode == 2
    told = project.run("retain", "--before", "1d")
    assert (told.returncode, "Nothing to seal" in told.stderr) == (0, True)
