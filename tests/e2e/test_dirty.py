"""The example of dirty files: what is set apart, with its line, and how it is put back."""

import csv
import io
from typing import Any

import pyarrow.parquet as pq
import pytest

from runtime.datadir import DataDir
from tests.e2e.project import Project
from tests.e2e.test_examples import example

Dirty = tuple[Project, dict[str, Any]]

RAW = [
    (6, "type", "column `amount`: 'ten' is no number", "3"),
    (7, "type", "column `day`: '2026-02-04' is no date such as %d/%m/%Y", "4"),
    (9, "fields", "3 fields instead of 5", "6,ada,06/02/2026"),
    (
        10,
        "fields",
        "6 fields instead of 5",
        "7,bob,07/02/2026,3,one field more,than there should be",
    ),
    (11, "type", "column `day`: '31/02/2026' is no date such as %d/%m/%Y", "8"),
    (12, "encoding", "not UTF-8", r"9,dan,09/02/2026,4,caf\xe9 in Latin-1 in a file of UTF-8"),
    (17, "type", "column `amount`: 'x' is no number", "12"),
]
RETURNED = [
    (6, "type", "column `order_id`: 'none' is no integer", "none"),
    (
        7,
        "json",
        "not JSON (JSON is malformed: invalid character (byte 62))",
        '{"order_id": 13, "day": "2026-02-24", "reason": "the line ends',
    ),
    (8, "type", "column `order_id`: '1.5' is no integer", "1.5"),
]
VALID = [
    (15, "unique(order_id)", "`order_id` is '2': unique(order_id)", "2"),
    (16, "limit(amount >= 0)", "`amount` is '-1.0': limit(amount >= 0)", "11"),
]


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> Dirty:
    """A finished run of it."""
    project = example("dirty", tmp_path_factory.mktemp("dirty"))
    return project, project.json("run", "dirty.yaml")


def rows_of(project: Project, run: dict[str, Any], step: str, part: str) -> list[dict[str, Any]]:
    """The rows of what a step made: its `output`, or its `quarantine`."""
    (made,) = [one[part] for one in run["steps"] if one["id"] == step]
    path = DataDir(project.folder / ".headwater").dataset(made["fingerprint"])
    found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return found


def told(project: Project, run: dict[str, Any], step: str) -> list[tuple[Any, ...]]:
    """Line, rule, reason, and the row's own text or its number."""
    names = ("headwater_line", "headwater_rule", "headwater_reason")
    return [
        (*(item[name] for name in names), item["headwater_text"] or item["order_id"])
        for item in rows_of(project, run, step, "quarantine")
    ]


def counts(run: dict[str, Any], *names: str) -> dict[str, tuple[int, ...]]:
    """Numbers of each step."""
    return {step["id"]: tuple(step[name] for name in names) for step in run["steps"]}


def test_each_dirty_row_is_set_apart_with_its_line(dirty: Dirty) -> None:
    project, run = dirty
    assert run["status"] == "completed"
    assert counts(run, "rows_in", "rows_out", "rows_quarantined") == {
        "raw": (14, 7, 7),
        "people": (6, 6, 0),
        "returned": (7, 4, 3),
        "valid": (7, 5, 2),
        "by_city": (15, 5, None),
        "published": (5, 5, None),
    }
    assert {step["ledger"] for step in run["steps"]} == {"balanced"}
    assert told(project, run, "raw") == RAW
    assert told(project, run, "returned") == RETURNED
    assert told(project, run, "valid") == VALID
    listed = project.json("quarantine", "list")["items"]
    assert {(one["step"], one["rows"], one["rows_in"], one["status"]) for one in listed} == {
        ("raw", 7, 14, "open"),
        ("returned", 3, 7, "open"),
        ("valid", 2, 7, "open"),
    }


def test_the_good_rows_are_as_they_were_written(dirty: Dirty) -> None:
    project, run = dirty
    rows = rows_of(project, run, "raw", "output")
    assert [row["order_id"] for row in rows] == [1, 2, 5, 10, 2, 11, 13]
    assert str(rows[0]["day"]) == "2026-02-01"
    assert [rows[1]["note"], rows[2]["note"]] == ["two\nlines", 'a "quote", and a comma']
    cities = [row["city"] for row in rows_of(project, run, "people", "output")]
    assert cities == ["Orléans", "Köln", "Málaga", "Göteborg", "Nîmes", None]
    late = rows_of(project, run, "returned", "output")
    assert [row["reason"] for row in late] == [None, None, "broken", "late"]
    assert "agent" not in late[0]


def test_mended_rows_are_put_back_once(dirty: Dirty) -> None:
    project, run = dirty
    shown = project.run("quarantine", "show", run["run"], "raw", "-o", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(shown)))
    rows[0]["amount"] = "10"
    rows[1]["day"] = "04/02/2026"
    rows[2] |= {"order_id": "6", "customer": "ada", "day": "06/02/2026", "amount": "1"}
    rows[4]["day"] = "30/02/2026"  # there is no such day either
    mended = project.folder / "mended.csv"
    with mended.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    redo = ("quarantine", "redo", run["run"], "raw", "--with", str(mended))
    again = project.json(*redo)
    assert again["status"] == "completed"
    assert again["run"] != run["run"]
    assert counts(again, "rows_in", "rows_out", "rows_quarantined", "readmitted") == {
        "raw": (14, 10, 4, 3),
        "people": (6, 6, 0, None),
        "returned": (7, 4, 3, None),
        "valid": (10, 8, 2, None),
        "by_city": (18, 6, None, None),
        "published": (6, 6, None, None),
    }
    assert {step["ledger"] for step in again["steps"]} == {"balanced"}
    left = told(project, again, "raw")
    assert [line for line, *_ in left] == [10, 11, 12, 17]
    assert told(project, again, "valid") == VALID
    assert left[1][2] == "column `day`: '30/02/2026' is no date such as %d/%m/%Y"
    out = (project.folder / "out" / "by_city.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in out[1:]] == [
        ["Göteborg", "2"],
        ["Köln", "1"],
        ["Málaga", "1"],
        ["Nîmes", "1"],
        ["Orléans", "2"],
        ["unknown", "1"],
    ]
    _settled(project, run, again, redo)


def _settled(
    project: Project, run: dict[str, Any], again: dict[str, Any], redo: tuple[str, ...]
) -> None:
    """The old run is as it was, knows nothing of the new one, and cannot be put back again."""
    assert project.json("show", run["run"])["steps"] == run["steps"]
    listed = project.json("quarantine", "list", run["run"], "--all")["items"]
    (one,) = [one for one in listed if one["step"] == "raw"]
    assert (one["status"], one["readmitted"], one["remaining"]) == ("settled", 3, 4)
    assert one["settled_by"] == again["run"]
    event = project.json("events", "--run", again["run"], "--tag", "run.quarantine_settled.v1")
    assert event["data"]["of_run"] == run["run"]
    refused = project.run(*redo)
    assert refused.returncode == 4
    assert f"run {again['run']} has put 3 of these rows back" in refused.stderr
    assert "4 are set apart still" in refused.stderr
    assert project.json("verify")["ok"] is True


def test_mended_rows_that_are_none_of_them_begin_no_run(dirty: Dirty) -> None:
    project, run = dirty
    shown = project.run("quarantine", "show", run["run"], "valid", "-o", "csv").stdout
    head, first, second = shown.splitlines()
    before = len(project.json("runs")["items"])
    for lines, said in (
        ([head, first, first], "headwater_line 15 is there more than once"),
        ([head, first, second.replace(",16,", ",17,")], "headwater_line 17 is no line of the quar"),
        ([head.replace("customer", "client"), first], "column customer is missing"),
        ([head, first[:-3]], "bad.csv:2: 9 fields where 10 are expected"),
        ([head], "there are no rows"),
    ):
        (project.folder / "bad.csv").write_text("\n".join(lines) + "\n")
        refused = project.run("quarantine", "redo", run["run"], "valid", "--with", "bad.csv")
        assert (refused.returncode, said in refused.stderr) == (2, True), refused.stderr
        assert "bad.csv" in refused.stderr
    assert len(project.json("runs")["items"]) == before


def test_what_cannot_be_put_back_is_told(dirty: Dirty) -> None:
    project, run = dirty
    redo = ("quarantine", "redo", run["run"])
    for words, code, said in (
        ((*redo, "people", "--with", "dirty.yaml"), 3, "has set nothing apart"),
        ((*redo, "--with", "dirty.yaml"), 2, "say which of raw, returned, valid"),
        ((*redo, "valid", "--revision", "9"), 3, "has no revision 9"),
    ):
        refused = project.run(*words)
        assert (refused.returncode, said in refused.stderr) == (code, True), refused.stderr
