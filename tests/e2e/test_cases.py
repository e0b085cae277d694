"""`headwater test`: the tests that stand in a pipeline file, run as a user would."""

from pathlib import Path

import pytest

from tests.e2e.project import Project

FILE = """\
pipeline: cases
params:
  factor: {type: integer, default: 2}
sources:
  numbers: {kind: csv, path: nowhere-else.csv, columns: {n: integer, day: date, w: number}}
steps:
  - {id: raw, kind: ingest, source: numbers}
  - {id: tidy, kind: clean, input: raw, rules: [{drop_nulls: [n]}]}
  - {id: times, kind: transform, sql: "select n * $factor as n, day, w from tidy"}
  - {id: mean, kind: transform, sql: "select avg(w) as w from times", checks: [{not_null: [w]}]}
  - {id: loud, kind: transform, input: times, python: "noisy:hand_on"}
tests:
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "cases").mkdir()
    project = Project(tmp_path / "cases")
    (project.folder / "nowhere-else.csv").write_text("n,day,w\n")
    (project.folder / "noisy.py").write_text(
        "def hand_on(times):\n    print('hello')\n    return times\n"
    )
    return project


def ask(project: Project, tests: str, *words: str) -> tuple[int, str, str]:
    (project.folder / "cases.yaml").write_text(FILE + tests)
    done = project.run("test", "cases.yaml", *words)
    return done.returncode, done.stdout, done.stderr


def test_rows_that_are_as_expected_pass_in_any_order(project: Project) -> None:
    code, out, err = ask(
        project,
        "  - {name: doubled, given: {tidy: [{n: 1, day: '2026-01-02'}, {n: 2}]},"
        " expect: {times: [{n: 4}, {n: 2}]}}\n"
        "  - {name: dates, given: {tidy: [{n: 1, day: '2026-01-02'}]}, params: {factor: 3},"
        " expect: {times: [{n: 3, day: '2026-01-02', w: null}]}}\n"
        "  - {name: sums, given: {times: [{w: 0.1}, {w: 0.2}]}, expect: {mean: [{w: 0.15}]}}\n"
        "  - {name: python, given: {times: [{n: 1}]}, expect: {loud: [{n: 1}]}}\n",
    )
    assert code == 0, out + err
    assert out.count("✓") == 4
    assert "4 tests passed" in err
    assert "hello" in err
    assert "hello" not in out
    assert not (project.folder / ".headwater").exists()


def test_rows_that_differ_are_shown_both_ways(project: Project) -> None:
    code, out, _ = ask(
        project,
        "  - {name: a, given: {tidy: [{n: 1}, {n: 1}]}, expect: {times: [{n: 2}, {n: 3}]}}\n",
    )
    assert code == 1
    missing, unexpected = out.split("made, not expected")
    assert missing.split()[-3:] == ["N", "3", "times:"]
    assert unexpected.split() == ["N", "2"]


def test_one_can_be_chosen(project: Project) -> None:
    good = "  - {name: good, given: {tidy: []}, expect: {times: []}}\n"
    bad = "  - {name: bad, given: {tidy: []}, expect: {times: [{n: 1}]}}\n"
    assert ask(project, good + bad)[0] == 1
    assert ask(project, good + bad, "--only", "good")[0] == 0
    assert ask(project, good + bad, "--only", "neither")[0] == 2


def test_a_step_that_fails_is_told(project: Project) -> None:
    code, out, _ = ask(project, "  - {name: a, given: {times: []}, expect: {mean: [{w: 1.0}]}}\n")
    assert code == 1
    assert "mean: 1 of 1 checks failed" in out


@pytest.mark.parametrize(
    ("test", "place", "message"),
    [
        (
            "{name: a, given: {}, expect: {times: []}}",
            "tests[0].given",
            "the rows of `raw` are needed",
        ),
        (
            "{name: a, given: {tidy: [{m: 1}]}, expect: {times: []}}",
            "tests[0].given.tidy[0].m",
            "`tidy` has no column `m`",
        ),
        (
            "{name: a, given: {tidy: []}, expect: {times: []}, params: {factor: many}}",
            "tests[0].params.factor",
            "'many' is no integer",
        ),
    ],
)
def test_what_cannot_be_right_is_refused_with_its_line(
    project: Project, test: str, place: str, message: str
) -> None:
    code, _, err = ask(project, f"  - {test}\n")
    assert code == 2
    assert f"cases.yaml:13 {place}" in err
    assert message in err
    assert project.run("check", "cases.yaml").returncode == 2


def test_a_value_of_another_type_is_told(project: Project) -> None:
    code, out, _ = ask(project, "  - {name: a, given: {tidy: [{n: x}]}, expect: {times: []}}\n")
    assert code == 1
    assert "tidy: " in out
    assert "'x'" in out


def test_without_a_file_those_of_this_folder_are_run(project: Project) -> None:
    assert ask(project, "  - {name: a, given: {tidy: []}, expect: {times: []}}\n")[0] == 0
    found = project.json("test")
    assert [one["name"] for one in found["items"]] == ["a"]
    assert found["ok"] is True
