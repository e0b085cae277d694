"""JSON and TOML say the same as YAML, with lines."""

import json

import pytest

from adapters.pipelinefile.document import Unreadable, with_step_ids
from adapters.pipelinefile.jsonfile import read_json
from adapters.pipelinefile.tomlfile import read_toml


def test_json_with_lines() -> None:
    value = {"pipeline": "p", "steps": [{"id": "a", "rules": [{"x": 'q"{'}, 1.5, None, True]}]}
    document = with_step_ids(read_json(json.dumps(value, indent=1)))
    assert document.value == value
    assert document.lines["pipeline"] == 2
    assert document.lines["steps.a.rules[2]"] == 11


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "the file is empty"),
        ('{"a": 1,\n "a": 2}', 2, "key `a` is there twice (first on line 1)"),
        ('{"a": 1,\n}', 2, "not JSON"),
        ('{"a":\n NaN}', 2, "NaN is no number of JSON"),
        ('{"a": "\\ud800"}', 1, "half a character"),
        ('{"a":\n 99999999999999999999}', 2, "does not fit into 64 bits"),
        ("[\n" * 100_000, 65, "more than 64 levels"),
    ],
)
def test_json_that_is_refused(text: str, line: int, message: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_json(text)
    assert message in caught.value.message
    assert caught.value.mistakes[0].line == line


def test_toml_with_lines() -> None:
    document = with_step_ids(
        read_toml(
            'pipeline = "p"\n'
            "[sources.flights]\n"
            'kind = "csv"\n'
            "[[steps]]\n"
            'id = "raw"\n'
            "[[steps]]\n"
            'id = "flown"\n'
            "since = 2013-01-01\n"
            "[[steps.rules]]\n"
            "drop_nulls = ['a']\n"
        )
    )
    assert document.value == {
        "pipeline": "p",
        "sources": {"flights": {"kind": "csv"}},
        "steps": [
            {"id": "raw"},
            {"id": "flown", "since": "2013-01-01", "rules": [{"drop_nulls": ["a"]}]},
        ],
    }
    assert document.lines["sources.flights.kind"] == 3
    assert document.lines["steps.flown.id"] == 7
    assert document.lines["steps.flown.rules[0].drop_nulls"] == 10


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "the file is empty"),
        ("a = 1\nb = \n", 2, "not TOML: Invalid value"),
        ("a = 1\na = 2\n", 2, "not TOML: Cannot overwrite a value"),
        ("a = inf\n", 1, "no number that a pipeline file can hold"),
        ("a = " + "[" * 80 + "]" * 80, 1, "more than 64 levels"),
        ("a = " + "[" * 50_000, 1, "not TOML"),
    ],
)
def test_toml_that_is_refused(text: str, line: int, message: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_toml(text)
    assert message in caught.value.message
    assert caught.value.mistakes[0].line == line
