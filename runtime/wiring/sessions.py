"""Ways to one data directory: over NATS to whoever holds it, or straight on its files."""

import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from getpass import getuser
from pathlib import Path
from typing import Any

import anyio
import msgspec
from anyio import to_thread

from adapters import telemetry
from adapters.eventstore.sqlite import SqliteEventStore
from adapters.jetstream.client import NatsClient
from adapters.jetstream.connection import connect
from adapters.jetstream.topology import Topology
from commands.dispatcher import DirectSender
from commands.ports import CommandContext
from domain.errors import NotFound, Unavailable
from projections.ports import EventFeed
from runtime.datadir import DataDir, Held
from runtime.session import Document, Session
from runtime.settings import Settings
from runtime.wiring.readside import ReadSide, open_tables, read_side
from runtime.wiring.writeside import LocalBinder, open_write_side


def principal() -> str:
    """Who asks from this terminal, such as `cli:ada@host`."""
    try:
        name = getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        name = str(os.getuid())
    return f"cli:{name}@{socket.gethostname()}"


class ClientSession(Session):
    """Over NATS."""

    def __init__(self, client: NatsClient, settings: Settings) -> None:
        self._client = client
        self._topology = Topology(prefix=settings.prefix)
        self._seconds = settings.request_timeout.seconds

    async def command(self, command: str, payload: Mapping[str, Any]) -> Document:
        with telemetry.client(self._topology.command_subject(command)) as span:
            context = CommandContext(principal=principal(), traceparent=span.traceparent)
            return {**await self._client.send(command, payload, context)}

    async def query(self, name: str, arguments: Mapping[str, Any]) -> Document:
        return await self._client.query(name, arguments)

    async def request(self, subject: str, payload: bytes) -> bytes:
        return await self._client.request(subject, payload, None, self._seconds)

    async def services(self) -> Document:
        items = [{**item} for item in await self._client.services()]
        return {"items": items, "next": None, "position": 0}

    async def verify(self, *, repair: bool) -> Document:
        return await self._client.query("views.verify", {"repair": repair}, _LONG_SECONDS)

    async def replay(self, view: str) -> Document:
        return await self._client.query("views.replay", {"view": view}, _LONG_SECONDS)


_LONG_SECONDS = 3600.0
"""For answers that take as long as the history is."""


class OfflineSession(Session):
    """Straight on the files; this process holds the data directory."""

    def __init__(self, sender: DirectSender, views: ReadSide) -> None:
        self._sender = sender
        self._views = views

    async def command(self, command: str, payload: Mapping[str, Any]) -> Document:
        context = CommandContext(principal=principal())
        reply = {**await self._sender.send(command, payload, context)}
        await self._views.start()
        return reply

    async def query(self, name: str, arguments: Mapping[str, Any]) -> Document:
        return await self._views.queries.answer(name, {**arguments})

    async def request(self, subject: str, payload: bytes) -> bytes:
        raise Unavailable(
            f"nobody listens to {subject}: no service is running", hint="start one: headwater up"
        )

    async def services(self) -> Document:
        return {"items": [], "next": None, "position": 0}

    async def verify(self, *, repair: bool) -> Document:
        return await self._views.verify(repair=repair)

    async def replay(self, view: str) -> Document:
        return await self._views.replay(view)


class _Silence(EventFeed):
    """No bus, no news: the views are caught up from the store alone."""

    async def next(self, limit: int, seconds: float) -> tuple[()]:
        await anyio.sleep(seconds)
        return ()


@asynccontextmanager
async def open_offline(settings: Settings, held: Held) -> AsyncIterator[Session]:
    """Straight on the files of a data directory that this process holds, views caught up."""
    directory = held.directory
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(SqliteEventStore.open(directory.events))
        tables = await stack.enter_async_context(open_tables(directory.views))
        views = read_side(store, tables, lambda _: _Silence(), {})
        await views.start()
        binder = LocalBinder((*settings.roots, str(Path.cwd())))
        write_side = await stack.enter_async_context(open_write_side(store, binder, settings))
        yield OfflineSession(DirectSender(write_side.dispatcher), views)


@asynccontextmanager
async def connect_client(settings: Settings, datadir: DataDir) -> AsyncIterator[Session]:
    """Over NATS to the service that holds the data directory, or to `settings.nats`."""
    url, token = settings.nats, settings.nats_token
    if not url:
        url, token = await to_thread.run_sync(_known, datadir)
    async with connect(url, token or None, name="headwater client") as connection:
        yield ClientSession(NatsClient(connection, Topology(prefix=settings.prefix)), settings)


def _known(datadir: DataDir) -> tuple[str, str]:
    file = datadir.nats / "connection.json"
    try:
        known = msgspec.json.decode(file.read_bytes(), type=dict[str, str])
        return known["url"], known["token"]
    except (OSError, KeyError, msgspec.MsgspecError) as error:
        raise NotFound(f"{file} does not say where the service is: {error}") from error
