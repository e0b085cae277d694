"""Tables that fit the terminal: plain columns, quiet heads, no boxes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from runtime.cli.console import Console, Style
from runtime.cli.words import STATUS_STYLES, clip, cut, printable, width

_GAP = 2

_comfortable = 14
"""A column that gives way keeps so many cells, as long as there are columns to spare."""

_least = 6
"""And so many in any case."""


class Column(Struct, frozen=True, kw_only=True):
    """A column of a table, made from an item."""

    title: str
    text: Callable[[Mapping[str, Any]], str]
    right: bool = False
    gives_way: bool = False
    """May be cut where the terminal is narrow."""
    spare: int = 0
    """Left out where the terminal is too narrow for all: the highest number first, 0 never."""
    is_status: bool = False
    style: Style | None = None


def key(name: str) -> Callable[[Mapping[str, Any]], str]:
    """The text under a key; nothing where there is none."""

    def text(item: Mapping[str, Any]) -> str:
        value = item.get(name)
        return "" if value is None else str(value)

    return text


def render(
    console: Console,
    columns: Sequence[Column],
    items: Sequence[Mapping[str, Any]],
    *,
    err: bool = False,
) -> list[str]:
    """The lines of a table for stdout, or stderr. Only a terminal's width cuts anything."""
    room = console.width if (console.err if err else console.out).isatty() else None
    shown = list(columns)
    cells = [[printable(column.text(item)) for column in shown] for item in items]
    widths = _widths(shown, cells)
    while room is not None and not _narrow(widths, shown, room):
        spare = max(range(len(shown)), key=lambda place: shown[place].spare)
        if not shown[spare].spare:
            break
        del shown[spare]
        cells = [row[:spare] + row[spare + 1 :] for row in cells]
        widths = _widths(shown, cells)
    painter = _Painter(console, shown, widths, err)
    lines = [painter.head(), *(painter.line(row) for row in cells)]
    return lines if room is None else [cut(line, room) for line in lines]


def _widths(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> list[int]:
    return [
        max([width(column.title), *(width(row[place]) for row in cells)])
        for place, column in enumerate(columns)
    ]


def _narrow(widths: list[int], columns: Sequence[Column], room: int) -> bool:
    """Take from the widest column that gives way, until the table fits; False where it cannot."""
    least = _comfortable if any(column.spare for column in columns) else _least
    while sum(widths) + _GAP * (len(widths) - 1) > room:
        able = [
            place
            for place, column in enumerate(columns)
            if column.gives_way and widths[place] > least
        ]
        if not able:
            return False
        widths[max(able, key=lambda place: widths[place])] -= 1
    return True


class _Painter:
    """Draws one line after the other."""

    def __init__(
        self, console: Console, columns: Sequence[Column], widths: Sequence[int], err: bool
    ) -> None:
        self._console = console
        self._columns = columns
        self._widths = widths
        self._err = err

    def head(self) -> str:
        """The titles."""
        titles = [column.title.upper() for column in self._columns]
        return self._join(titles, [("dim",)] * len(titles))

    def line(self, row: Sequence[str]) -> str:
        """The cells of an item."""
        pairs = zip(self._columns, row, strict=True)
        return self._join(row, [_styles(column, cell) for column, cell in pairs])

    def _join(self, row: Sequence[str], styles: Sequence[tuple[Style, ...]]) -> str:
        parts = []
        for place, (cell, style) in enumerate(zip(row, styles, strict=True)):
            text = clip(cell, self._widths[place])
            padding = " " * (self._widths[place] - width(text))
            styled = self._console.styled(text, *style, err=self._err)
            parts.append(padding + styled if self._columns[place].right else styled + padding)
        return (" " * _GAP).join(parts).rstrip()


def _styles(column: Column, cell: str) -> tuple[Style, ...]:
    if column.is_status:
        return (STATUS_STYLES[cell],) if cell in STATUS_STYLES else ()
    return (column.style,) if column.style else ()
