"""Ingest of JSON lines: every key accounted for, and the line of the one that does not fit."""

import gzip
from collections.abc import Mapping

import pytest

from tests.commands.steps.bench import Bench, Walk

Columns = Mapping[str, object]
AB: Columns = {"a": "integer", "b": "string"}
STEP = {"id": "raw", "kind": "ingest", "source": "s"}


def walk(bench: Bench, path: str, columns: Columns, **more: object) -> Walk:
    source = {"kind": "jsonl", "path": path, "columns": columns, **more}
    return Walk(bench, {"sources": {"s": source}, "steps": [STEP]})


def sniffed(bench: Bench, path: str, columns: Columns) -> Walk:
    source = {"kind": "jsonl", "path": path, "sniffed": columns}
    return Walk(bench, {"sources": {"s": source}, "steps": [STEP]})


def test_of_a_sniffed_file_of_json_the_line_and_the_type_that_was_found_are_told(
    bench: Bench,
) -> None:
    path = bench.write("in.jsonl", '{"a": 1, "b": "x"}\n{"a": 2}\n{"a": "y"}\n')
    error = sniffed(bench, "in.jsonl", AB).error("raw")
    told = "column `a`: 'y' is no integer, which the column was found to be"
    assert (error.message, error.where) == (told, f"{path}:3")
    assert error.hint == "declare its type: sources.s.columns"


@pytest.mark.parametrize("type_", ["integer", "JSON"])
def test_a_key_of_json_that_comes_twice_is_told(bench: Bench, type_: str) -> None:
    line = '{"b": "x:y", "a": "y", "a": 7}'
    path = bench.write("in.jsonl", f'{{"a": 1, "b": ":"}}\n{{"a": 2}}\n{line}\n')
    error = sniffed(bench, "in.jsonl", {**AB, "a": type_}).error("raw")
    assert (error.message, error.where) == (f"key `a` comes twice: {line}", f"{path}:3")


def test_a_key_of_json_that_comes_twice_sets_its_line_apart(bench: Bench) -> None:
    inner = '{"a": 1, "b": "{\\"a\\": 1}"}\n{"a": 2, "c": {"a": 1, "a": 2}, "c": 1}\n'
    path = bench.write("in.jsonl", inner + '{"a": 3, "a": 4}\n')
    error = walk(bench, "in.jsonl", AB, extra_columns="drop").error("raw")
    assert (error.code, error.where) == ("too_many_quarantined", f"{path}:3")
    assert "key `a` comes twice" in error.message


def test_a_column_found_to_be_json_holds_any_value(bench: Bench) -> None:
    path = bench.write("in.jsonl", '{"a": "y"}\n{"a": null}\n{"a": [1]}\n{"a": 1, "b": "x"}\n')
    error = sniffed(bench, "in.jsonl", {"a": "JSON", "b": "integer"}).error("raw")
    assert (error.code, error.where) == ("wrong_type", f"{path}:4")
    assert error.message == (
        "column `b`: none of its values is integer, which the column was found to be; "
        "the first is 'x'"
    )


def test_json_lines(bench: Bench) -> None:
    bench.write("in.jsonl", '{"a": 1, "b": "x", "c": 0.5}\n\n{"b": "y"}\n{"a": 3}\n')
    outcome = walk(bench, "in.jsonl", AB, extra_columns="drop").outcome("raw")
    assert (outcome.rows_in, outcome.rows_out, outcome.ledger) == (3, 3, "balanced")
    assert bench.rows(outcome.output)[1] == {"a": None, "b": "y"}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('{"a": 1}\n\n{"a": "abc", "b": "x"}\n', 3),
        ('{"a": 1, "b": "x"}\n{"a": 2.5, "b": "x"}\n', 2),
        ('{"a": 1, "b": "x"}\n{"a": 2\n', 2),
        ('{"a": 1, "b": "x"}\n[1]\n', 2),
        ('{"a": 1, "b": "x"} {"a": 2}\n', 1),
        ('{"a": 1,\n"b": "x"}\n', 1),
        ('{"a": 1, "b": "x"}\n\n\n{"a": {"x": 1}}\n', 4),
    ],
)
def test_a_json_line_that_cannot_be_read(
    bench: Bench, content: str, line: int, packed: bool
) -> None:
    name = "in.jsonl.gz" if packed else "in.jsonl"
    path = bench.write(name, gzip.compress(content.encode()) if packed else content)
    error = walk(bench, name, AB).error("raw")
    assert (error.code, error.where) == ("too_many_quarantined", f"{path}:{line}")


def test_a_key_that_no_json_line_has_is_missing(bench: Bench) -> None:
    bench.write("in.jsonl", '{"a": 1, "B": "x"}\n')
    assert walk(bench, "in.jsonl", AB).error("raw").code == "missing_column"
    bench.write("in.jsonl", '{"a": 1, "b": null}\n')
    assert walk(bench, "in.jsonl", AB).outcome("raw").rows_out == 1


def test_json_lines_behind_a_byte_order_mark(bench: Bench) -> None:
    bench.write("in.jsonl", b'\xef\xbb\xbf{"a": 1, "b": "x"}\n{"a": 2, "b": "y"}\n')
    outcome = walk(bench, "in.jsonl", AB).outcome("raw")
    assert (outcome.rows_out, outcome.rows_quarantined) == (2, 0)


@pytest.mark.parametrize(
    ("line", "line_is_extra"),
    [
        ('{"a": 1, "b": "x"}', False),
        ('{"a":1,"b":"x"}', False),
        ('{"a": 1, "b": "at 10:30, \\"so\\": said"}', False),
        ('{"a" : 1}', False),
        ('{"a": null, "b":null, "c":null}', False),
        ('{"a": 1, "c": 0}', True),
        ('{"a":1,"c" :0}', True),
        ('{"a": 1, "b": null, "c": ""}', True),
        ('{"a": null, "b": "x", "c": {"a": null}}', True),
    ],
)
def test_a_key_of_json_that_is_not_declared_is_told_with_its_line(
    bench: Bench, line: str, line_is_extra: bool
) -> None:
    good = '{"a": 1, "b": "x"}\n'
    path = bench.write("in.jsonl", f"{good}\n{line}\n{good}")
    if line_is_extra:
        error = walk(bench, "in.jsonl", AB).error("raw")
        assert (error.code, error.where) == ("extra_column", f"{path}:3")
    else:
        assert walk(bench, "in.jsonl", AB).outcome("raw").rows_out == 3
    dropped = walk(bench, "in.jsonl", AB, extra_columns="drop").outcome("raw")
    assert dropped.rows_out == 3
