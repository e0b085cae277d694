"""`headwater backup` and `headwater restore`: what was there at a moment is there again."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.project import HEADWATER, Project, environment


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "project").mkdir()
    return Project(tmp_path / "project")


def events_of(project: Project, *data: str) -> list[dict[str, Any]]:
    lines = project.run("events", "--json", *data).stdout.splitlines()
    return [json.loads(line) for line in lines]


def consistent(project: Project, *data: str) -> None:
    assert project.json("verify", *data)["ok"] is True
    assert project.json("verify", "--chain", *data)["ok"] is True


def test_what_was_backed_up_is_there_again(project: Project, tmp_path: Path) -> None:
    """Backed up while the service runs, put back over what came after, and gone on from there."""
    backup = str(tmp_path / "backups/first")
    with project.up():
        project.json("run", "small.yaml")
        made = project.json("backup", backup)
        before = events_of(project)
        later = project.json("run", "small.yaml", "--no-cache")["run"]
        refused = project.run("restore", backup, "--replace")
        assert (refused.returncode, "is held by process" in refused.stderr) == (7, True)
    assert made["manifest"]["position"] == made["manifest"]["events"] == len(before)
    refused = project.run("restore", backup)
    assert (refused.returncode, "is not empty" in refused.stderr) == (4, True)

    told = project.json("restore", backup, "--replace")

    assert told["manifest"] == made["manifest"]
    assert (Path(told["replaced"]) / "events.db").exists()
    assert events_of(project) == before
    assert project.run("show", later).returncode == 3
    consistent(project)
    head = made["manifest"]["head"]
    with project.up():
        steps = project.json("run", "small.yaml")["steps"]
        assert [step["status"] for step in steps] == [*["succeeded"] * 4, "unchanged"]
        consistent(project)
        assert project.json("verify", "--chain", "--head", head)["ok"] is True
    assert len(project.json("runs")["items"]) == 2


def test_an_empty_host_gets_all_of_it(project: Project, tmp_path: Path) -> None:
    run = project.json("run", "small.yaml")["run"]
    backup, data = tmp_path / "backup", f"--data={tmp_path / 'empty/.headwater'}"
    made = project.json("backup", str(backup), "--datasets")
    assert made["manifest"]["files"] > 5

    assert project.json("restore", str(backup), data)["replaced"] is None

    consistent(project, data)
    assert project.json("show", run, data)["status"] == "completed"
    assert project.json("data", "small.totals", data) == project.json("data", "small.totals")
    # What the sources hold is looked at anew; what was made of it is there.
    statuses = [step["status"] for step in project.json("run", "small.yaml", data)["steps"]]
    assert statuses == ["succeeded", "succeeded", "reused", "reused", "unchanged"]


def test_the_backed_up_runs_that_were_open_go_on(project: Project, tmp_path: Path) -> None:
    with project.up():
        run = project.json("run", "slow.yaml", "--detach")["run"]
        project.until((project.folder / ".headwater/keys").exists)
        project.json("backup", str(tmp_path / "backup"), "--datasets")
    shutil.rmtree(project.folder / ".headwater")
    project.json("restore", str(tmp_path / "backup"))
    with project.up():
        project.until(lambda: project.status(run) == "completed")
        consistent(project)


def runs_forever(project: Project) -> "Iterator[subprocess.Popen[bytes]]":
    """Runs one after the other, as fast as they go."""
    process = subprocess.Popen(
        ["/bin/sh", "-c", f"while {HEADWATER} run small.yaml --no-cache --quiet; do :; done"],
        cwd=project.folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def test_backups_under_load_are_each_of_one_moment(project: Project, tmp_path: Path) -> None:
    with project.up():
        for _ in runs_forever(project):
            made = [project.json("backup", str(tmp_path / f"b{number}")) for number in range(3)]
        positions = [one["manifest"]["position"] for one in made]
        assert positions == sorted(positions)
        whole = events_of(project)
    for number, one in enumerate(made):
        data = f"--data={tmp_path / f'data{number}'}"
        project.json("restore", str(tmp_path / f"b{number}"), data)
        assert events_of(project, data) == whole[: one["manifest"]["position"]]
        consistent(project, data)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup with datasets."""
    project = Project(tmp_path_factory.mktemp("kept"))
    project.json("run", "small.yaml")
    project.json("backup", "backup", "--datasets")
    return project.folder / "backup"


def _cut(backup: Path) -> None:
    file = backup / "events.db"
    file.write_bytes(file.read_bytes()[:-4096])


def _flip(backup: Path) -> None:
    file = backup / "events.db"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def _cut_dataset(backup: Path) -> None:
    file = next(backup.glob("datasets/*/*.parquet"))
    file.write_bytes(file.read_bytes()[:-1])


def _remove_dataset(backup: Path) -> None:
    next(backup.glob("datasets/*/*.parquet")).unlink()


def _other_head(backup: Path) -> None:
    _edit(backup, lambda told: told | {"head": f"{'00' * 32}@{told['position']}"})


def _other_count(backup: Path) -> None:
    _edit(backup, lambda told: told | {"events": told["events"] + 1})


def _newer(backup: Path) -> None:
    _edit(backup, lambda told: told | {"headwater": "99.0.0"})


def _no_manifest(backup: Path) -> None:
    (backup / "manifest.json").unlink()


def _half_a_manifest(backup: Path) -> None:
    file = backup / "manifest.json"
    file.write_bytes(file.read_bytes()[:200])


def _edit(backup: Path, change: Any) -> None:
    file = backup / "manifest.json"
    file.write_text(json.dumps(change(json.loads(file.read_text()))))


@pytest.mark.parametrize(
    ("spoil", "told", "code"),
    [
        (_cut, "bytes of", 2),
        (_flip, "was altered", 2),
        (_cut_dataset, "bytes of", 2),
        (_remove_dataset, "is missing", 2),
        (_other_head, "cannot be proven", 2),
        (_other_count, "cannot be proven", 2),
        (_newer, "was made by Headwater 99.0.0", 2),
        (_half_a_manifest, "cannot be read", 2),
        (_no_manifest, "is no backup", 3),
    ],
)
def test_what_is_no_whole_backup_changes_nothing(
    kept: Path, tmp_path: Path, spoil: Any, told: str, code: int
) -> None:
    project, backup = Project(tmp_path), tmp_path / "spoilt"
    project.json("run", "small.yaml")
    before = events_of(project)
    shutil.copytree(kept, backup)
    spoil(backup)
    refused = project.run("restore", str(backup), "--replace")
    assert (refused.returncode, told in refused.stderr) == (code, True), refused.stderr
    assert events_of(project) == before
    assert not (tmp_path / ".headwater/.restore").exists()
    assert not (tmp_path / ".headwater/replaced").exists()


def test_a_damaged_store_is_not_backed_up(project: Project, tmp_path: Path) -> None:
    project.json("run", "small.yaml")
    store = project.folder / ".headwater/events.db"
    content = store.read_bytes()
    store.write_bytes(content.replace(b'"attempt":1,"lease":1', b'"attempt":2,"lease":1', 1))
    told = project.json("backup", str(tmp_path / "backup"), code=1)
    assert (told["ok"], told["manifest"]) == (False, None)
    assert told["chain"]["findings"][0]["kind"] == "altered"
    assert list(tmp_path.glob("*backup*")) == []


def test_a_backup_is_a_new_folder(project: Project, tmp_path: Path) -> None:
    assert project.run("backup", "x").returncode == 3
    project.json("run", "small.yaml")
    (tmp_path / "there").mkdir()
    (tmp_path / "there/file").write_text("mine")
    refused = project.run("backup", str(tmp_path / "there"))
    assert (refused.returncode, "is there already" in refused.stderr) == (2, True)
    assert [file.name for file in (tmp_path / "there").iterdir()] == ["file"]
    (tmp_path / "empty").mkdir()
    assert project.run("backup", str(tmp_path / "empty")).returncode == 0


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_store_in_a_database_is_no_file(project: Project, command: str) -> None:
    refused = project.run(command, "x", "--set=store=postgresql://ada@localhost/nowhere")
    assert (refused.returncode, "not in a file" in refused.stderr) == (2, True)
