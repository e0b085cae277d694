"""No room in the data directory: a clear error, and nothing is acknowledged that is not stored."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.project import Project


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_is_told_and_what_was_acknowledged_is_there(
    tmp_path: Path, small_disk: Path
) -> None:
    project = Project(tmp_path)
    data = f"--data={small_disk / 'data'}"
    project.json("run", "small.yaml", data)
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass
    before = len(project.json("runs", data)["items"]) if _reads(project, data) else 1
    refused = project.run("run", "small.yaml", data, "--json")
    assert refused.returncode != 0
    told = (refused.stderr + refused.stdout).lower()
    assert "space" in told or "full" in told
    assert "mistake of its own" not in told

    ballast.unlink()
    items = project.json("runs", data)["items"]
    assert len(items) >= before
    assert project.json("run", "small.yaml", data)["status"] == "completed"
    assert project.json("verify", data)["ok"] is True


def _reads(project: Project, data: str) -> bool:
    done = project.run("runs", data, "--json")
    return done.returncode == 0 and bool(json.loads(done.stdout)["items"])
