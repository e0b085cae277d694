"""Rules bound before anything runs: wrong columns with candidates, types, conditions, steps."""

from pathlib import Path

import pytest

from tests.adapters.engines.project import HEAD, Project, spec_of

OTHER = """\
  - {id: named, kind: transform, sql: 'select id as key, name from raw'}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def checked(rule: str) -> str:
    return HEAD + OTHER + f"  - {{id: a, kind: check, input: raw, rules: [{{{rule}}}]}}\n"


def cleaned(rule: str) -> str:
    return HEAD + f"  - {{id: a, kind: clean, input: raw, rules: [{{{rule}}}]}}\n"


@pytest.mark.parametrize(
    "rule",
    [
        "freshness: {born: 24h}",
        "references: [id], to: named, columns: [key]",
        "references: [name], to: named",
        "references: [id], to: raw",
        "sql: 'score > $least'",
        "sql: 'born < $run_time'",
        "sql: 'from raw anti join named on id = key'",
        "sql: 'from a where score > $least'",
        "unique: [id], where: 'score > $least', tolerance: 0.1%",
        "row_count: {min: 1}, where: 'name is not null'",
    ],
)
def test_a_rule_that_fits(project: Project, rule: str) -> None:
    assert project.problems(checked(rule)) == []


def test_steps_that_a_query_reads_are_pinned_and_waited_for(project: Project) -> None:
    bound = project.bound(
        checked("sql: 'from a anti join named on a.id = key join raw using (id)'")
    )
    (rule,) = spec_of(bound)["steps"][2]["rules"]
    assert sorted(rule["inputs"]) == ["named", "raw"]
    planned = {one.id: one.inputs for one in bound.plan}
    assert planned["a"] == ("raw", "named")


def test_a_step_behind_is_bound_behind_the_one_it_looks_at(project: Project) -> None:
    late = "  - {id: late, kind: transform, sql: 'select id from raw'}\n"
    first = "  - {id: a, kind: clean, input: raw, rules: [{trim: [name]}], "
    text = HEAD + first + "checks: [{references: [id], to: late}]}\n" + late
    assert [one.id for one in project.bound(text).plan] == ["raw", "late", "a"]


@pytest.mark.parametrize(
    ("rule", "message", "hint"),
    [
        ("freshness: {bron: 24h}", "there is no column `bron`", "did you mean `born`?"),
        ("freshness: {score: 24h}", "`score` is number, which tells no age", "cast it"),
        ("references: [di], to: named", "there is no column `di`", "known here: id, name"),
        ("references: [id], to: named", "`named` has no column `id`", "key"),
        ("references: [id], to: nmaed", "there is no step `nmaed`", "did you mean `named`?"),
        ("references: [id], to: people", "there is no step `people`, it is a source", "raw"),
        (
            "references: [id], to: named, columns: [name]",
            "`id` is integer, and `named.name` is string",
            "cast one of them",
        ),
        ("sql: 'scroe > 1'", '"scroe" not found', "did you mean `score`"),
        ("sql: 'score'", "a condition is true or false, this is number", ""),
        ("sql: 'sum(score) > 1'", "aggregate", ""),
        ("sql: 'score > 1), (2'", "", ""),
        ("sql: 'score > $most'", "there is no param `most`", "least"),
        ("sql: 'select nmae from raw'", '"nmae" not found', "did you mean `name`"),
        ("sql: 'from nobody'", "there is no step `nobody`", "raw"),
        ("sql: \"from read_csv('people.csv')\"", "the table function `read_csv`", "steps only"),
        ("sql: 'select 1; select 2'", "statements", ""),
        ("unique: [id], where: 'nme is null'", '"nme" not found', "`name`"),
        ("unique: [id], where: '1'", "a condition is true or false", ""),
        ("unique: [id], where: 'count(*) > 1'", "aggregate", ""),
    ],
)
def test_a_check_that_does_not_fit(project: Project, rule: str, message: str, hint: str) -> None:
    problems = project.problems(checked(rule))
    assert problems
    assert "p.yaml:9" in problems[0][0]
    assert message in problems[0][1]
    assert hint in problems[0][2]


@pytest.mark.parametrize(
    "rule",
    [
        "trim: [name]",
        "fill: {name: unknown, score: 0, born: 1900-01-01}",
        "fill: {id: 2.0, name: 7}",
        "map: {name: {Ada: Augusta}, id: {'1': 2, '3': null}}",
        "map: {born: {'1815-12-10': '1815-12-11'}}, others: null",
    ],
)
def test_a_cleaning_that_fits(project: Project, rule: str) -> None:
    assert project.problems(cleaned(rule).replace("others: null", "others: 'null'")) == []


@pytest.mark.parametrize(
    ("rule", "message", "hint"),
    [
        ("trim: [nmae]", "there is no column `nmae`", "did you mean `name`?"),
        ("trim: [id]", "`id` is integer: only texts have white space", ""),
        ("fill: {nmae: x}", "there is no column `nmae`", "did you mean `name`?"),
        ("fill: {id: none}", "'none' is no integer, which `id` is", "cast the column"),
        ("fill: {id: 1.5}", "1.5 is no integer", ""),
        ("fill: {id: true}", "True is no integer", ""),
        ("fill: {born: 2026-02-30}", "'2026-02-30' is no date", ""),
        ("map: {id: {one: 1}}", "'one' is no integer", ""),
        ("map: {score: {'1': high}}", "'high' is no number", ""),
        ("map: {who: {a: b}}", "there is no column `who`", ""),
    ],
)
def test_a_cleaning_that_does_not_fit(project: Project, rule: str, message: str, hint: str) -> None:
    ((place, told, hinted),) = project.problems(cleaned(rule))
    assert "p.yaml:8" in place
    assert message in told
    assert hint in hinted


def test_steps_that_wait_for_each_other_by_a_rule(project: Project) -> None:
    text = HEAD + (
        "  - {id: a, kind: clean, input: raw, rules: [{trim: [name]}], "
        "checks: [{references: [id], to: b}]}\n"
        "  - {id: b, kind: transform, sql: from a}\n"
    )
    ((_, message, _),) = project.problems(text)
    assert message == "the steps wait for each other: a → b → a"


def test_rules_about_a_python_step_are_checked_in_a_run(project: Project) -> None:
    project.write("steps.py", "def scored(raw):\n    return raw\n")
    text = HEAD + (
        "  - {id: scored, kind: transform, python: 'steps:scored', input: raw}\n"
        "  - {id: a, kind: check, input: raw, rules: [{references: [id], to: scored}]}\n"
    )
    bound = project.bound(text)
    assert any("step `a`: its checks cannot be checked before a run" in w for w in bound.warnings)
