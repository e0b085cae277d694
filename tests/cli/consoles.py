"""Consoles that write into memory, with or without a terminal's manners."""

import io
import os

import pytest

from runtime.cli.console import Console


class Terminal(io.StringIO):
    """Text that says it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def plain_console(*, quiet: bool = False) -> Console:
    """Neither stream is a terminal."""
    return Console(quiet=quiet, out=io.StringIO(), err=io.StringIO())


def terminal_console(monkeypatch: pytest.MonkeyPatch, columns: int, *, lines: int = 24) -> Console:
    """Both streams are a terminal of this size."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", str(lines))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert os.environ["COLUMNS"]
    return Console(out=Terminal(), err=Terminal())


def said(console: Console) -> str:
    """What has gone to stderr."""
    assert isinstance(console.err, io.StringIO)
    return console.err.getvalue()


def printed(console: Console) -> str:
    """What has gone to stdout."""
    assert isinstance(console.out, io.StringIO)
    return console.out.getvalue()
