"""Numbers, sizes and times as people read them; tables that fit."""

import pytest

from runtime.cli import words
from runtime.cli.output import print_csv, print_list
from runtime.cli.table import Column, key, render
from tests.cli.consoles import plain_console, printed, said, terminal_console


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0.0, "0 ms"),
        (0.0124, "12 ms"),
        (1.2349, "1.23 s"),
        (12.34, "12.3 s"),
        (59.96, "60.0 s"),
        (185.2, "3 min 5 s"),
        (7800.0, "2 h 10 min"),
    ],
)
def test_seconds(value: float | None, text: str) -> None:
    assert words.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (0, "0 B"), (999, "999 B"), (1234, "1.2 kB"), (5e12, "5.0 TB")]
)
def test_size(value: int | None, text: str) -> None:
    assert words.size(value) == text


@pytest.mark.parametrize(("value", "text"), [(950, "950"), (12345, "12.3 k"), (1.2e6, "1.2 M")])
def test_rate(value: float, text: str) -> None:
    assert words.rate(value) == text


def test_plural() -> None:
    assert words.plural(1, "run") == "1 run"
    assert words.plural(2000, "query") == "2,000 queries"
    assert words.plural(0, "day") == "0 days"


@pytest.mark.parametrize(
    ("text", "columns", "cut"),
    [("short", 5, "short"), ("longer", 5, "long…"), ("日本語", 5, "日本…"), ("é́a", 2, "é́a")],
)
def test_clip_counts_columns_and_not_characters(text: str, columns: int, cut: str) -> None:
    assert words.clip(text, columns) == cut
    assert words.width(words.clip(text, columns)) <= columns


def test_nothing_printed_moves_the_cursor() -> None:
    assert words.printable("a\x1b[2Jb\r\n") == "a\\x1b[2Jb\\r\\n"


COLUMNS = (
    Column(title="name", text=key("name"), gives_way=True),
    Column(title="status", text=key("status"), is_status=True),
    Column(title="rows", text=lambda item: words.count(item.get("rows")), right=True),
)
ITEMS: list[dict[str, object]] = [
    {"name": "a" * 60, "status": "failed", "rows": 1},
    {"name": "日本語", "status": "completed", "rows": 336776},
    {"name": "b", "status": "odd"},
]


def test_a_table_in_a_file_is_not_cut() -> None:
    lines = render(plain_console(), COLUMNS, ITEMS)
    assert "a" * 60 in lines[1]
    assert "\x1b" not in "".join(lines)


def test_a_table_on_a_terminal_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    console = terminal_console(monkeypatch, 40)
    monkeypatch.setenv("NO_COLOR", "1")
    lines = render(terminal_console(monkeypatch, 40), COLUMNS, ITEMS)
    plain = [_uncoloured(line) for line in lines]
    assert all(words.width(line) <= console.width for line in plain)
    assert plain[0].split() == ["NAME", "STATUS", "ROWS"]
    assert plain[1].startswith("aaaa")
    assert "…" in plain[1]
    assert "\x1b[31mfailed\x1b[0m" in lines[1]


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    coloured = terminal_console(monkeypatch, 80)
    assert coloured.styled("x", "red") == "\x1b[31mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    bare = type(coloured)(out=coloured.out, err=coloured.err)
    assert bare.styled("x", "red") == "x"


def _list(form: str) -> tuple[str, str]:
    console = plain_console()
    document = {"items": [{"a": 1, "b": [1, "x"], "c": None}, {"a": True}], "next": "k"}
    print_list(console, form, document, (Column(title="a", text=key("a")),), nothing="none")
    return printed(console), said(console)


def test_a_list_as_a_table_says_when_there_is_more() -> None:
    assert _list("table") == (
        "A\n1\nTrue\n",
        "There are more; ask for them with a higher --limit.\n",
    )


def test_a_list_as_json_is_the_whole_answer() -> None:
    out, err = _list("json")
    assert out.startswith('{\n  "items": [')
    assert '"next": "k"' in out
    assert err == ""


def test_a_list_as_json_lines_is_an_item_a_line() -> None:
    assert _list("jsonl") == ('{"a":1,"b":[1,"x"],"c":null}\n{"a":true}\n', "")


def test_a_list_as_csv_has_every_key() -> None:
    assert _list("csv") == ('a,b,c\n1,"[1,""x""]",\ntrue,,\n', "")


def test_an_empty_csv_still_has_its_head() -> None:
    console = plain_console()
    print_csv(console, [], ["a", "b"])
    assert printed(console) == "a,b\n"


def test_an_empty_table_says_what_to_do() -> None:
    console = plain_console()
    print_list(console, "table", {"items": []}, COLUMNS, nothing="Nothing yet.")
    assert (printed(console), said(console)) == ("", "Nothing yet.\n")


def _uncoloured(line: str) -> str:
    parts = line.split("\x1b[")
    return parts[0] + "".join(part.partition("m")[2] for part in parts[1:])


def test_cut_keeps_colours_and_ends_them() -> None:
    line = "\x1b[31mred\x1b[0m and more"
    assert words.cut(line, 80) == line
    assert words.cut(line, 6) == "\x1b[31mred\x1b[0m a…\x1b[0m"


def test_columns_that_can_be_spared_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = (
        Column(title="name", text=key("name"), gives_way=True),
        Column(title="much", text=key("name"), spare=1),
        Column(title="more", text=key("name"), spare=2),
    )
    items = [{"name": "a" * 18}]
    wide, narrow, tiny = (
        render(terminal_console(monkeypatch, columns_wide), columns, items)[0].split()
        for columns_wide in (80, 44, 40)
    )
    assert [len(one) for one in (wide, narrow, tiny)] == [3, 2, 2]


def test_long_errors_are_wrapped_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    told = "the column that was asked for is not among those of the table"
    console = terminal_console(monkeypatch, 40)
    console.error(told, "ask for another one, of which there are many")
    lines = _uncoloured(said(console)).splitlines()
    assert all(len(line) <= 40 for line in lines)
    assert lines[1].startswith("       ")
    plain = plain_console()
    plain.error(told)
    assert said(plain) == f"Error: {told}\n"
