"""`headwater plan`: with nothing there, with what has run, with a service, and it does nothing."""

from pathlib import Path

from tests.e2e.project import Project


def test_a_plan_is_what_then_happens(tmp_path: Path) -> None:
    project = Project(tmp_path)
    first = project.json("plan", "small.yaml")
    assert (first["revision"], first["changed"]) == (None, True)
    assert {step["verdict"] for step in first["steps"]} == {"run", "depends"}
    assert not (tmp_path / ".headwater").exists()

    project.json("apply", "small.yaml")
    run = project.json("run", "small")
    told = project.json("plan", "small.yaml")
    assert (told["revision"], told["changed"]) == (1, False)
    verdicts = [step["verdict"] for step in told["steps"]]
    assert verdicts == ["reuse", "reuse", "reuse", "reuse", "unchanged"]
    assert {step["from_run"] for step in told["steps"]} == {run["run"]}

    file = tmp_path / "small.yaml"
    file.write_text(file.read_text().replace("keep: last", "keep: first"))
    with project.up():
        changed = project.json("plan", "small.yaml")
        steps = {step["step"]: step for step in changed["steps"]}
        assert (steps["orders_clean"]["change"], steps["orders_clean"]["keys"]) == (
            "changed",
            ["rules"],
        )
        assert steps["orders_clean"]["verdict"] == "run"
        assert project.json("runs")["items"][0]["run"] == run["run"]
        done = project.run("plan", "small.yaml", "--fresh", "nothing")
        assert done.returncode == 3
    words = project.run("plan", "small.yaml").stdout
    assert "active is 1" in words
