"""The examples, run as they stand, against what is known of their data."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.source import ROOT
from tests.e2e.project import Project


def example(name: str, folder: Path) -> Project:
    """A copy of an example, to run in."""
    project = Project(folder)
    ignored = shutil.ignore_patterns("out", ".headwater", "__pycache__")
    shutil.copytree(ROOT / "examples" / name, folder, dirs_exist_ok=True, ignore=ignored)
    return project


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dict[str, Any]]:
    """A finished run of the flights."""
    project = example("flights", tmp_path_factory.mktemp("flights"))
    return project, project.json("run", "flights.yaml")


def test_every_row_of_the_flights_is_accounted_for(
    flights: tuple[Project, dict[str, Any]],
) -> None:
    _, run = flights
    assert run["status"] == "completed"
    steps = {step["id"]: step for step in run["steps"]}
    rows = {name: step["rows_out"] for name, step in steps.items()}
    assert rows == {
        "raw": 336_776,
        "valid": 336_775,
        "carriers": 16,
        "aircraft": 3_322,
        "flown": 328_063,
        "punctuality": 733,
        "published": 733,
    }
    assert [count["rows"] for count in steps["flown"]["counts"]] == [8_712, 0]
    proven = ("valid", "flown", "punctuality", "published")
    assert {steps[name]["ledger"] for name in proven} == {"balanced"}
    told = [
        (one["dataset"], one["rows_in"], one["reached"], one["unmatched"])
        for one in steps["punctuality"]["inputs"]
    ]
    assert told == [
        ("flights.flown", 328_063, 328_063, 0),
        ("flights.carriers", 16, 16, 0),
        ("flights.aircraft", 3_322, 3_316, 6),
    ]
    assert all(check["passed"] for check in steps["punctuality"]["checks"])


def test_a_join_that_loses_flights_breaks_the_promise(
    flights: tuple[Project, dict[str, Any]],
) -> None:
    project, _ = flights
    text = (project.folder / "flights.yaml").read_text(encoding="utf-8")
    lossy = text.replace("left join aircraft", "join aircraft")
    (project.folder / "lossy.yaml").write_text(lossy, encoding="utf-8")
    run = project.json("run", "lossy.yaml", code=1)
    step = next(one for one in run["steps"] if one["id"] == "punctuality")
    error = step["error"]
    message, *lost = error["message"].splitlines()
    assert error["code"] == "rows_lost"
    assert message == "48,444 of 328,063 rows of flown matched nothing in aircraft"
    assert lost[0].startswith("tailnum: N725MQ 546 of 546, ")
    assert lost[1].startswith("carrier: MQ 24,134 of 25,076, AA 22,101 of 32,059, ")
    assert error["hint"].startswith("`left join aircraft` keeps them")
    assert step["inputs"][0]["lost"][1]["values"][0] == {"value": "MQ", "rows": 24134, "of": 25076}


def test_a_flight_that_breaks_the_contract_is_set_apart(
    flights: tuple[Project, dict[str, Any]],
) -> None:
    project, run = flights
    (valid,) = [step for step in run["steps"] if step["id"] == "valid"]
    assert valid["rows_quarantined"] == 1
    (row,) = project.json("data", "flights.valid.quarantine")["items"]
    told = {key: row[key] for key in ("origin", "dest", "distance", "headwater_rule")}
    assert told == {
        "origin": "EWR",
        "dest": "LGA",
        "distance": "17",
        "headwater_rule": "limit(distance >= 50)",
    }


def test_missing_values_of_the_flights_are_missing(
    flights: tuple[Project, dict[str, Any]],
) -> None:
    project, _ = flights
    asked = "select count(*) - count(dep_time) as departed, count(*) - count(arr_time) as arrived"
    found = project.json("data", "flights.raw", "--sql", f"{asked} from data")
    assert found["items"] == [{"departed": 8_255, "arrived": 8_713}]


def test_each_flown_flight_is_in_the_result_once(flights: tuple[Project, dict[str, Any]]) -> None:
    project, _ = flights
    asked = "select sum(flights)::bigint as flights, count(distinct airline) as airlines from data"
    found = project.json("data", "flights.punctuality", "--sql", asked)
    assert found["items"] == [{"flights": 328_063, "airlines": 16}]
    assert (project.folder / "out" / "punctuality.parquet").is_file()


def test_the_average_delay_comes_from_the_recorded_delays(
    flights: tuple[Project, dict[str, Any]],
) -> None:
    project, _ = flights
    graph = project.json("lineage", "flights.punctuality", "--column", "arr_delay", "--up")
    direct = {(edge["from"], edge["from_column"]) for edge in graph["edges"]}
    assert ("flights.flown", "arr_delay") in direct


def test_the_second_run_of_the_flights_does_nothing_again(
    flights: tuple[Project, dict[str, Any]],
) -> None:
    project, first = flights
    second = project.json("run", "flights.yaml")
    statuses = {step["id"]: step["status"] for step in second["steps"]}
    assert statuses.pop("published") == "unchanged"
    assert set(statuses.values()) == {"reused"}
    assert {step["reused_from"] for step in second["steps"]} == {first["run"]}
    outputs = [[step["output"] for step in run["steps"]] for run in (first, second)]
    assert outputs[0] == outputs[1]
    asked = ("lineage", "flights.punctuality", "--column", "arr_delay", "--up")
    edges = project.json(*asked)["edges"]
    assert {edge["run"] for edge in edges} == {second["run"]}
    # The result is taken away by hand: it is written again, and nothing else is done.
    (project.folder / "out" / "punctuality.parquet").unlink()
    third = project.json("run", "flights.yaml")
    done = [step["id"] for step in third["steps"] if step["status"] != "reused"]
    assert done == ["published"]
    assert (project.folder / "out" / "punctuality.parquet").is_file()
    fourth = project.json("run", "flights.yaml", "--fresh", "carriers")
    done = [step["id"] for step in fourth["steps"] if step["status"] == "succeeded"]
    assert done == ["carriers"]
    fifth = project.json("run", "flights.yaml", "--no-cache")
    assert {step["status"] for step in fifth["steps"]} == {"succeeded"}
    assert project.json("verify")["ok"] is True
    refused = project.run("run", "flights.yaml", "--fresh", "carrier")
    assert refused.returncode == 3
    assert "no step 'carrier'" in refused.stderr


def test_the_step_in_python_finds_the_unusual_days(tmp_path: Path) -> None:
    project = example("python_step", tmp_path)
    run = project.json("run", "temperatures.yaml")
    assert run["status"] == "completed"
    assert (project.folder / "out" / "unusual.csv").read_text() == (
        "station,day,celsius,deviations\n"
        "harbour,2025-06-03,26.75,1.724\n"
        "summit,2025-06-04,-6.25,-1.988\n"
    )
