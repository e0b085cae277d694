"""Views that do not fit the store: caught up or rebuilt before they answer."""

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from tests.e2e.project import HEADWATER, Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with one run behind it, and a copy of its views from before that run."""
    project = Project(tmp_path)
    project.json("run", "small.yaml")
    _copy(project, "before")
    project.json("run", "small.yaml")
    return project


def _views(project: Project) -> list[Path]:
    return sorted((project.folder / ".headwater").glob("views.db*"))


def _copy(project: Project, name: str) -> None:
    (project.folder / name).mkdir()
    for file in _views(project):
        shutil.copy(file, project.folder / name)


def _remove(project: Project) -> None:
    for file in _views(project):
        file.unlink()


def _put_back(project: Project, name: str) -> None:
    _remove(project)
    for file in (project.folder / name).iterdir():
        shutil.copy(file, project.folder / ".headwater")


def _answers(project: Project, runs: int) -> None:
    """What is asked first is answered from all of the store."""
    items = project.json("runs")["items"]
    assert [item["status"] for item in items] == ["completed"] * runs
    assert len(project.json("show", items[0]["run"])["steps"]) == 5
    assert project.json("datasets")["items"]
    assert project.json("verify")["ok"] is True


def test_views_that_are_gone_are_built_again(project: Project) -> None:
    _remove(project)
    _answers(project, 2)


def test_views_that_are_older_are_caught_up(project: Project) -> None:
    _put_back(project, "before")
    _answers(project, 2)


def test_views_of_a_newer_store_are_built_again(project: Project) -> None:
    """The store was put back from a copy that does not know the views' last events."""
    store = [project.folder / ".headwater" / name for name in ("events.db", "events.db-wal")]
    kept = project.folder / "kept"
    kept.mkdir()
    for file in store:
        if file.exists():
            shutil.copy(file, kept)
    project.json("run", "small.yaml")
    for file in (project.folder / ".headwater").glob("events.db*"):
        file.unlink()
    for file in kept.iterdir():
        shutil.copy(file, project.folder / ".headwater")
    _answers(project, 2)


def test_views_of_another_store_are_built_again(project: Project, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Project(tmp_path / "other")
    other.json("run", "small.yaml")
    _copy(other, "foreign")
    _remove(project)
    for file in (other.folder / "foreign").iterdir():
        shutil.copy(file, project.folder / ".headwater")
    _answers(project, 2)


@pytest.mark.parametrize("content", [b"nonsense" * 1000, b"SQLite format 3\0" * 4096])
def test_views_that_are_no_database_are_built_again(project: Project, content: bytes) -> None:
    _remove(project)
    (project.folder / ".headwater/views.db").write_bytes(content)
    _answers(project, 2)


def _append_unknown(project: Project) -> None:
    """An event of a type that nobody knows."""
    with closing(sqlite3.connect(project.folder / ".headwater/events.db")) as events, events:
        state = events.execute("select state from stored_events limit 1").fetchone()[0]
        events.execute(
            "insert into stored_events (originator_id, originator_version, topic, state)"
            " values (?, 1, 'run.imagined.v9', ?)",
            (uuid4().hex, state),
        )


def test_damaged_views_say_what_to_do(project: Project) -> None:
    page = 4096
    damaged = _views(project)[0]
    with closing(sqlite3.connect(damaged)) as views:
        views.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = views.execute(
            "select rootpage from sqlite_schema where type = 'table' and name like '%runs'"
        ).fetchone()
    with damaged.open("r+b") as file:
        file.seek((root - 1) * page)
        file.write(bytes(page))

    asked = project.run("runs")

    assert asked.returncode == 7
    assert "the views' file is damaged" in asked.stderr
    assert "delete views.db*" in asked.stderr
    _remove(project)
    _answers(project, 2)


def test_a_view_that_cannot_go_on_refuses_to_answer(project: Project) -> None:
    _append_unknown(project)

    asked = project.run("runs")

    assert asked.returncode == 7
    assert "view monitoring has halted" in asked.stderr
    assert "run.imagined.v9" in asked.stderr


def test_a_service_that_leaves_by_itself_tells_of_a_halted_view(project: Project) -> None:
    _append_unknown(project)
    service = subprocess.Popen([HEADWATER, "up", "--until-idle"], cwd=project.folder)
    try:
        holder = project.folder / ".headwater/holder.json"
        project.until(lambda: holder.exists() and b'"ready":true' in holder.read_bytes())
        told = project.run("services", "--json")
    finally:
        service.terminate()
        service.wait(20)
    assert "projection monitoring halted" in told.stdout, told.stderr
