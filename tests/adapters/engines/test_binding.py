# ruff: noqa: S608  # the queries stand in pipeline files
"""What binding pins, plans and warns of."""

from pathlib import Path
from typing import Any

import pytest

from adapters.engines.binding.definition import bind
from adapters.pipelinefile.contracts import read_contract
from adapters.pipelinefile.reading import read_pipeline
from domain.errors import Rejection
from domain.pipeline.spec import bundle_hash, decode_spec, encode_spec
from tests.adapters.engines.project import HEAD, Project, spec_of


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_sniffed_types_are_pinned(project: Project) -> None:
    spec = spec_of(project.bound(HEAD + "  - {id: a, kind: transform, sql: from raw}\n"))
    assert spec["sources"]["people"]["sniffed"] == {
        "id": "integer",
        "name": "string",
        "born": "date",
        "score": "number",
    }


def test_dates_that_are_not_iso_stay_text(project: Project) -> None:
    project.write("people.csv", "id,born\n1,10/12/1815\n2,31/12/1906\n")
    spec = spec_of(project.bound(HEAD))
    assert spec["sources"]["people"]["sniffed"]["born"] == "string"


def test_declared_types_are_not_sniffed(project: Project) -> None:
    text = HEAD.replace(
        "nulls: [NA]", "columns: {id: string, name: string, born: date, score: string}"
    )
    assert "sniffed" not in spec_of(project.bound(text))["sources"]["people"]


def test_json_lines_and_parquet_are_sniffed(project: Project) -> None:
    project.write("a.jsonl", '{"a": 1, "b": {"c": [1]}, "d": null}\n')
    spec = spec_of(
        project.bound(
            "pipeline: p\nsources: {lines: {kind: jsonl, path: a.jsonl}}\n"
            "steps:\n  - {id: raw, kind: ingest, source: lines}\n"
            "  - {id: a, kind: transform, sql: 'select b.c[1] as first, d from raw'}\n"
        )
    )
    assert spec["sources"]["lines"]["sniffed"] == {
        "a": "integer",
        "b": "STRUCT(c BIGINT[])",
        "d": "string",
    }


LINES = """\
pipeline: p
sources: {lines: {kind: jsonl, path: a.jsonl}}
steps:
  - {id: raw, kind: ingest, source: lines}
"""


@pytest.mark.parametrize("line", ["[1]", "5", '"x"', "true", "[{}]"])
def test_a_line_of_json_that_is_no_object_is_named(project: Project, line: str) -> None:
    project.write("a.jsonl", f'{{"id": 1, "t": 2}}\n\n{line}\n{{"id": 2}}\n')
    with pytest.raises(Rejection) as refused:
        project.bound(LINES)
    told = str(refused.value.details["problems"])
    assert f"line 3 of a.jsonl is no JSON object: {line}" in told
    assert "declare `columns:`" in told


def test_a_key_may_be_called_json(project: Project) -> None:
    project.write("a.jsonl", '{"json": 1}\nnull\n {"json": "x"}\n')
    assert spec_of(project.bound(LINES))["sources"]["lines"]["sniffed"] == {"json": "JSON"}


def test_inputs_of_a_query_are_pinned_and_planned(project: Project) -> None:
    bound = project.bound(
        HEAD
        + "  - {id: b, kind: transform, sql: from tidy select id}\n"
        + "  - {id: tidy, kind: clean, input: raw, rules: [{drop_nulls: [id]}]}\n"
    )
    assert spec_of(bound)["steps"][1]["inputs"] == {"tidy": "tidy"}
    assert [(step.id, step.inputs) for step in bound.plan] == [
        ("raw", ()),
        ("tidy", ("raw",)),
        ("b", ("tidy",)),
    ]


def test_a_query_sees_its_inputs_under_their_aliases(project: Project) -> None:
    bound = project.bound(
        HEAD + "  - {id: b, kind: transform, inputs: {r: raw}, sql: select r.id from r}\n"
    )
    assert spec_of(bound)["steps"][1]["inputs"] == {"r": "raw"}
    assert bound.plan[1].inputs == ("raw",)


def test_a_with_name_hides_no_step(project: Project) -> None:
    bound = project.bound(
        HEAD
        + "  - id: b\n    kind: transform\n"
        + "    sql: with raw as (from raw where id > $least), x as (from raw) from x\n"
    )
    assert bound.plan[1].inputs == ("raw",)


def test_a_pivot_binds_with_its_columns_named(project: Project) -> None:
    sql = "from raw pivot (sum(score) for name in ('Ada', 'Grace') group by born)"
    bound = project.bound(
        HEAD + f'  - {{id: b, kind: transform, inputs: [raw], sql: "{sql}"}}\n'
        "  - {id: c, kind: transform, sql: 'select born, Ada from b'}\n"
    )
    assert [step.id for step in bound.plan] == ["raw", "b", "c"]


def test_schemas_follow_cleaning(project: Project) -> None:
    rules = "{rename: {name: called}}, {cast: {id: string, score: integer}, on_error: 'null'}"
    bound = project.bound(
        HEAD
        + f"  - {{id: tidy, kind: clean, input: raw, rules: [{rules}]}}\n"
        + "  - id: a\n    kind: transform\n"
        + "    sql: select upper(id) as id, called, score % 2 as odd from tidy\n"
    )
    assert bound.plan[-1].inputs == ("tidy",)


def test_binding_a_canonical_spec_again_changes_nothing(project: Project) -> None:
    first = project.bound(HEAD + "  - {id: a, kind: transform, sql: from raw}\n")
    again = bind(spec_of(first), {}, str(project.folder), (str(project.folder),), read_contract)
    assert again.definition.bundle == first.definition.bundle
    assert encode_spec(decode_spec(bytes(first.definition.spec))) == bytes(first.definition.spec)
    assert first.definition.bundle == bundle_hash(bytes(first.definition.spec), {})


def test_a_sql_file_belongs_to_the_bundle(project: Project) -> None:
    text = HEAD + "  - {id: a, kind: transform, sql_file: sql/a.sql}\n"
    project.write("sql/a.sql", "select id\nfrom raw\n")
    first = project.bound(text)
    assert first.definition.files == {"sql/a.sql": "select id\nfrom raw\n"}
    project.write("sql/a.sql", "select id, name\nfrom raw\n")
    assert project.bound(text).definition.bundle != first.definition.bundle
    project.write("sql/a.sql", "select id,\n  nmae from raw\n")
    ((place, message, hint),) = project.problems(text)
    assert place == "p.yaml:8 steps.a.sql_file"
    assert message.startswith("sql/a.sql:2: ")
    assert "`name`" in hint


PYTHON = HEAD + "  - {id: a, kind: transform, python: 'steps:score', inputs: {people: raw}}\n"


def test_a_python_step_takes_its_modules_along(project: Project) -> None:
    project.write(
        "steps.py", "import json\nfrom lib import more\ndef score(people): return people\n"
    )
    project.write("lib/__init__.py", "")
    project.write("lib/more.py", "from . import deep\n")
    project.write("lib/deep.py", "x = 1\n")
    project.write("other.py", "y = 1\n")
    bound = project.bound(PYTHON)
    assert sorted(bound.definition.files) == [
        "lib/__init__.py",
        "lib/deep.py",
        "lib/more.py",
        "steps.py",
    ]


def test_what_follows_a_python_step_is_not_checked_and_told(project: Project) -> None:
    project.write("steps.py", "def score(people, params): return people\n")
    bound = project.bound(PYTHON + "  - {id: b, kind: transform, sql: select anything from a}\n")
    assert bound.plan[-1].inputs == ("a",)
    assert any("step `b`: it cannot be checked before a run" in one for one in bound.warnings)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def scores(people): ...\n", "steps.py has no function score"),
        ("def score(poeple): ...\n", "steps.py:1: score() takes no argument `people`"),
        ("def score(people, more): ...\n", "steps.py:1: score() needs `more`, which is no input"),
        ("async def score(people): ...\n", "score is an async function"),
        ("def score(people: ...\n", "steps.py:1: "),
    ],
)
def test_a_function_that_cannot_be_called(project: Project, code: str, message: str) -> None:
    project.write("steps.py", code)
    found = project.problems(PYTHON)
    assert found[0][0] == "p.yaml:8 steps.a.python"
    assert message in found[0][1]


def test_what_is_unused_is_told(project: Project) -> None:
    bound = project.bound(HEAD.replace("steps:", "  more: {kind: csv, path: people.csv}\nsteps:"))
    assert bound.warnings == ("source `more` is used by no step", "param `least` is used nowhere")


def test_a_destination_that_is_a_source_is_told(project: Project) -> None:
    store = "  - {id: out, kind: store, input: raw, sink: {kind: csv, path: ./people.csv}}\n"
    assert project.bound(HEAD + store).warnings == (
        "step `out` writes to ./people.csv, which source `people` reads",
        "param `least` is used nowhere",
    )


def test_only_connections_refer_to_secrets(project: Project) -> None:
    place, message, hint = project.problems(HEAD.replace("people.csv", "'${env:HOME}/a.csv'"))[0]
    assert place == "p.yaml:5 sources.people.path"
    assert "only connections of headwater.toml" in message
    assert hint == "use a param: `${name}`"


def test_modules_outside_the_bundle_are_refused(project: Project) -> None:
    spec = {"pipeline": "p", "steps": [{"id": "a", "kind": "transform", "sql": "select 1 as x"}]}
    files = {"../escaped.py": "", "../far.sql": "", "near.py": ""}
    root = str(project.folder)
    with pytest.raises(Rejection, match="leads outside the bundle") as refused:
        bind(spec, files, root, [root], read_contract)
    problems: Any = refused.value.details["problems"]
    assert [one["path"] for one in problems] == ["files.../escaped.py"]


def test_a_path_may_hold_params(project: Project) -> None:
    text = HEAD.replace("people.csv", "'${who}.csv'").replace(
        "params:", "params:\n  who: {type: string, default: people}"
    )
    assert project.bound(text).plan


def test_a_root_outside_the_roots_is_refused(project: Project) -> None:
    spec = {"pipeline": "p", "steps": [{"id": "a", "kind": "transform", "sql": "select 1 as x"}]}
    with pytest.raises(Rejection, match="is not one that pipelines may work in"):
        bind(spec, {}, "/", (str(project.folder),), read_contract)
    assert bind(spec, {}, "", (str(project.folder),), read_contract).definition.root == str(
        project.folder
    )


def test_nothing_is_executed(project: Project) -> None:
    bound = project.bound(
        HEAD + "  - {id: a, kind: transform, sql: \"select error('executed') as x from raw\"}\n"
    )
    assert bound.plan


def test_json_and_toml_say_the_same(project: Project) -> None:
    toml = (
        'pipeline = "p"\n[sources.people]\nkind = "csv"\npath = "people.csv"\nnulls = ["NA"]\n'
        '[[steps]]\nid = "raw"\nkind = "ingest"\nsource = "people"\n'
    )
    json = (
        '{"pipeline": "p",\n "sources": {"people": {"kind": "csv", "path": "people.csv", '
        '"nulls": ["NA"]}},\n "steps": [{"id": "raw", "kind": "ingest", "source": "people"}]}'
    )
    bundles = {project.bound(toml, "p.toml").definition.bundle}
    bundles.add(project.bound(json, "p.json").definition.bundle)
    assert len(bundles) == 1
    wrong = project.problems(toml.replace('"people"\n', '"poeple"\n'), "p.toml")
    assert wrong[0][0] == "p.toml:9 steps.raw.source"


EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        (
            "flights/flights.yaml",
            ["raw", "carriers", "aircraft", "valid", "flown", "punctuality", "published"],
        ),
        ("python_step/temperatures.yaml", None),
    ],
)
def test_the_examples_bind(path: str, steps: list[str] | None) -> None:
    file = read_pipeline(EXAMPLES / path)
    bound = bind(file.spec, file.files, file.root, (file.root,), read_contract)
    assert steps in (None, [step.id for step in bound.plan])
