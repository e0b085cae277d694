"""Two projects on one service: whose a name is, modules of one name, environments, inline files."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import pytest

from tests.e2e.project import Project

PIPELINE = """\
pipeline: NAME
params:
  wait: {type: integer, default: 0}
sources:
  numbers: {kind: csv, path: numbers.csv, columns: {n: integer}}
steps:
  - {id: raw, kind: ingest, source: numbers}
  - {id: made, kind: transform, input: raw, python: "steps:make"}
  - {id: out, kind: store, input: made, mode: replace, order_by: [n],
     sink: {kind: csv, path: out/NAME.csv}}
"""

STEPS = """\
import pathlib
import time

import pyarrow as pa

from helper import FACTOR


def make(raw, params):
    end = time.monotonic() + params["wait"]
    while time.monotonic() < end and not pathlib.Path("GATE").exists():
        time.sleep(0.05)
    from late import ADDED
    return pa.table({"n": [one * FACTOR + ADDED for one in raw["n"].to_pylist()]})
"""


def _write(folder: Path, name: str, factor: int, added: int, project: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "p.yaml").write_text(PIPELINE.replace("NAME", name))
    (folder / "numbers.csv").write_text("n\n1\n2\n")
    gate = str(folder / "gate")
    (folder / "steps.py").write_text(STEPS.replace("GATE", gate))
    (folder / "helper.py").write_text(f"FACTOR = {factor}\n")
    (folder / "late.py").write_text(f"ADDED = {added}\n")
    toml = f'[project]\nname = "{project}"\n' if project else ""
    (folder / "headwater.toml").write_text(toml)
    return folder


def _numbers(folder: Path, name: str) -> list[int]:
    return [int(line) for line in (folder / f"out/{name}.csv").read_text().split()[1:]]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A service for this folder and all below it."""
    project = Project(tmp_path_factory.mktemp("projects"))
    (project.folder / "headwater.toml").write_text("")
    with project.up("--set", "workers=3"):
        yield project


def _data(one: Project) -> str:
    return f"--data={one.folder / '.headwater'}"


def _run(one: Project, folder: Path, *more: str, code: int = 0) -> Any:
    return one.json("run", str(folder / "p.yaml"), _data(one), *more, code=code)


def test_two_projects_with_modules_of_one_name_at_once(one: Project) -> None:
    a = _write(one.folder / "a", "alpha", 10, 1, "first")
    b = _write(one.folder / "b", "beta", 100, 2, "second")
    runs = [
        one.json("run", str(folder / "p.yaml"), _data(one), "--detach", "--param", "wait=20")["run"]
        for folder in (a, b)
    ]
    one.until(lambda: all(_in_work(one, run) for run in runs))
    for folder in (a, b):
        (folder / "gate").touch()
    for run in runs:
        one.until(lambda run=run: one.status(run) == "completed")
    assert _numbers(a, "alpha") == [11, 21]
    assert _numbers(b, "beta") == [102, 202]


def _in_work(one: Project, run: str) -> bool:
    done = one.run("show", run, "--json")
    steps = json.loads(done.stdout)["steps"] if done.returncode == 0 else []
    return any(step["id"] == "made" and step["status"] == "running" for step in steps)


def test_an_edited_step_or_helper_is_never_served_stale(one: Project) -> None:
    folder = _write(one.folder / "edited", "edited", 2, 0)
    assert _run(one, folder)["status"] == "completed"
    assert _numbers(folder, "edited") == [2, 4]
    planned = one.json("plan", str(folder / "p.yaml"), _data(one))
    assert {step["verdict"] for step in planned["steps"]} == {"reuse", "unchanged"}
    (folder / "helper.py").write_text("FACTOR = 3\n")  # as long as before, in the same second
    planned = one.json("plan", str(folder / "p.yaml"), _data(one))
    assert [step["verdict"] for step in planned["steps"]] == ["reuse", "run", "depends"]
    assert planned["others"] == []  # nothing is active: there are drafts alone
    (folder / "late.py").write_text("ADDED = 5\n")  # after the plan, before the run
    shown = _run(one, folder)
    assert [step["status"] for step in shown["steps"]] == ["reused", "succeeded", "succeeded"]
    assert _numbers(folder, "edited") == [8, 11]


def test_two_revisions_of_one_pipeline_run_at_the_same_time(one: Project) -> None:
    old = _write(one.folder / "two", "two", 2, 0)
    wait = ("--detach", "--param", "wait=20")
    first = one.json("run", str(old / "p.yaml"), _data(one), *wait)["run"]
    one.until(lambda: _in_work(one, first))
    (old / "helper.py").write_text("FACTOR = 7\n")
    (old / "late.py").write_text("ADDED = 1\n")  # the older run has not imported it yet
    second = one.json("run", str(old / "p.yaml"), _data(one), *wait)["run"]
    one.until(lambda: _in_work(one, second))
    (old / "gate").touch()
    for run in (first, second):
        one.until(lambda run=run: one.status(run) in ("completed", "failed"))
    made = {run: _output(one, run) for run in (first, second)}
    assert made == {first: [[2], [4]], second: [[8], [15]]}
    # Whoever comes last to the file, it holds the rows of the run that began later.
    assert _numbers(old, "two") == [8, 15]


def _output(one: Project, run: str) -> Any:
    steps = one.json("show", run)["steps"]
    dataset = next(step["output"]["fingerprint"] for step in steps if step["id"] == "made")
    import pyarrow.parquet as pq

    path = one.folder / f".headwater/datasets/{dataset[:2]}/{dataset}.parquet"
    return sorted([row["n"]] for row in pq.read_table(path).to_pylist())


def test_a_name_of_another_project_is_refused_by_every_door(one: Project) -> None:
    owner = _write(one.folder / "owner", "owned", 1, 0, "owner")
    thief = _write(one.folder / "thief", "owned", 2, 0, "thief")
    file = str(thief / "p.yaml")
    one.json("apply", str(owner / "p.yaml"), _data(one))
    head = one.json("verify")["position"]
    for command in ("run", "apply"):
        done = one.run(command, file, _data(one))
        assert done.returncode == 4, done.stderr
        assert "belongs to project 'owner'" in done.stderr
        assert "--take-over" in done.stderr
    told = one.json("plan", file, _data(one))
    assert (told["owner"], "--take-over" in told["warnings"][-1]) == ("owner", True)
    for more in ({}, {"project": "thief"}, {"project": "thief", "draft": True}):
        assert _registered(one, thief, more)["code"] == "owned_elsewhere"
    assert one.json("verify")["position"] == head
    assert one.json("apply", str(owner / "p.yaml"), _data(one))["items"][0]["changed"] is False
    assert _run(one, thief, "--take-over")["status"] == "completed"
    assert _numbers(thief, "owned") == [2, 4]
    done = one.run("run", str(owner / "p.yaml"), _data(one))
    assert (done.returncode, "belongs to project 'thief'" in done.stderr) == (4, True)
    shown = one.json("pipelines")["items"]
    assert [item["project"] for item in shown if item["pipeline"] == "owned"] == ["thief"]


def _registered(one: Project, folder: Path, more: dict[str, Any]) -> Any:
    spec = {
        "pipeline": "owned",
        "sources": {"numbers": {"kind": "csv", "path": "numbers.csv"}},
        "steps": [{"id": "raw", "kind": "ingest", "source": "numbers"}],
    }
    return _sent(one, "pipeline.register", {"spec": spec, "root": str(folder), **more})


def _sent(one: Project, command: str, payload: dict[str, Any]) -> Any:
    """The reply to a command of a client that knows nothing but NATS."""
    known = json.loads((one.folder / ".headwater/nats/connection.json").read_text())

    async def send() -> Any:
        client = await nats.connect(known["url"], token=known["token"])
        try:
            body = json.dumps(payload).encode()
            answer = await client.request(f"headwater.command.{command}", body, timeout=20)
            return json.loads(answer.data)
        finally:
            await client.close()

    return asyncio.run(send())


CONTRACT = """\
apiVersion: v3.0.2
kind: DataContract
id: numbers
version: 1.0.0
status: active
schema:
  - name: numbers
    properties:
      - {name: n, logicalType: integer, physicalType: integer, required: true}
"""


def test_a_spec_over_nats_brings_its_files_and_workers_need_no_others(one: Project) -> None:
    folder = one.folder / "inline"
    folder.mkdir()
    (folder / "numbers.csv").write_text("n\n1\n2\n3\n")
    spec = {
        "pipeline": "inline",
        "sources": {
            "numbers": {"kind": "csv", "path": "numbers.csv", "contract": "made/up.odcs.yaml"}
        },
        "steps": [
            {"id": "raw", "kind": "ingest", "source": "numbers"},
            {"id": "valid", "kind": "validate", "input": "raw", "contract": "made/up.odcs.yaml"},
            {"id": "few", "kind": "transform", "sql_file": "made/few.sql"},
            {"id": "more", "kind": "transform", "input": "few", "python": "made.steps:more"},
            {
                "id": "out",
                "kind": "store",
                "input": "more",
                "order_by": ["n"],
                "sink": {"kind": "csv", "path": "out/inline.csv"},
            },
        ],
    }
    files = {
        "made/up.odcs.yaml": CONTRACT,
        "made/few.sql": "select n from valid where n > 1",
        "made/__init__.py": "",
        "made/steps.py": "from made.deeper import double\n\n\ndef more(few):\n"
        "    return double(few)\n",
        "made/deeper.py": "import pyarrow as pa\n\n\ndef double(table):\n"
        "    return pa.table({'n': [2 * one for one in table['n'].to_pylist()]})\n",
    }
    payload = {"spec": spec, "files": files, "root": str(folder)}
    missing = _sent(one, "pipeline.register", {**payload, "files": {}})
    assert missing["code"] == "invalid_pipeline"
    reply = _sent(one, "pipeline.register", payload)
    assert reply["status"] == "accepted", reply
    run = _sent(one, "run.start", {"pipeline": "inline"})["run"]
    one.until(lambda: one.status(run) in ("completed", "failed"))
    assert one.json("show", run)["error"] is None
    assert _numbers(folder, "inline") == [4, 6]
    assert sorted(path.name for path in folder.iterdir()) == ["numbers.csv", "out"]
    outside = _sent(one, "pipeline.register", {**payload, "root": "/etc"})
    assert outside["code"] == "invalid_pipeline"
    escaping = {**files, "../escaped.py": "", "made/steps.py": "def more(few):\n    return few\n"}
    refused = _sent(one, "pipeline.register", {**payload, "files": escaping})
    assert refused["details"]["problems"][0]["path"] == "files.../escaped.py"


def test_files_of_two_data_directories_are_not_applied_as_one(tmp_path: Path) -> None:
    near = Project(tmp_path)
    files = [str(_write(tmp_path / name, name, 1, 0, name) / "p.yaml") for name in ("c", "d")]
    done = near.run("apply", *files)
    assert (done.returncode, "another data directory" in done.stderr) == (2, True)
    both = near.json("apply", *files, f"--data={tmp_path / 'both'}")
    assert [item["pipeline"] for item in both["items"]] == ["c", "d"]
    shown = near.json("pipelines", f"--data={tmp_path / 'both'}")["items"]
    assert {item["pipeline"]: item["project"] for item in shown} == {"c": "c", "d": "d"}


def test_a_run_is_of_the_environment_that_was_chosen(one: Project) -> None:
    folder = _write(one.folder / "envs", "envs", 1, 0)
    (folder / "headwater.toml").write_text(
        '[project]\nname = "envs"\n[defaults]\ntimeout = "10m"\n'
        '[env.prod.defaults]\ntimeout = "20m"\n[env.dev]\n'
    )
    file = str(folder / "p.yaml")
    shown = _run(one, folder, "--env", "prod")
    assert (shown["status"], shown["env"]) == ("completed", "prod")
    assert _run(one, folder)["env"] == ""
    one.json("apply", file, _data(one), "--env", "prod")
    spec = one.json("plan", file, _data(one), "--env", "prod")
    assert (spec["changed"], spec["others"]) == (False, [])
    other = one.json("plan", file, _data(one), "--env", "dev")
    assert other["others"] == ["defaults.timeout", "env"]
    assert one.run("check", file, "--env", "prod").returncode == 0
    wrong = one.run("check", file, "--env", "prd")
    assert (wrong.returncode, "did you mean `prod`?" in wrong.stderr) == (2, True)


def test_secrets_are_shown_by_their_place_and_kept_nowhere(
    one: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = one.folder / "secrets"
    folder.mkdir()
    near = Project(folder)  # its commands are typed there
    _write(folder, "secrets", 1, 0)
    (folder / "headwater.toml").write_text(
        '[project]\nname = "secrets"\n[connections.warehouse]\nkind = "postgres"\n'
        'password = "${env:SHOP_PASSWORD}"\nhost = "${file:host}"\n'
    )
    (folder / "host").write_text("hush-hush-host")
    monkeypatch.setenv("SHOP_PASSWORD", "hush-hush-word")
    told = [near.run("doctor"), near.run("doctor", "--json"), near.run("plan", "p.yaml")]
    assert all(done.returncode == 0 for done in told), told
    assert "password = ${env:SHOP_PASSWORD}, host = ${file:host}" in told[0].stdout
    told.append(near.run("run", "p.yaml", _data(one), "--json"))
    assert not [done for done in told if "hush-hush" in done.stdout + done.stderr]
    kept = [path for path in (one.folder / ".headwater").rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if b"hush-hush" in path.read_bytes()]
    monkeypatch.delenv("SHOP_PASSWORD")
    odd = near.json("doctor")["findings"]
    hints = [one["hint"] for one in odd if one["name"] == "connection"]
    assert hints == ["the environment has no SHOP_PASSWORD"]


def test_a_project_that_moved_reads_what_lies_where_it_is_now(one: Project) -> None:
    before = _write(one.folder / "before", "moved", 1, 0, "moving")
    _run(one, before)
    after = one.folder / "after"
    shutil.copytree(before, after, ignore=shutil.ignore_patterns("out", ".headwater"))
    (after / "numbers.csv").write_text("n\n7\n8\n9\n")
    assert _run(one, after)["status"] == "completed"
    assert _numbers(after, "moved") == [7, 8, 9]
