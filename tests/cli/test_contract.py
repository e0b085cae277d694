"""`headwater contract`: one made from data is kept by it, and data that breaks one is told."""

import json
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.pipelinefile.contracts import read_contract
from runtime.cli.app import run
from tests.architecture.source import ROOT

CSV = """id,name,born,score,flag,seen
1,Ada,1815-12-10,1.5,true,2026-01-01 10:00:00
2,Grace,1906-12-09,NA,false,2026-01-01 11:00:00
3,"Al,an",1912-06-23,2,true,
"""
CHECKED = """\
apiVersion: v3.2.0
kind: DataContract
id: people
version: 1.0.0
schema:
  - name: people
    properties:
      - {name: id, logicalType: integer, required: true, logicalTypeOptions: {maximum: 2}}
      - {name: name, logicalType: string}
      - {name: born, logicalType: date}
      - {name: score, logicalType: number}
"""


class Shell:
    """Types command lines in a folder."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def __call__(self, *words: str) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        code = run(["contract", *words])
        out, err = self._capsys.readouterr()
        return code, out, err

    def write(self, name: str, text: str) -> None:
        """A file of the folder."""
        (self.folder / name).write_text(text, encoding="utf-8")


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    """In an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEADWATER_DATA", raising=False)
    made = Shell(tmp_path, capsys)
    made.write("people.csv", CSV)
    made.write("people.odcs.yaml", CHECKED)
    return made


def official() -> Any:
    """The standard's own JSON Schema."""
    text = resources.files("open_data_contract_standard").joinpath("schema.json").read_text("utf-8")
    return jsonschema.Draft201909Validator(json.loads(text))


def test_an_inferred_contract_says_what_the_data_shows(shell: Shell) -> None:
    code, out, err = shell("infer", "people.csv", "--null", "NA")
    assert (code, err) == (0, "")
    contract = read_contract("c.yaml", "", out)
    assert [(one.name, one.type) for one in contract.columns] == [
        ("id", "integer"),
        ("name", "string"),
        ("born", "date"),
        ("score", "number"),
        ("flag", "boolean"),
        ("seen", "timestamp"),
    ]
    properties = json.loads(shell("infer", "people.csv", "--null", "NA", "--json")[1])["schema"][0][
        "properties"
    ]
    assert {one["name"]: sorted(set(one) - {"name", "logicalType"}) for one in properties} == {
        "id": ["required", "unique"],
        "name": ["required", "unique"],
        "born": ["required", "unique"],
        "score": [],
        "flag": ["required"],
        "seen": ["unique"],
    }


@pytest.mark.parametrize("name", ["people", "Größe 7", "1"])
def test_an_inferred_contract_is_valid_and_kept_by_its_data(shell: Shell, name: str) -> None:
    rows = [
        {"a": 1, "ratio": 0.5, "tags": ["x"], "part": {"n": 1}, "key:": "null", "yes": None},
        {"a": 2, "ratio": 1.5, "tags": [], "part": {"n": 2}, "key:": "- #", "yes": None},
    ]
    table = pa.Table.from_pylist(rows)
    counts = pa.array([[("x", [1])], []], pa.map_(pa.string(), pa.list_(pa.int8())))
    exact = pa.array([Decimal("1.50"), None], pa.decimal128(9, 2))
    table = table.append_column("counts", counts).append_column("exact", exact)
    pq.write_table(
        table.append_column("raw", pa.array([b"x", b"y"])), shell.folder / "rows.parquet"
    )
    text = shell("infer", "rows.parquet", "--name", name)[1]
    shell.write("c.yaml", text)
    official().validate(json.loads(shell("infer", "rows.parquet", "--name", name, "--json")[1]))
    code, out, _ = shell("check", "c.yaml", "rows.parquet", "--json")
    assert (code, json.loads(out)["ok"]) == (0, True), out


def test_the_contract_of_the_example_is_valid(shell: Shell) -> None:
    import yaml

    text = (ROOT / "examples/flights/contracts/flights.odcs.yaml").read_text("utf-8")
    official().validate(yaml.safe_load(text))


def test_a_broken_contract_is_told_term_by_term(shell: Shell) -> None:
    code, out, err = shell("check", "people.odcs.yaml", "people.csv", "--null", "NA")
    assert code == 1
    assert out.splitlines() == [
        "✓ required(id)",
        "✗ limit(id <= 2): 1 row breaks it (people.odcs.yaml:8)",
        "    row 3 (id = 3)",
    ]
    assert err == "1 of 2 terms broken\n"


def test_the_same_for_programs(shell: Shell) -> None:
    code, out, _ = shell("check", "people.odcs.yaml", "people.csv", "--null", "NA", "--json")
    found = json.loads(out)
    assert (code, found["ok"], found["contract"], found["data"]) == (
        1,
        False,
        "people.odcs.yaml",
        "people.csv",
    )
    assert found["terms"][1] == {
        "name": "limit(id <= 2)",
        "rule": "limit(id <= 2)",
        "severity": "error",
        "passed": False,
        "failing_rows": 1,
        "null_rows": 0,
        "observed": "",
        "where": "people.odcs.yaml:8",
        "rows": ["row 3 (id = 3)"],
    }


def test_a_kept_contract(shell: Shell) -> None:
    shell.write("people.odcs.yaml", CHECKED.replace("maximum: 2", "maximum: 3"))
    code, _, err = shell("check", "people.odcs.yaml", "people.csv", "--null", "NA")
    assert (code, err) == (0, "2 terms, all kept\n")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("logicalType: number", "logicalType: integer"), "line 2: column `score`: '1.5'"),
        (("name: born", "name: bron"), "✗ column(bron: date): missing (people.odcs.yaml:10)"),
        (("logicalType: number", "logicalType: object"), "DOUBLE in the data"),
        (("maximum: 2", "pattern: x"), "people.odcs.yaml:8 schema[0].properties[0]"),
    ],
)
def test_what_does_not_fit_is_told(shell: Shell, change: tuple[str, str], told: str) -> None:
    shell.write("people.odcs.yaml", CHECKED.replace(*change))
    code, out, err = shell("check", "people.odcs.yaml", "people.csv", "--null", "NA")
    assert code in (1, 2)
    assert told in out + err


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["infer"], 2, "[CONTRACT] DATA is missing"),
        (["infer", "a.csv", "b.csv"], 2, "contract infer takes DATA"),
        (["check", "people.csv"], 2, "contract check takes CONTRACT and DATA"),
        (["guess", "people.csv"], 2, "it is one of infer, check"),
        (["infer", "missing.csv"], 2, "there is no file"),
        (["infer", "people.xlsx/"], 2, "cannot be told from its name"),
        (["check", "missing.yaml", "people.csv"], 3, "there is no file"),
        (["check", "people.odcs.yaml#planes", "people.csv"], 2, "there is no table 'planes'"),
        (["infer", "people.csv", "--delimiter", "ab"], 2, "is not one character"),
        (["infer", "flights.raw"], 3, "nothing has ever run here"),
    ],
)
def test_what_goes_wrong_has_a_code_and_words(
    shell: Shell, words: list[str], code: int, told: str
) -> None:
    found, out, err = shell(*words)
    assert (found, out) == (code, ""), err
    assert told in err
