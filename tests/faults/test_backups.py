"""Backups and restores that die on the way: nothing half, and the next try goes through."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.e2e.project import Project
from tests.faults.deaths import die

step = 3
"""Changes of the file system from one death to the next."""


def events_of(project: Project) -> list[tuple[int, bytes]]:
    with closing(sqlite3.connect(project.folder / ".headwater/events.db")) as connection:
        return connection.execute("SELECT rowid, state FROM stored_events").fetchall()


def test_a_backup_that_dies_is_not_there(repository: Path, tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.json("run", "small.yaml")
    change, deaths = 1, 0
    while die(repository, project, change, "backup", "backup", "--datasets"):
        if (tmp_path / "backup").exists():
            break  # its last change: tidying up behind it
        change, deaths = change + step, deaths + 1
    assert deaths > 3
    assert project.json("restore", "backup", "--data=other")["manifest"]["files"] > 5


def test_a_restore_that_dies_leaves_the_old_events_or_the_new(
    repository: Path, tmp_path: Path
) -> None:
    project = Project(tmp_path)
    project.json("run", "small.yaml")
    project.json("backup", "backup", "--datasets")
    old = events_of(project)
    project.json("run", "small.yaml")
    new = events_of(project)
    change, found = 1, []
    while die(repository, project, change, "restore", "backup", "--replace"):
        found.append(events_of(project))
        assert found[-1] in (old, new)
        change += step
    assert found[0] == new
    assert events_of(project) == old
    assert project.json("verify")["ok"] is True
    assert project.json("verify", "--chain")["ok"] is True
    project.json("run", "small.yaml")
