"""Tables that fit the terminal: plain columns, quiet heads, no boxes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from runtime.cli.console import Console, Style
from runtime.cli.words import STATUS_STYLES, clip, printable, width

_GAP = 2
_least = 8
"""A column that gives way keeps so many cells."""


class Column(Struct, frozen=True, kw_only=True):
    """A column of a table, made from an item."""

    title: str
    text: Callable[[Mapping[str, Any]], str]
    right: bool = False
    gives_way: bool = False
    """May be cut where the terminal is narrow."""
    is_status: bool = False
    style: Style | None = None


def key(name: str) -> Callable[[Mapping[str, Any]], str]:
    """The text under a key; nothing where there is none."""

    def text(item: Mapping[str, Any]) -> str:
        value = item.get(name)
        return "" if value is None else str(value)

    return text


def render(
    console: Console, columns: Sequence[Column], items: Sequence[Mapping[str, Any]]
) -> list[str]:
    """The lines of a table. Only a terminal's width cuts anything."""
    cells = [[printable(column.text(item)) for column in columns] for item in items]
    widths = [
        max([width(column.title), *(width(row[place]) for row in cells)])
        for place, column in enumerate(columns)
    ]
    if console.out.isatty():
        _narrow(widths, columns, console.width)
    head = [column.title.upper() for column in columns]
    lines = [_line(console, columns, widths, head, heading=True)]
    lines += [_line(console, columns, widths, row) for row in cells]
    return lines


def _narrow(widths: list[int], columns: Sequence[Column], room: int) -> None:
    """Take from the widest column that gives way, until the table fits or nothing gives."""
    while sum(widths) + _GAP * (len(widths) - 1) > room:
        able = [
            place
            for place, column in enumerate(columns)
            if column.gives_way and widths[place] > _least
        ]
        if not able:
            return
        widths[max(able, key=lambda place: widths[place])] -= 1


def _line(
    console: Console,
    columns: Sequence[Column],
    widths: Sequence[int],
    row: Sequence[str],
    *,
    heading: bool = False,
) -> str:
    parts = []
    for column, columns_wide, cell in zip(columns, widths, row, strict=True):
        text = clip(cell, columns_wide)
        padding = " " * (columns_wide - width(text))
        styled = console.styled(text, *_styles(column, cell, heading=heading))
        parts.append(padding + styled if column.right else styled + padding)
    return (" " * _GAP).join(parts).rstrip()


def _styles(column: Column, cell: str, *, heading: bool) -> tuple[Style, ...]:
    if heading:
        return ("dim",)
    if column.is_status:
        return (STATUS_STYLES[cell],) if cell in STATUS_STYLES else ()
    return (column.style,) if column.style else ()
