"""`headwater init`: what it makes works as it is."""

import json
from pathlib import Path

import pytest

from tests.e2e.project import Project


@pytest.fixture
def empty(tmp_path: Path) -> Project:
    """A folder without anything in it."""
    folder = tmp_path / "My shop"
    folder.mkdir()
    project = Project(folder)
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    return project


def test_a_new_project_passes_its_test_and_runs(empty: Project) -> None:
    made = empty.run("init")
    assert made.returncode == 0, made.stderr
    assert "headwater run orders.yaml" in made.stderr
    assert 'name = "my_shop"' in (empty.folder / "headwater.toml").read_text()
    assert empty.json("test")["ok"] is True
    run = empty.json("run", "orders.yaml")
    assert run["status"] == "completed"
    assert (empty.folder / "out/totals.csv").read_text().splitlines() == [
        "customer,orders,amount",
        "ada,1,10.5",
        "bob,1,7.0",
        "eve,1,8.25",
    ]
    assert (empty.folder / ".gitignore").read_text() == ".headwater/\nout/\n"


def test_nothing_that_is_there_is_touched(empty: Project) -> None:
    (empty.folder / "orders.yaml").write_text("mine")
    refused = empty.run("init")
    assert refused.returncode == 4
    assert "there already: orders.yaml" in refused.stderr
    assert sorted(path.name for path in empty.folder.iterdir()) == ["orders.yaml"]


def test_a_folder_is_made_and_told(empty: Project) -> None:
    made = json.loads(empty.run("init", "new/one", "--json").stdout)
    assert made["folder"] == "new/one"
    assert all((empty.folder / "new/one" / name).is_file() for name in made["files"])
