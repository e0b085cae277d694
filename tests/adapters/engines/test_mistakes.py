# ruff: noqa: S608  # the queries stand in pipeline files
"""Each kind of mistake in a pipeline file, refused before anything runs: file, line and fix."""

from pathlib import Path

import pytest

from adapters.pipelinefile.reading import read_pipeline
from domain.errors import NotFound, Rejection
from tests.adapters.engines.project import HEAD, Project

_SQL = "  - {id: made, kind: transform, sql: '%s'}\n"
_CLEAN = "  - {id: tidy, kind: clean, input: raw, rules: [%s]}\n"
_CHECK = "  - {id: good, kind: check, input: raw, rules: [%s]}\n"

MISTAKES = {
    "unknown key": (
        HEAD + "  - {id: a, kind: clean, inptu: raw, input: raw, rules: [{drop_nulls: [id]}]}\n",
        ("p.yaml:8 steps.a.inptu", "unknown key `inptu`", "did you mean `input`"),
    ),
    "unknown top key": (
        HEAD + "stepz: []\n",
        ("p.yaml:8 stepz", "unknown key `stepz`", "did you mean `steps`?"),
    ),
    "later key": (
        HEAD + "  - id: a\n    kind: transform\n    engine: raw\n    sql: from raw\n",
        ("p.yaml:10 steps.a.engine", "`engine` is not there yet", "a later version"),
    ),
    "later kind": (
        HEAD + "  - id: a\n    kind: index\n    input: raw\n",
        ("p.yaml:9 steps.a.kind", "`index` is not there yet", "a later version"),
    ),
    "later top key": (
        HEAD + "schedule: []\n",
        ("p.yaml:8 schedule", "`schedule` is not there yet", "a later version"),
    ),
    "later value": (
        HEAD + _CLEAN % "{cast: {id: string}, on_error: quarantin}",
        (
            "p.yaml:8 steps.tidy.rules[0].on_error",
            "'quarantin' is not known here",
            "did you mean `quarantine`?",
        ),
    ),
    "unknown kind": (
        HEAD + "  - id: a\n    kind: ingset\n",
        ("p.yaml:9 steps.a.kind", "there is no kind 'ingset'", "did you mean `ingest`?"),
    ),
    "unknown source kind": (
        HEAD.replace("kind: csv", "kind: cvs"),
        ("p.yaml:5 sources.people.kind", "there is no kind 'cvs'", "did you mean `csv`?"),
    ),
    "unknown rule": (
        HEAD + _CHECK % "{nto_null: [id]}",
        ("p.yaml:8 steps.good.rules[0].nto_null", "there is no rule `nto_null`", "`not_null`"),
    ),
    "cleaning rule as a check": (
        HEAD + _CHECK % "{drop_nulls: [id]}",
        ("p.yaml:8 steps.good.rules[0].drop_nulls", "there is no rule", "`kind: clean`"),
    ),
    "two rules in one": (
        HEAD + _CHECK % "{not_null: [id], unique: [id]}",
        ("p.yaml:8 steps.good.rules[0]", "two rules in one entry", "an entry of its own"),
    ),
    "wrong type": (
        HEAD + _CHECK % "{not_null: id}",
        ("p.yaml:8 steps.good.rules[0].not_null", "expected a list, got the text 'id'", "[id]"),
    ),
    "wrong type of a number": (
        "parallel: many\n" + HEAD,
        ("p.yaml:1 parallel", "expected a whole number, got the text 'many'", ""),
    ),
    "wrong time": (
        HEAD + "  - id: a\n    kind: transform\n    sql: from raw\n    timeout: 30 seconds\n",
        ("p.yaml:11 steps.a.timeout", "'30 seconds' is no time; write one as", ""),
    ),
    "missing key": (
        HEAD + "  - {id: a, kind: clean, input: raw}\n",
        ("p.yaml:8 steps.a", "`rules` is missing", ""),
    ),
    "missing input": (
        HEAD + "  - id: a\n    kind: clean\n    input: rwa\n    rules: [{drop_nulls: [id]}]\n",
        ("p.yaml:10 steps.a.input", "there is no step `rwa`", "did you mean `raw`?"),
    ),
    "missing input of a query": (
        HEAD + "  - id: a\n    kind: transform\n    sql: select * from rwa\n",
        ("p.yaml:10 steps.a.sql", "there is no step `rwa`", "did you mean `raw`?"),
    ),
    "a source instead of a step": (
        HEAD + _SQL % "from people",
        ("p.yaml:8 steps.made.sql", "no step `people`, it is a source", "ingests it: raw"),
    ),
    "missing source": (
        HEAD + "  - {id: b, kind: ingest, source: poeple}\n",
        ("p.yaml:8 steps.b.source", "there is no source `poeple`", "did you mean `people`?"),
    ),
    "input that is not listed": (
        HEAD
        + "  - {id: b, kind: ingest, source: people}\n"
        + "  - {id: c, kind: transform, inputs: [b], sql: from raw}\n",
        ("p.yaml:9 steps.c.sql", "reads `raw`, which is not among its inputs (b)", "add it"),
    ),
    "cycle": (
        HEAD
        + "  - {id: a, kind: transform, sql: from b}\n"
        + "  - {id: b, kind: transform, sql: from a}\n",
        ("p.yaml:8 steps.a", "the steps wait for each other: a → b → a", ""),
    ),
    "a step that reads itself": (
        HEAD + "  - {id: a, kind: transform, sql: from a}\n",
        ("p.yaml:8 steps.a", "the steps wait for each other: a → a", ""),
    ),
    "two steps of one id": (
        HEAD + "  - id: raw\n    kind: ingest\n    source: people\n",
        ("p.yaml:8 steps[1].id", "a second step is called 'raw'; the first is steps[0]", ""),
    ),
    "reserved word": (
        HEAD + "  - id: select\n    kind: ingest\n    source: people\n",
        ("p.yaml:8 steps.select.id", "'select' is a reserved word of SQL", "`select_rows`"),
    ),
    "bad name": (
        HEAD + "  - id: Raw-2\n    kind: ingest\n    source: people\n",
        ("p.yaml:8 steps.Raw-2.id", "'Raw-2' is no name", "small letter"),
    ),
    "missing file": (
        HEAD.replace("people.csv", "peple.csv"),
        ("p.yaml:5 sources.people.path", "there is no file", "did you mean `people.csv`?"),
    ),
    "missing SQL file": (
        HEAD + "  - id: a\n    kind: transform\n    sql_file: made.sql\n",
        ("p.yaml:10 steps.a.sql_file", "there is no file", ""),
    ),
    "missing module": (
        HEAD + "  - id: a\n    kind: transform\n    input: raw\n    python: steps:score\n",
        ("p.yaml:11 steps.a.python", "there is no module steps.py", "modules are looked for in"),
    ),
    "SQL error": (
        HEAD + "  - id: a\n    kind: transform\n    inputs: [raw]\n    sql: |\n"
        "      select id,\n      from from raw\n",
        ("p.yaml:13 steps.a.sql", 'syntax error at or near "from"', ""),
    ),
    "SQL error without inputs": (
        HEAD + "  - id: a\n    kind: transform\n    sql: |\n      select id\n      fron raw x\n",
        ("p.yaml:12 steps.a.sql", "syntax error at or near", ""),
    ),
    "wrong column": (
        HEAD + "  - id: a\n    kind: transform\n    sql: |\n      select id,\n        nmae\n"
        "      from raw\n",
        ("p.yaml:12 steps.a.sql", 'Referenced column "nmae" not found', "`name`"),
    ),
    "wrong column in a rule": (
        HEAD + "  - id: a\n    kind: clean\n    input: raw\n    rules:\n      - drop_nulls: [id]\n"
        "      - deduplicate: [nmae]\n",
        ("p.yaml:13 steps.a.rules[1].deduplicate", "there is no column `nmae`", "`name`?"),
    ),
    "wrong column in an order": (
        HEAD + _CLEAN % "{deduplicate: [id], order_by: [bron desc]}",
        ("p.yaml:8 steps.tidy.rules[0].order_by[0]", "there is no column `bron`", "`born`?"),
    ),
    "wrong column in a condition": (
        HEAD + _CLEAN % '{keep_rows: "scroe > 1"}',
        ("p.yaml:8 steps.tidy.rules[0].keep_rows", 'column "scroe" not found', "`score`"),
    ),
    "column renamed before": (
        HEAD + _CLEAN % "{rename: {name: called}}, {drop_nulls: [name]}",
        ("p.yaml:8 steps.tidy.rules[1].drop_nulls", "there is no column `name`", ""),
    ),
    "wrong column in a check": (
        HEAD + "  - {id: a, kind: transform, sql: from raw, checks: [{unique: [idd]}]}\n",
        ("p.yaml:8 steps.a.checks[0].unique", "there is no column `idd`", "`id`?"),
    ),
    "wrong column to store by": (
        HEAD + "  - {id: a, kind: store, input: raw, order_by: [idd], "
        "sink: {kind: csv, path: o.csv}}\n",
        ("p.yaml:8 steps.a.order_by[0]", "there is no column `idd`", "`id`?"),
    ),
    "no condition": (
        HEAD + _CLEAN % '{keep_rows: "score + 1"}',
        ("p.yaml:8 steps.tidy.rules[0].keep_rows", "a condition is true or false", ""),
    ),
    "more than a condition": (
        HEAD + _CLEAN % '{keep_rows: "true); drop table x; select (true"}',
        ("p.yaml:8 steps.tidy.rules[0].keep_rows", "3 statements", ""),
    ),
    "bad pattern": (
        HEAD + _CHECK % '{pattern: {name: "(["}}',
        ("p.yaml:8 steps.good.rules[0].pattern", "missing ]", ""),
    ),
    "two names": (
        HEAD + _CLEAN % "{rename: {name: born}}",
        ("p.yaml:8 steps.tidy.rules[0].rename", "two columns would be called `born`", ""),
    ),
    "two columns of one name": (
        HEAD + _SQL % "select id, name as ID from raw",
        ("p.yaml:8 steps.made.sql", "two columns are called `ID`", "name one with `as`"),
    ),
    "unknown param": (
        HEAD + _SQL % "select * from raw where id > $leest",
        ("p.yaml:8 steps.made.sql", "there is no param `leest`", "did you mean `least`?"),
    ),
    "unknown param in a path": (
        HEAD.replace("people.csv", "'${day}.csv'"),
        ("p.yaml:5 sources.people.path", "there is no param `day`", ""),
    ),
    "default of another type": (
        HEAD.replace("default: 1", "default: one"),
        ("p.yaml:3 params.least.default", "'one' is no integer", ""),
    ),
    "not a query": (
        HEAD + _SQL % "drop table raw",
        ("p.yaml:8 steps.made.sql", "a step's SQL is one query", "write one SELECT"),
    ),
    "two statements": (
        HEAD + _SQL % "from raw; from raw",
        ("p.yaml:8 steps.made.sql", "2 statements", "write one SELECT"),
    ),
    "reads a file": (
        HEAD + _SQL % 'select * from read_csv("people.csv")',
        ("p.yaml:8 steps.made.sql", "the table function `read_csv` cannot", "ingest steps"),
    ),
    "names a schema": (
        HEAD + _SQL % "from information_schema.tables",
        ("p.yaml:8 steps.made.sql", "names a schema", "the step's id alone"),
    ),
    "path outside": (
        HEAD.replace("people.csv", "../../people.csv"),
        ("p.yaml:5 sources.people.path", "leads outside the allowed folders", "roots"),
    ),
    "sink outside": (
        HEAD + "  - id: a\n    kind: store\n    input: raw\n"
        "    sink: {kind: csv, path: /etc/passwd}\n",
        ("p.yaml:11 steps.a.sink.path", "leads outside the allowed folders", "roots"),
    ),
    "two steps with one destination": (
        HEAD
        + "  - {id: a, kind: store, input: raw, sink: {kind: csv, path: o.csv}}\n"
        + "  - {id: b, kind: store, input: raw, sink: {kind: jsonl, path: ./o.csv}}\n",
        ("p.yaml:9 steps.b.sink.path", "step `a` writes to ./o.csv already", "its own file"),
    ),
    "SQL file outside": (
        HEAD + "  - {id: a, kind: transform, sql_file: ../../x.sql}\n",
        ("p.yaml:8 steps.a.sql_file", "leads outside the allowed folders", "roots"),
    ),
    "not YAML": (HEAD + "  - {id: a\nb: c\n", ("p.yaml:9", "not YAML", "")),
    "duplicate key": (
        HEAD + "pipeline: q\n",
        ("p.yaml:8 pipeline", "key `pipeline` is there twice (first on line 1)", "keep one"),
    ),
    "empty file": ("", ("p.yaml:1", "the file is empty", "pipeline: NAME")),
    "not a map": ("- a\n", ("p.yaml:1", "expected a map, got a list", "pipeline: NAME")),
    "no steps": ("pipeline: p\nsteps: []\n", ("p.yaml:2 steps", "at least one step", "")),
    "undeclared column": (
        HEAD.replace("nulls: [NA]", "columns: {id: integer, name: string, born: date}"),
        (
            "p.yaml:5 sources.people.columns",
            "columns that are not declared: `score`",
            "extra_columns",
        ),
    ),
    "declared column that is not there": (
        HEAD.replace("nulls: [NA]", "columns: {id: integer, nmae: string}"),
        ("p.yaml:5 sources.people.columns", "has no column `nmae`", "did you mean `name`?"),
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_its_place(name: str, tmp_path: Path) -> None:
    text, (place, message, hint) = MISTAKES[name]
    found = Project(tmp_path).problems(text)
    assert len(found) == 1, found
    assert found[0][0] == place
    assert message in found[0][1]
    assert hint in found[0][2]


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    found = Project(tmp_path).problems(
        HEAD
        + "  - {id: a, kind: clean, input: raw, rules: [{drop_nulls: [x]}, {drop_nulls: [y]}]}\n"
        + "  - {id: b, kind: transform, sql: select z from raw}\n"
    )
    assert [place for place, _, _ in found] == [
        "p.yaml:8 steps.a.rules[0].drop_nulls",
        "p.yaml:8 steps.a.rules[1].drop_nulls",
        "p.yaml:9 steps.b.sql",
    ]


def test_structure_is_told_at_once(tmp_path: Path) -> None:
    found = Project(tmp_path).problems(
        HEAD + "  - {id: a, kind: clan, input: raw}\n  - {id: b, knd: store}\nschedule: {}\n"
    )
    assert [place for place, _, _ in found] == [
        "p.yaml:8 steps.a.kind",
        "p.yaml:9 steps.b",
        "p.yaml:10 schedule",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\0\1\2\3" * 100, "is a binary file"),
        (b"pipeline: caf\xe9\n", "is not UTF-8 (line 1)"),
        (b"# " + b"x" * 900_000, "has 900002 bytes, more than 819200"),
    ],
)
def test_what_is_no_text_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = Project(tmp_path).write("p.yaml", content)
    with pytest.raises(Rejection) as caught:
        read_pipeline(path)
    assert message in caught.value.message
    assert caught.value.message.startswith("p.yaml:1: ")


def test_a_folder_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Rejection, match="is a folder"):
        read_pipeline(tmp_path)
    with pytest.raises(NotFound, match="there is no file"):
        read_pipeline(tmp_path / "p.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: not even a header"),
        (b"\0\1\2\3" * 100, "is a binary file, not CSV"),
        (b"id,name\n1,2,3\n1,2,3\n", "differ in their number of fields"),
        (b"id,id\n1,2\n", "has two columns called `id`"),
        (b"id,\n1,2\n", "column 2 of people.csv has no name in the header"),
        (b"caf\xe9,b\n1,2\n", "is not UTF-8"),
    ],
)
def test_a_source_that_cannot_be_read(content: bytes, message: str, tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("people.csv", content)
    ((place, found, _),) = project.problems(HEAD)
    assert place == "p.yaml:5 sources.people.path"
    assert message in found


def test_a_link_out_of_the_roots_is_seen_through(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "people.csv").write_text("id\n1\n", encoding="utf-8")
    project = Project(tmp_path / "inside")
    (project.folder / "link").symlink_to(outside)
    text = HEAD.replace("people.csv", "link/people.csv")
    ((place, message, _),) = project.problems(text)
    assert place == "p.yaml:5 sources.people.path"
    assert "leads outside the allowed folders" in message
    assert project.bound(text, roots=(str(outside),)).plan
