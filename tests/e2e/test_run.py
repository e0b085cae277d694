"""The main job through the real command: NATS, store, JetStream, workers, views."""

import json
from pathlib import Path

import pytest

from tests.e2e.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_one_command_runs_a_pipeline_and_everything_about_it_can_be_asked(
    project: Project,
) -> None:
    run = project.json("run", "small.yaml")

    assert run["status"] == "completed"
    assert run["pipeline"] == "small"
    assert run["draft"] is True
    steps = {step["id"]: step for step in run["steps"]}
    assert [step["status"] for step in run["steps"]] == ["succeeded"] * 5
    assert steps["raw"]["rows_out"] == 4
    assert steps["orders_clean"]["rows_in"] == 4
    assert steps["orders_clean"]["rows_filtered"] == 2
    assert steps["orders_clean"]["rows_out"] == 2
    assert steps["orders_clean"]["ledger"] == "balanced"
    assert [check["passed"] for check in steps["totals"]["checks"]] == [True, True]
    assert (project.folder / "out/totals.csv").read_text() == (
        "name,orders,amount\nAda,1,10.0\nBob,1,7.0\n"
    )

    # Nothing runs any more: the same answers come from the store itself.
    assert project.json("show", run["run"])["status"] == "completed"
    assert [item["run"] for item in project.json("runs")["items"]] == [run["run"]]
    rows = project.json("data", "small.totals")
    assert sorted(row["name"] for row in rows["items"]) == ["Ada", "Bob"]
    graph = project.json("lineage", "small.totals", "--column", "amount", "--up")
    assert any(edge.get("from_column") == "amount" for edge in graph["edges"])
    assert project.json("verify")["ok"] is True


def test_events_are_one_object_a_line_in_one_chain(project: Project) -> None:
    run = project.json("run", "small.yaml")
    lines = project.run("events", "--run", run["run"], "--json").stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert events[0]["tag"] == "run.started.v1"
    assert events[-1]["tag"] == "run.completed.v1"
    assert [event["version"] for event in events] == list(range(1, len(events) + 1))
    assert len({event["correlation_id"] for event in events}) == 1


def test_a_service_that_is_up_is_joined_by_run_and_read_commands(project: Project) -> None:
    with project.up():
        run = project.json("run", "small.yaml")
        assert run["status"] == "completed"
        assert project.json("verify")["ok"] is True
        assert project.json("services")["items"]


def test_apply_makes_a_name_runnable(project: Project) -> None:
    project.json("apply", "small.yaml")
    assert project.json("pipelines")["items"][0]["pipeline"] == "small"
    run = project.json("run", "small")
    assert (run["status"], run["draft"]) == ("completed", False)


def test_a_failing_check_fails_the_run_and_hides_its_output(project: Project) -> None:
    text = (project.folder / "small.yaml").read_text()
    (project.folder / "small.yaml").write_text(text.replace("1000000", "8"))
    run = project.json("run", "small.yaml", code=1)
    steps = {step["id"]: step for step in run["steps"]}
    assert run["status"] == "failed"
    assert steps["totals"]["error"]["code"] == "check_failed"
    assert steps["published"]["status"] == "skipped"
    assert not (project.folder / "out/totals.csv").exists()
    assert project.run("data", "small.totals").returncode == 3


def test_retry_reuses_what_is_done(project: Project) -> None:
    (project.folder / "out").write_text("in the way of a folder")
    failed = project.json("run", "slow.yaml", code=1)
    assert failed["steps"][-1]["status"] == "failed"
    (project.folder / "out").unlink()
    again = project.json("retry", failed["run"])
    assert again["retry_of"] == failed["run"]
    assert [step["status"] for step in again["steps"]] == ["reused"] * 4 + ["succeeded"]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Project:
    """Another folder to type commands in."""
    (tmp_path / "elsewhere").mkdir()
    return Project(tmp_path / "elsewhere")


@pytest.mark.parametrize("words", [["run"], ["run", "--detach"]], ids=" ".join)
def test_file_data_and_current_folder_may_lie_apart(
    tmp_path: Path, elsewhere: Project, words: list[str]
) -> None:
    (tmp_path / "files").mkdir()
    files = Project(tmp_path / "files")
    data = ("--data", str(tmp_path / "data"))
    run = elsewhere.json(*words, str(files.folder / "small.yaml"), *data)["run"]
    elsewhere.until(lambda: elsewhere.json("show", run, *data)["status"] != "running")
    assert elsewhere.json("show", run, *data)["status"] == "completed"
    assert (files.folder / "out/totals.csv").exists()
    assert not (elsewhere.folder / "out").exists()
    # Nobody names the file any more, and its folder is still the run's.
    again = elsewhere.json("retry", run, "--from", "raw", *data)
    assert again["status"] == "completed"


def test_a_project_s_files_may_be_anywhere_in_it(tmp_path: Path, elsewhere: Project) -> None:
    (tmp_path / "headwater.toml").write_text("")
    (tmp_path / "numbers.csv").write_text("n\n1\n")
    (tmp_path / "pipelines").mkdir()
    file = tmp_path / "pipelines" / "up.yaml"
    source = "{kind: csv, path: ../numbers.csv, columns: {n: integer}}"
    step = "{id: raw, kind: ingest, source: numbers}"
    file.write_text(f"pipeline: up\nsources:\n  numbers: {source}\nsteps:\n  - {step}\n")
    (tmp_path / "other").mkdir()
    data = ("--data", str(tmp_path / "other" / "data"))
    assert elsewhere.json("check", str(file), *data)["ok"] is True
    assert elsewhere.json("apply", str(file), *data)["items"][0]["revision"] == 1
    assert elsewhere.json("run", "up", *data)["status"] == "completed"
    file.write_text(file.read_text().replace("../numbers", "../../numbers"))
    assert elsewhere.run("run", str(file), *data).returncode == 2


def test_why_walks_from_a_dataset_to_who_asked_for_it(project: Project) -> None:
    run = project.json("run", "small.yaml")["run"]
    by_dataset = project.json("why", "small.totals")
    assert by_dataset == project.json("why", run, "totals") == project.json("why", "last", "totals")
    assert (by_dataset["run"], by_dataset["status"]) == (run, "succeeded")
    assert [one["tag"] for one in by_dataset["chain"][:2]] == [
        "pipeline.registered.v1",
        "run.started.v1",
    ]
    said = project.run("why", "small.totals").stdout
    assert "totals succeeded with 2 rows" in said
    assert "revision 1 of small was registered as a draft" in said
    assert project.run("why", "nowhere").returncode == 3
    assert project.run("why", run, "nowhere").returncode == 3
