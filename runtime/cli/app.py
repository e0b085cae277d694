"""From the words of a command line to an exit code."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from runtime.cli.catalog import ENTRIES, Entry
from runtime.cli.console import Console
from runtime.cli.help import command_help, overview

if TYPE_CHECKING:  # the overview is printed without importing what commands need
    from runtime.cli.parsing import Command

_HELP = ("--help", "-h", "help")


def main() -> NoReturn:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


def run(words: Sequence[str]) -> int:
    """Do what `words` say; returns the exit code. Nothing is raised, whatever happens."""
    console = Console(colour="--no-color" not in words)
    if not words or words[0] in _HELP:
        return _help(console, words[1:])
    from runtime.cli.guard import Guard

    guard = Guard(console, words)
    with guard:
        guard.code = _run(console, words)
    return guard.code


def _help(console: Console, words: Sequence[str]) -> int:
    entry = ENTRIES.get(words[0]) if words else None
    if entry is None:
        console.print(overview(console))
    else:
        console.print(command_help(console, entry, _load(entry)))
    return 0


def _run(console: Console, words: Sequence[str]) -> int:
    from runtime.cli.exits import Usage
    from runtime.cli.parsing import did_you_mean, parse

    name, rest = words[0], words[1:]
    if name == "--version":
        name = "version"
    entry = ENTRIES.get(name)
    if entry is None:
        hint = did_you_mean(name, ENTRIES) or "`headwater --help` lists all commands"
        raise Usage(f"there is no command {name!r}", hint=hint)
    kind = _load(entry)
    until = rest.index("--") if "--" in rest else len(rest)
    if any(word in _HELP[:2] for word in rest[:until]):
        console.print(command_help(console, entry, kind))
        return 0
    try:
        command = parse(kind, rest)
    except Usage as error:
        hint = error.hint or f"`headwater {name} --help` tells more"
        raise Usage(f"{name}: {error.message}", hint=hint) from None
    console.quiet = command.quiet
    import anyio

    from runtime.tracing import tracing

    with tracing(name):
        return int(anyio.run(command.execute, console))


def _load(entry: Entry) -> "type[Command]":
    from importlib import import_module

    module, _, name = entry.place.partition(":")
    kind: type[Command] = getattr(import_module(f"runtime.cli.{module}"), name)
    return kind
