"""Numbers, sizes, times and states in words that fit a line."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from runtime.cli.console import Style

STATUS_STYLES: Mapping[str, Style] = {
    "completed": "green",
    "succeeded": "green",
    "reused": "green",
    "unchanged": "green",
    "active": "green",
    "passed": "green",
    "running": "cyan",
    "scheduled": "cyan",
    "cancelling": "yellow",
    "cancelled": "yellow",
    "paused": "yellow",
    "warned": "yellow",
    "skipped": "dim",
    "waiting": "dim",
    "retired": "dim",
    "failed": "red",
}

STATUS_MARKS: Mapping[str, str] = {
    "completed": "✓",
    "succeeded": "✓",
    "reused": "↺",
    "unchanged": "=",
    "running": "▸",
    "scheduled": "·",
    "waiting": "·",
    "failed": "✗",
    "skipped": "–",
    "cancelled": "■",
}

_COLOURS = re.compile(r"(\x1b\[[0-9;]*m)")
_SIZES = ("B", "kB", "MB", "GB", "TB")
_step = 1000.0
_minute, _hour, _day = 60, 3600, 86400
_small_seconds = 10
_percent_min = 0.01
_large_percent = 10


def count(value: int | None) -> str:
    """`336,776`; nothing where it was not counted."""
    return "" if value is None else f"{value:,}"


def size(value: int | None) -> str:
    """`1.2 MB`."""
    if value is None:
        return ""
    amount = float(value)
    for unit in _SIZES:
        if amount < _step or unit == _SIZES[-1]:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= _step
    return ""


def share(value: float) -> str:
    """`0 %`, `0.14 %`, `12 %`; a small one never as nothing, and almost all never as all."""
    percent = value * 100
    if percent in (0.0, 100.0):
        return f"{percent:.0f} %"
    if percent < _percent_min:
        return f"< {_percent_min} %"
    shown = f"{percent:.1f}" if percent >= _large_percent else f"{percent:.2f}"
    return f"{shown} %" if shown != "100.0" else "> 99.9 %"


def rate(value: float) -> str:
    """`950`, `12.3 k`, `1.2 M`."""
    for unit in ("", " k", " M"):
        if value < _step:
            return f"{value:.0f}" if not unit else f"{value:.1f}{unit}"
        value /= _step
    return f"{value:.1f} G"


def seconds(value: float | None) -> str:
    """`12 ms`, `1.24 s`, `3 min 5 s`, `2 h 10 min`."""
    if value is None:
        return ""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < _small_seconds:
        return f"{value:.2f} s"
    if value < _minute:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < _hour:
        return f"{whole // _minute} min {whole % _minute} s"
    return f"{whole // _hour} h {whole % _hour // _minute} min"


def moment(value: str | None) -> str:
    """`2026-11-23 11:15:29`, in the time zone of who reads it."""
    if not value:
        return ""
    return datetime.fromisoformat(value).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def elapsed(since: str | None, now: datetime | None = None) -> float | None:
    """Seconds since a moment."""
    if not since:
        return None
    then = datetime.fromisoformat(since)
    return max(0.0, ((now or datetime.now(UTC)) - then).total_seconds())


def plural(number: int, noun: str) -> str:
    """`1 run`, `2 runs`, `2 queries`."""
    if number == 1:
        return f"1 {noun}"
    many = f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in "aeiou" else f"{noun}s"
    return f"{number:,} {many}"


def scalar(value: Any) -> str:
    """A value of unknown kind in a cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e15 else repr(value)
    return str(value)


def width(text: str) -> int:
    """Columns that `text` takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(_cells(character) for character in text)


def clip(text: str, columns: int) -> str:
    """`text` in at most so many columns, with … where something is left out."""
    if width(text) <= columns:
        return text
    kept, used = "", 0
    for character in text:
        used += _cells(character)
        if used > columns - 1:
            break
        kept += character
    return kept + "…"


def cut(line: str, columns: int) -> str:
    """A line with colours in at most so many columns; the colours end where it is cut."""
    if width(_COLOURS.sub("", line)) <= columns:
        return line
    kept, used = "", 0
    for piece in _COLOURS.split(line):
        if _COLOURS.fullmatch(piece):
            kept += piece
            continue
        part = clip(piece, max(1, columns - used))
        kept, used = kept + part, used + width(part)
        if part != piece:
            break
    return kept + "\x1b[0m"


def printable(text: str) -> str:
    """`text` in one line, with nothing in it that moves a cursor or changes a colour."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escape(one) for one in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _cells(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Cf", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
