"""YAML as YAML 1.2 reads it, with lines; what is dangerous or ambiguous is refused."""

import pytest

from adapters.pipelinefile.document import Unreadable, with_step_ids
from adapters.pipelinefile.yamlfile import read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"),
        ("on", "on"),
        ("yes", "yes"),
        ("12:30", "12:30"),
        ("2013-01-01", "2013-01-01"),
        ("0x1F", 31),
        ("0o17", 15),
        ("017", 17),
        ("1_000", "1_000"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-3", -3),
        ("~", None),
        ("null", None),
        ("", None),
        ("true", True),
        ("FALSE", False),
        ("'3'", "3"),
        ('"true"', "true"),
        ("=", "="),
        ("0b1", "0b1"),
        ("[-1, +1]", [-1, 1]),
    ],
)
def test_scalars_follow_the_core_schema(text: str, value: object) -> None:
    assert read_yaml(f"key: {text}\n").value == {"key": value}


def test_keys_are_text() -> None:
    assert read_yaml("null: 1\nNO: 2\n3: 4\ntrue: 5\n").value == {
        "null": 1, "NO": 2, "3": 4, "true": 5,
    }  # fmt: skip


def test_each_path_keeps_its_line() -> None:
    document = with_step_ids(
        read_yaml(
            "pipeline: flights\n"
            "steps:\n"
            "  - {id: raw, kind: ingest}\n"
            "  - id: flown\n"
            "    rules:\n"
            "      - {drop_nulls: [a]}\n"
            "      - deduplicate: [a]\n"
            "        keep: last\n"
            "    sql: |\n"
            "      select 1\n"
        )
    )
    assert document.lines["pipeline"] == 1
    assert document.lines["steps[0].kind"] == 3
    assert document.lines["steps.raw.kind"] == 3
    assert document.lines["steps.flown"] == 4
    assert document.lines["steps.flown.rules[1].keep"] == 8
    assert document.lines["steps.flown.sql"] == 9
    assert document.texts["steps.flown.sql"] == 10


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "the file is empty"),
        ("# only words\n", 1, "the file is empty"),
        ("a: 1\nb: 2\na: 3\n", 3, "key `a` is there twice (first on line 1)"),
        ("a: {x: 1, x: 2}\n", 1, "key `x` is there twice (first on line 1)"),
        ("a:\n  b: !!python/object:os.system x\n", 2, "the tag `!!python/object:os.system`"),
        ("a: !mine [1]\n", 1, "the tag `!mine` is not allowed"),
        ("a: !!str 3\n", 1, "the tag `!!str` is not allowed"),
        ("a: 1\n---\nb: 2\n", 2, "a second document begins here"),
        ("a: *x\n", 1, "names nothing"),
        ("a: &x [*x]\n", 1, "`*x` names nothing that was anchored before"),
        ("? [1, 2]\n: 3\n", 1, "a key must be text"),
        ("b: &k x\n? *k\n: 3\n", 2, "a key must be text"),
        ("base: &b {x: 1}\nc:\n  <<: *b\n", 3, "`<<` merges nothing here"),
        ("a: .inf\n", 1, "is no number that a pipeline file can hold"),
        ("a: 1e999\n", 1, "beyond what a number can hold"),
        ("a: 18446744073709551616\n", 1, "does not fit into 64 bits"),
        ("a: " + "9" * 5000 + "\n", 1, "does not fit into 64 bits"),
        ("ok: 1\na: b: c\n", 2, "not YAML"),
        ("a: [1\n", 2, "not YAML"),
        ("a: \x07\n", 1, "not YAML: a character that cannot be there"),
        ('a: "\\ud800"\n', 1, "not YAML"),
        ("[" * 100 + "]" * 100, 1, "more than 64 levels"),
        ("[" * 100_000, 1, "more than 64 levels"),
    ],
)
def test_what_is_refused_names_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_yaml(text)
    assert message in caught.value.mistakes[0].message
    assert caught.value.mistakes[0].line == line


def test_several_mistakes_are_told_at_once() -> None:
    with pytest.raises(Unreadable) as caught:
        read_yaml("a: !x 1\nb: 2\nb: 3\n")
    assert [mistake.line for mistake in caught.value.mistakes] == [1, 3]


def test_an_alias_is_the_same_value_again() -> None:
    assert read_yaml("a: &r {attempts: 3}\nb: *r\n").value == {
        "a": {"attempts": 3}, "b": {"attempts": 3},
    }  # fmt: skip


def test_an_alias_bomb_ends_at_the_limit() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 12):
        inner = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} [{inner}]")
    with pytest.raises(Unreadable, match="more than 500000 values"):
        read_yaml("\n".join(lines))


def test_aliases_cannot_nest_past_the_limit() -> None:
    lines = ["a0: &a0 [x]"]
    lines += [f"a{level}: &a{level} [*a{level - 1}]" for level in range(1, 200)]
    with pytest.raises(Unreadable, match="more than 64 levels"):
        read_yaml("\n".join(lines))
