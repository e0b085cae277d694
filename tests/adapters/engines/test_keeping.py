# ruff: noqa: S608  # the queries stand in pipeline files
"""Promises about rows, checked before anything runs."""

from pathlib import Path

import pytest

from tests.adapters.engines.project import HEAD, Project, spec_of


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def step(sql: str, keeps: str, more: str = "") -> str:
    return f"{HEAD}  - {{id: a, kind: transform, keeps: {keeps}, sql: '{sql}'{more}}}\n"


@pytest.mark.parametrize(
    "keeps", ["raw", "[raw]", "{raw: exactly_once}", "{raw: at_least_once}", "{raw: at_most_once}"]
)
def test_promises_that_can_be_proven(project: Project, keeps: str) -> None:
    spec = spec_of(project.bound(step("select id, name from raw where id > 1", keeps)))
    assert "keeps" in spec["steps"][1]


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("select random() as r from raw", "`random()`, which answers anew each time"),
        ("from raw using sample 3", "`sample` in SELECT"),
        ("select x.* from raw x positional join raw y", "a positional join"),
        ("select count(*) as c from raw group by rollup (id)", "grouping sets"),
        ("select id from raw except select 1", "`except`"),
        ("select columns(*) from raw", "`columns(…)`"),
        ("select raw from raw", "`raw` as a value: a whole row"),
        (
            "with recursive r as (from raw union all from r) select id from r",
            "`with recursive`",
        ),
    ],
)
def test_a_query_that_cannot_be_taken_apart_is_told_with_its_construct(
    project: Project, sql: str, reason: str
) -> None:
    ((place, message, hint),) = project.problems(step(sql, "raw"))
    assert place.endswith("steps.a.keeps")
    assert message == f"whether the rows of `raw` are kept cannot be proven: {reason}"
    assert "leave `keeps` out" in hint


def test_what_is_only_looked_at_cannot_be_kept(project: Project) -> None:
    sql = "select p.id from raw p semi join others using (id)"
    others = "steps:\n  - {id: others, kind: ingest, source: people}\n"
    text = step(sql, "others").replace("steps:\n", others)
    ((_, message, _),) = project.problems(text)
    assert message == "no row of `others` goes into the result: the query only looks at it"


def test_names_and_words(project: Project) -> None:
    ((_, message, hint),) = project.problems(step("from raw", "row"))
    assert (message, hint) == ("the step does not read `row`", "did you mean `raw`?")
    ((place, message, _),) = project.problems(step("from raw", "{raw: twice}"))
    assert place.endswith("steps.a.keeps.raw")
    assert message == "'twice' is not known here"


def test_python_steps_promise_nothing(project: Project) -> None:
    project.write("s.py", "def f(raw):\n    return raw\n")
    text = HEAD + "  - {id: a, kind: transform, input: raw, keeps: raw, python: 's:f'}\n"
    ((place, message, _),) = project.problems(text)
    assert place.endswith("steps.a.keeps")
    assert message == "a Python step cannot promise what it keeps"


def test_a_strict_ledger_warns_of_what_it_cannot_see(project: Project) -> None:
    text = HEAD.replace("pipeline: p", "pipeline: p\nledger: strict")
    bound = project.bound(
        text + "  - {id: a, kind: transform, sql: select random() as r from raw}\n"
    )
    assert [one for one in bound.warnings if "strict" in one] == [
        "step `a`: its ledger is strict and will be unproven: "
        "`random()`, which answers anew each time"
    ]
