"""What `--help` prints, and how little it needs for that."""

import subprocess
import sys
from importlib import import_module

import pytest

from runtime.cli.catalog import ENTRIES
from runtime.cli.help import command_help, overview
from runtime.cli.parsing import Command
from tests.cli.consoles import plain_console
from tests.cli.golden import assert_golden


def _kind(name: str) -> type[Command]:
    module, _, kind = ENTRIES[name].place.partition(":")
    found: type[Command] = getattr(import_module(f"runtime.cli.{module}"), kind)
    return found


@pytest.fixture(autouse=True)
def _width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_the_overview() -> None:
    assert_golden("help", overview(plain_console()))


@pytest.mark.parametrize("name", list(ENTRIES))
def test_the_help_of_each_command(name: str) -> None:
    assert_golden(f"help-{name}", command_help(plain_console(), ENTRIES[name], _kind(name)))


@pytest.mark.parametrize("name", list(ENTRIES))
def test_each_command_is_summed_up_and_has_examples(name: str) -> None:
    kind = _kind(name)
    first = (kind.__doc__ or "").partition("\n")[0]
    assert first.startswith(ENTRIES[name].summary)
    assert kind.examples


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"], []])
def test_help_needs_nothing_but_the_catalogue(words: list[str]) -> None:
    """Start-up is what it imports: so `headwater --help` answers at once."""
    code = f"import sys; from runtime.cli.app import run; run({words!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(done.stdout.splitlines()[-1].split())
    heavy = {"asyncio", "anyio", "msgspec", "duckdb", "nats", "pyarrow", "sqlglot", "sqlite3"}
    assert not imported & heavy


def test_help_of_a_command_needs_no_technology() -> None:
    code = "import sys; from runtime.cli.app import run; run(['run', '-h']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(done.stdout.splitlines()[-1].split())
    assert not imported & {"duckdb", "nats", "pyarrow", "sqlglot", "sqlite3", "runtime.wiring"}
