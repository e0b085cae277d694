# ruff: noqa: S608  # the queries stand in contracts
"""Contracts held against the columns they will meet, before anything runs."""

from pathlib import Path

import pytest

from tests.adapters.engines.project import HEAD, Project, spec_of

CONTRACT = """\
apiVersion: v3.2.0
kind: DataContract
id: people
version: 1.0.0
schema:
  - name: people
    properties:
      - {name: id, logicalType: integer, required: true}
      - {name: name, logicalType: string}
      - {name: born, logicalType: date}
      - {name: score, logicalType: number}
"""
VALID = HEAD + "  - {id: valid, kind: validate, input: raw, contract: c/people.odcs.yaml}\n"
READ = HEAD.replace("nulls: [NA]", "nulls: [NA], contract: c/people.odcs.yaml")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """With a contract."""
    done = Project(tmp_path)
    done.write("c/people.odcs.yaml", CONTRACT)
    return done


def test_a_contract_is_part_of_the_bundle(project: Project) -> None:
    first = project.bound(VALID).definition
    assert first.files == {"c/people.odcs.yaml": CONTRACT}
    project.write("c/people.odcs.yaml", CONTRACT + "# more\n")
    assert project.bound(VALID).definition.bundle != first.bundle


def test_a_contract_declares_the_columns_of_a_source(project: Project) -> None:
    (source,) = spec_of(project.bound(READ))["sources"].values()
    assert source["columns"] == {
        "id": "integer",
        "name": "string",
        "born": "date",
        "score": "number",
    }
    assert source["contract"] == "c/people.odcs.yaml"


@pytest.mark.parametrize(
    ("contract", "text", "place", "message", "hint"),
    [
        (
            CONTRACT.replace("name: born", "name: bron"),
            VALID,
            "p.yaml:8 steps.valid.contract",
            "c/people.odcs.yaml:10: `raw` has no column `bron`",
            "did you mean `born`?",
        ),
        (
            CONTRACT.replace("integer", "boolean"),
            VALID,
            "p.yaml:8 steps.valid.contract",
            "c/people.odcs.yaml:8: `id` is boolean in the contract and integer in `raw`",
            "cast",
        ),
        (
            CONTRACT.replace("string}", "string, logicalTypeOptions: {pattern: '(?=a)'}}"),
            VALID,
            "p.yaml:8 steps.valid.contract",
            "c/people.odcs.yaml:9: pattern(name: (?=a)): ",
            "",
        ),
        (
            CONTRACT + "    quality: [{type: sql, query: select nme from people, mustBe: 1}]\n",
            VALID,
            "p.yaml:8 steps.valid.contract",
            "c/people.odcs.yaml:12: sql(select nme from people) = 1: ",
            "",
        ),
        (
            CONTRACT + "    quality: [{type: sql, query: 'select 1; select 2', mustBe: 1}]\n",
            VALID,
            "p.yaml:8 steps.valid.contract",
            "one SELECT is wanted",
            "",
        ),
        (
            CONTRACT + "    quality: [{type: sql, query: from '/etc/passwd', mustBe: 1}]\n",
            VALID,
            "p.yaml:8 steps.valid.contract",
            "/etc/passwd",
            "",
        ),
        (
            CONTRACT.replace("required", "requird"),
            VALID,
            "p.yaml:8 steps.valid.contract",
            "c/people.odcs.yaml:8 schema[0].properties[0].requird: unknown key `requird`",
            "did you mean `required`?",
        ),
        (
            CONTRACT,
            VALID.replace("people.odcs", "poeple.odcs"),
            "p.yaml:8 steps.valid.contract",
            "there is no file",
            "",
        ),
        (
            CONTRACT,
            VALID.replace("c/people.odcs.yaml", "../../etc/people.yaml"),
            "p.yaml:8 steps.valid.contract",
            "leads outside the allowed folders",
            "",
        ),
        (
            CONTRACT.replace("name: born", "name: bron"),
            READ,
            "p.yaml:5 sources.people.contract",
            "people.csv has no column `bron`",
            "did you mean `born`?",
        ),
        (
            CONTRACT.replace("logicalType: date", "logicalType: object"),
            READ,
            "p.yaml:5 sources.people.contract",
            "c/people.odcs.yaml:10: `born` is of type object",
            "in a step",
        ),
        (
            CONTRACT,
            READ.replace("contract:", "columns: {id: integer}, contract:"),
            "p.yaml:5 sources.people.columns",
            "`columns` differ from those of the contract",
            "drop `columns`",
        ),
        (
            CONTRACT,
            VALID.replace("}\n", ", on_violation: ignore}\n")
            .replace("NA], on_violation: ignore}", "NA]}")
            .replace("people, on_violation: ignore}", "people}")
            .replace("default: 1, on_violation: ignore}", "default: 1}"),
            "p.yaml:8 steps.valid.on_violation",
            "'ignore' is not known here",
            "fail, quarantine",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(
    project: Project, contract: str, text: str, *, place: str, message: str, hint: str
) -> None:
    project.write("c/people.odcs.yaml", contract)
    found = project.problems(text)
    assert len(found) == 1, found
    assert found[0][0] == place
    assert message in found[0][1]
    assert hint in found[0][2]


def test_a_query_of_a_contract_sees_its_table(project: Project) -> None:
    rules = "    quality: [{type: sql, query: 'select count(*) from ${object}', mustBe: 1}]\n"
    project.write("c/people.odcs.yaml", CONTRACT + rules)
    assert project.problems(VALID) == []


def test_a_contract_may_come_without_a_file(project: Project) -> None:
    found = project.bound(READ + VALID[len(HEAD) :])
    assert found.definition.files == {"c/people.odcs.yaml": CONTRACT}
    assert [step.kind for step in found.plan] == ["ingest", "validate"]
