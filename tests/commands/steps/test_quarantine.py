"""Quarantine at ingest: good rows and rejected rows are all the records there are, each rejected
one with rule, reason, file and physical line; held against what Python alone makes of the file."""

import gzip
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.run.events import StepOutcome
from tests.commands.steps.bench import Bench, Walk

Row = dict[str, object]
COLUMNS = {"id": "integer", "day": "date", "name": "string"}
GOOD = "1,2013-01-02,x\n" * 30


def ingest(bench: Bench, content: str | bytes, name: str = "in.csv", **more: object) -> StepOutcome:
    bench.write(name, content)
    return walk(bench, name, **more).outcome("raw")


def walk(bench: Bench, name: str = "in.csv", **more: object) -> Walk:
    kind = "jsonl" if ".jsonl" in name else "csv"
    source = {"kind": kind, "path": name, "columns": COLUMNS, **more}
    step = {"id": "raw", "kind": "ingest", "source": "s", "limits": {"max_quarantined": "99%"}}
    return Walk(bench, {"sources": {"s": source}, "steps": [step]})


def told(bench: Bench, outcome: StepOutcome) -> list[tuple[object, object, object]]:
    """Line, rule and reason of each rejected row."""
    assert outcome.ledger == "balanced"
    if outcome.quarantine is None:
        return []
    return [
        (row["headwater_line"], row["headwater_rule"], row["headwater_reason"])
        for row in bench.rows(outcome.quarantine)
    ]


@pytest.mark.parametrize(
    ("record", "rule", "reason", "text"),
    [
        ("zz,2013-01-02,x", "type", "column `id`: 'zz' is no integer", None),
        ("1.5,2013-01-02,x", "type", "column `id`: '1.5' is no integer", None),
        (
            "1,2013-01-02 10:30,x",
            "type",
            "column `day`: '2013-01-02 10:30' is no date such as 2013-12-31",
            None,
        ),
        (
            "1,03/04/2013,x",
            "type",
            "column `day`: '03/04/2013' is no date such as 2013-12-31",
            None,
        ),
        ("1,03-04-13,x", "type", "column `day`: '03-04-13' is no date such as 2013-12-31", None),
        (
            "1,2013-01-02abc,x",
            "type",
            "column `day`: '2013-01-02abc' is no date such as 2013-12-31",
            None,
        ),
        (
            "1,2013-02-30,x",
            "type",
            "column `day`: '2013-02-30' is no date such as 2013-12-31",
            None,
        ),
        ("1,2013-01-02", "fields", "2 fields instead of 3", "1,2013-01-02"),
        ("1,2013-01-02,x,", "fields", "4 fields instead of 3", "1,2013-01-02,x,"),
        ('1,2013-01-02,x,"a\nb"', "fields", "4 fields instead of 3", '1,2013-01-02,x,"a\nb"'),
        ('1,"2013-01-02"z,x', "csv", "not CSV (',' expected after '\"')", '1,"2013-01-02"z,x'),
        (
            '1,"a"z,"two\nlines"',
            "csv",
            "not CSV (',' expected after '\"')",
            '1,"a"z,"two\nlines"',
        ),
    ],
)
def test_each_reason_is_told_with_its_line(
    bench: Bench, record: str, rule: str, reason: str, text: str | None
) -> None:
    hold_reason(bench, "\n", "in.csv", record, (rule, reason, text))
    hold_reason(bench, "\r\n", "in.csv.gz", record, (rule, reason, text))


def hold_reason(
    bench: Bench, newline: str, name: str, record: str, expected: tuple[str, str, str | None]
) -> None:
    rule, reason, text = expected
    content = f'id,day,name\n{GOOD}\n\n2,,"two\nlines"\n{record}\n\n{GOOD}'
    data = content.replace("\n", newline).encode()
    outcome = ingest(bench, gzip.compress(data) if name.endswith(".gz") else data, name)
    assert told(bench, outcome) == [(36, rule, reason)]
    (row,) = bench.rows(outcome.quarantine)
    assert row["headwater_source"] == str(bench.project / name)
    assert row["headwater_text"] == (None if text is None else text.replace("\n", newline))
    if text is None:
        assert [row["id"], row["day"], row["name"]] == record.split(",")
    assert (outcome.rows_in, outcome.rows_out, outcome.rows_quarantined) == (62, 61, 1)
    assert outcome.inputs[0].quarantined == 1


def test_bytes_that_are_no_text_are_kept_in_a_form_that_is(bench: Bench) -> None:
    outcome = ingest(bench, f"id,day,name\n{GOOD}".encode() + b"2,,caf\xe9\n" + GOOD.encode())
    assert told(bench, outcome) == [(32, "encoding", "not UTF-8")]
    assert bench.rows(outcome.quarantine)[0]["headwater_text"] == r"2,,caf\xe9"


def test_missing_values_are_not_rejected_and_stay_as_they_were_written(bench: Bench) -> None:
    outcome = ingest(bench, f"id,day,name\n{GOOD}NA,NA,NA\nzz,NA,x\n,,\n", nulls=["NA"])
    assert told(bench, outcome) == [(33, "type", "column `id`: 'zz' is no integer")]
    assert bench.rows(outcome.quarantine)[0]["day"] == "NA"
    assert bench.rows(outcome.output)[30:] == [dict.fromkeys(COLUMNS)] * 2


def test_columns_stand_as_they_were_declared_whatever_the_file_has(bench: Bench) -> None:
    outcome = ingest(bench, "name,id,day\nx,1,2013-01-02\ny,zz,\n")
    (row,) = bench.rows(outcome.quarantine)
    assert list(row)[:3] == ["id", "day", "name"]
    assert (row["id"], row["name"]) == ("zz", "y")
    assert bench.rows(outcome.output) == [{"id": 1, "day": date(2013, 1, 2), "name": "x"}]


def test_a_column_in_which_nothing_fits_is_not_the_rows_fault(bench: Bench) -> None:
    path = bench.write("in.csv", "id,day,name\n1,,x\n2,03/04/2013,y\n3,04/04/2013,z\n")
    error = walk(bench).error("raw")
    assert (error.code, error.where) == ("wrong_type", f"{path}:3")
    assert error.message == (
        "column `day`: none of its values is date such as 2013-12-31; the first is '03/04/2013'"
    )
    assert "format: '%d/%m/%Y'" in error.hint


def test_a_quote_that_is_never_closed_is_no_matter_of_one_row(bench: Bench) -> None:
    path = bench.write("in.csv", f'id,day,name\n{GOOD}2,,"open\n{GOOD}')
    error = walk(bench).error("raw")
    assert (error.code, error.where) == ("bad_row", f"{path}:32")


def test_types_that_were_not_declared_reject_nothing(bench: Bench) -> None:
    path = bench.write("in.csv", f"id,day,name\n{GOOD}zz,,x\n")
    source = {"kind": "csv", "path": "in.csv", "sniffed": COLUMNS}
    step = {"id": "raw", "kind": "ingest", "source": "s"}
    error = Walk(bench, {"sources": {"s": source}, "steps": [step]}).error("raw")
    assert (error.code, error.where) == ("bad_row", f"{path}:32")
    assert error.hint == "declare its type: sources.s.columns"


def test_the_limit_of_the_pipeline_holds_where_the_step_has_none(bench: Bench) -> None:
    bench.write("in.csv", f"id,day,name\n{GOOD}zz,,x\nyy,,x\n")
    source = {"kind": "csv", "path": "in.csv", "columns": COLUMNS}
    step = {"id": "raw", "kind": "ingest", "source": "s"}
    for most, fits in ((2, True), (1, False), ("7%", True), ("5%", False)):
        limits = {"max_quarantined": most}
        spec: dict[str, object] = {"sources": {"s": source}, "steps": [step], "limits": limits}
        if fits:
            assert Walk(bench, spec).outcome("raw").rows_quarantined == 2
        else:
            error = Walk(bench, spec).error("raw")
            assert error.code == "too_many_quarantined"
            assert error.message.startswith("2 of 32 rows would be set apart")
    assert Walk(bench, {"sources": {"s": source}, "steps": [step]}).error("raw").code == (
        "too_many_quarantined"
    )


def test_a_column_called_as_one_of_ours_is_refused(bench: Bench) -> None:
    columns = {"id": "integer", "Headwater_Line": "string"}
    bench.write("in.csv", "id,Headwater_Line\n1,x\n")
    assert walk(bench, columns=columns).error("raw").code == "reserved_column"


@pytest.mark.parametrize(
    ("line", "rule", "reason"),
    [
        ('{"id": "zz", "day": null}', "type", "column `id`: 'zz' is no integer"),
        ('{"id": 2.5}', "type", "column `id`: '2.5' is no integer"),
        ('{"id": {"x": 1}}', "type", "column `id`: '{\"x\":1}' is no integer"),
        (
            '{"day": "2013-01-02 10:30"}',
            "type",
            "column `day`: '2013-01-02 10:30' is no date such as 2013-12-31",
        ),
        ("[1]", "json", "not a JSON object"),
        ('{"id": 1', "json", "not JSON"),
        ('{"id": 1} {"id": 2}', "json", "not JSON"),
    ],
)
def test_each_reason_of_json_lines(bench: Bench, line: str, rule: str, reason: str) -> None:
    good = '{"id": 1, "day": "2013-01-02", "name": "x"}\n' * 20
    outcome = ingest(bench, f"{good}\n\n{line}\n{good}", "in.jsonl")
    ((number, broken, why),) = told(bench, outcome)
    assert (number, broken) == (23, rule)
    assert str(why).startswith(reason)
    assert (outcome.rows_in, outcome.rows_out) == (41, 40)


def test_a_json_line_of_broken_bytes(bench: Bench) -> None:
    good = b'{"id": 1, "day": "2013-01-02", "name": "x"}\n' * 20
    outcome = ingest(bench, good + b'{"name": "\xe9"}\n' + good, "in.jsonl")
    assert told(bench, outcome) == [(21, "encoding", "not UTF-8")]


# What follows makes whole files, with dirt of every kind anywhere in them.

texts = st.text(alphabet="ab é,\"'\n\r;", max_size=5)
days = st.dates(date(1000, 1, 1), date(2999, 12, 31)).map(str)
ids = st.integers(-(2**63), 2**63 - 1).map(str)
wrong_ids = st.sampled_from(["zz", "1.5", "9" * 20, "1 2", "0y1", "--1"])
wrong_days = st.sampled_from(["2013-13-01", "2013-01-02 10:00", "03/04/2013", "1-2-3", "x"])
fields = st.tuples(
    st.one_of(ids, ids, wrong_ids, st.just("")),
    st.one_of(days, days, wrong_days, st.just("NA")),
    texts,
).map(list)
records: st.SearchStrategy[list[str]] = st.one_of(
    fields,
    fields,
    fields.map(lambda one: one[:2]),
    fields.map(lambda one: [*one, "more"]),
    st.just([]),
)


def written(record: Sequence[str], newline: str) -> str:
    return ",".join(field_of(text) for text in record) + newline


def field_of(text: str) -> str:
    if any(char in text for char in '",\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def fits(record: Sequence[str]) -> bool:
    """What a plain reading says of a record."""
    if len(record) != len(COLUMNS):
        return False
    number, day, _ = record
    if number and not (re.fullmatch("-?[0-9]+", number) and -(2**63) <= int(number) < 2**63):
        return False
    return day in ("", "NA") or is_day(day)


def is_day(text: str) -> bool:
    try:
        return str(date.fromisoformat(text)) == text
    except ValueError:
        return False


def value(column: str, text: str) -> object:
    if text in ("", "NA"):
        return None
    match COLUMNS[column]:
        case "integer":
            return int(text)
        case "date":
            return date.fromisoformat(text)
    return text


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(records, max_size=25), newline=st.sampled_from(["\n", "\r\n"]))
def test_a_csv_file_with_dirt_adds_up(rows: list[list[str]], newline: str) -> None:
    first = ["1", "2013-01-02", "so that no column is wholly wrong"]
    content = "id,day,name" + newline
    good: list[Row] = []
    rejected: list[int] = []
    for record in [first, *rows]:
        line = len(re.findall("\r\n|\r|\n", content)) + 1
        content += written(record, newline)
        if record and fits(record):
            pairs = zip(COLUMNS, record, strict=True)
            good.append({name: value(name, text) for name, text in pairs})
        elif record:
            rejected.append(line)
    with bench_of_its_own() as bench:
        outcome = ingest(bench, content, nulls=["NA"])
        assert [line for line, _, _ in told(bench, outcome)] == rejected
        assert bench.rows(outcome.output) == good
        assert outcome.rows_in == len(good) + len(rejected)


JSON_COLUMNS = {**COLUMNS, "n": "number", "b": "boolean"}
wholes = st.integers(-(2**53), 2**53)
odd = st.sampled_from([[1], {"x": 1.5}, "zz", "1.5x", ""])
objects = st.fixed_dictionaries(
    {},
    optional={
        "id": st.one_of(wholes, st.sampled_from([2.5, 2.0, True, None, "12", "1.5"]), odd),
        "day": st.one_of(days, st.sampled_from(["2013-01-02 10:00", "3/4/2013", 7, None]), odd),
        "name": st.one_of(texts, wholes, st.booleans(), st.none()),
        "n": st.one_of(wholes, st.floats(-1e6, 1e6), st.sampled_from([False, None, "1.5"]), odd),
        "b": st.one_of(st.booleans(), wholes, st.sampled_from([0.0, 1.5, None]), odd),
    },
)


def from_json(column: str, found: object) -> object:
    """What a plain reading makes of a value; `ValueError` where it does not fit."""
    if found is None:
        return None
    if column == "name":
        return found if isinstance(found, str) else json.dumps(found)
    if isinstance(found, list | dict):
        raise ValueError(column)
    match JSON_COLUMNS[column]:
        case "integer":
            number = float(found) if isinstance(found, str) else found
            assert isinstance(number, int | float)
            if number != int(number):
                raise ValueError(column)
            return int(number)
        case "number":
            return float(str(int(found)) if isinstance(found, bool) else str(found))
        case "boolean" if not isinstance(found, str):
            return bool(found)
        case "date" if isinstance(found, str) and is_day(found):
            return date.fromisoformat(found)
    raise ValueError(column)


@settings(max_examples=40, deadline=None)
@given(lines=st.lists(st.one_of(objects, objects, st.just([1]), st.none()), max_size=20))
def test_a_json_file_with_dirt_adds_up(lines: list[dict[str, object] | list[int] | None]) -> None:
    first: dict[str, object] = {"id": 1, "day": "2013-01-02", "name": "x", "n": 1.5, "b": True}
    good: list[Row] = []
    rejected: list[int] = []
    for number, one in enumerate([first, *lines], start=1):
        try:
            if isinstance(one, list):
                raise ValueError("no object")
            if one is not None:
                good.append({name: from_json(name, one.get(name)) for name in JSON_COLUMNS})
        except ValueError:
            rejected.append(number)
    content = "".join(f"{'' if one is None else json.dumps(one)}\n" for one in [first, *lines])
    with bench_of_its_own() as bench:
        outcome = ingest(bench, content, "in.jsonl", columns=JSON_COLUMNS)
        assert [line for line, _, _ in told(bench, outcome)] == rejected
        assert bench.rows(outcome.output) == good
        assert outcome.rows_in == len(good) + len(rejected)


@contextmanager
def bench_of_its_own() -> Iterator[Bench]:
    with TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        yield bench
        bench.engines.close()
