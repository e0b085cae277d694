"""A client in another language, with nothing but the words of docs/protocol.md."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.project import Project

FILES = Path(__file__).parent / "node"
NODE, NPM = shutil.which("node"), shutil.which("npm")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client with its one dependency installed beside it."""
    if NODE is None or NPM is None:
        pytest.skip("node and npm are not on the PATH")
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json", "client.mjs"):
        shutil.copy(FILES / name, folder)
    installed = subprocess.run(
        [NPM, "ci", "--ignore-scripts", "--no-fund", "--no-audit"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if re.search(r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT)\b", installed.stderr):
        pytest.skip("npm cannot reach a registry")
    assert installed.returncode == 0, installed.stderr
    return folder / "client.mjs"


@pytest.fixture(scope="module")
def seen(client: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the client has seen of a service."""
    project = Project(tmp_path_factory.mktemp("project"))
    with project.up():
        connection = project.folder / ".headwater" / "nats" / "connection.json"
        done = subprocess.run(
            [str(NODE), str(client), str(connection), str(project.folder)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_it_registers_and_starts(seen: dict[str, Any]) -> None:
    assert seen["registered"]["status"] == "accepted"
    assert (seen["registered"]["pipeline"], seen["registered"]["revision"]) == ("orders", 1)
    assert seen["started"]["status"] == "accepted"
    assert seen["started"]["events"][0] == "run.started.v1"


def test_sending_twice_is_harmless(seen: dict[str, Any]) -> None:
    assert seen["again"] == seen["started"]


def test_it_hears_of_the_end_and_reads_the_run(seen: dict[str, Any]) -> None:
    assert seen["completed"]["tag"] == "run.completed.v1"
    assert seen["run"]["status"] == "completed"
    assert seen["run"]["principal"] == "node@test"
    assert seen["run"]["position"] >= seen["completed"]["position"]
    rows = {step["id"]: step["rows_out"] for step in seen["run"]["steps"]}
    assert rows == {"raw": 4, "totals": 2, "published": 2}


def test_it_asks_where_a_column_comes_from(seen: dict[str, Any]) -> None:
    sources = {edge["from_column"] for edge in seen["lineage"]["edges"]}
    assert "amount" in sources


def test_it_is_told_what_is_wrong(seen: dict[str, Any]) -> None:
    assert seen["unknown"]["status"] == "rejected"
    assert seen["unknown"]["code"] == "pipeline_not_found"
    assert seen["malformed"]["code"] == "malformed"
