"""`headwater gc`: told first, then done, and what is gone is made again when it is wanted."""

from pathlib import Path

from tests.e2e.project import Project


def test_what_goes_is_told_and_made_again(tmp_path: Path) -> None:
    project = Project(tmp_path)
    run = project.json("run", "small.yaml")["run"]
    assert project.json("gc")["items"] == []
    told = project.json("gc", "--dry-run", "--keep", "0B")
    lost = {one["step"] for item in told["items"] for one in item["lost"]}
    assert lost == {"raw", "people", "orders_clean", "totals", "published"}
    assert {one["run"] for item in told["items"] for one in item["lost"]} == {run}
    assert told["bytes_after"] == 0
    assert [step["status"] for step in project.json("run", "small.yaml")["steps"]] == [
        *["reused"] * 4,
        "unchanged",
    ]
    words = project.run("gc", "--keep", "0B")
    assert words.returncode == 0
    assert f"totals of run {run}" in words.stdout
    assert not list((tmp_path / ".headwater" / "datasets").rglob("*.parquet"))
    again = project.json("run", "small.yaml")
    assert [step["status"] for step in again["steps"]] == [*["succeeded"] * 4, "unchanged"]
    assert project.json("verify")["ok"] is True
    assert project.run("gc", "--keep", "much").returncode == 2


def test_a_service_keeps_within_the_setting_and_spares_what_was_just_used(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.json("run", "small.yaml")
    with project.up("--set", "datasets_bytes_max=1B"):
        told = project.json("gc", "--keep", "0B")
        assert told["items"] == []
        assert told["bytes_after"] > 0
