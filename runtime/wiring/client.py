"""The way to a service: over NATS to whoever holds the data directory.

Every command that looks at a running service pays for what is imported here.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from anyio import to_thread

from adapters import telemetry
from adapters.clock import SystemClock
from adapters.jetstream.client import NatsClient
from adapters.jetstream.connection import connect
from adapters.jetstream.topology import Topology
from commands.ports import CommandContext
from domain.errors import NotFound, TimedOut, Unavailable
from runtime.datadir import DataDir
from runtime.session import Document, Session
from runtime.settings import Settings
from runtime.wiring.principal import principal


class ClientSession(Session):
    """Over NATS."""

    def __init__(self, client: NatsClient, settings: Settings) -> None:
        self._client = client
        self._topology = Topology(prefix=settings.prefix)
        self._seconds = settings.request_timeout.seconds
        self._clock = SystemClock()

    async def command(self, command: str, payload: Mapping[str, Any]) -> Document:
        # With an id of ours it may be sent again where no answer comes.
        payload = {"command_id": str(self._clock.new_id()), **payload}
        with telemetry.client(self._topology.command_subject(command)) as span:
            context = CommandContext(principal=principal(), traceparent=span.traceparent)
            return {**await self._client.send(command, payload, context)}

    async def query(self, name: str, arguments: Mapping[str, Any]) -> Document:
        return await self._client.query(name, arguments)

    async def definition(self, pipeline: str, revision: int) -> Document:
        asked = msgspec.json.encode({"pipeline": pipeline, "revision": revision})
        subject = f"{self._topology.prefix}.lookup.definition"
        answer = await self._client.request(subject, asked, None, self._seconds)
        return msgspec.json.decode(answer, type=Document)

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

_SHORT_SECONDS = 1.0
"""For a sign of life."""


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


async def is_served(settings: Settings) -> bool:
    """Whether commands are handled on the NATS server that was named."""
    try:
        async with connect(settings.nats, settings.nats_token or None, name="headwater") as found:
            client = NatsClient(found, Topology(prefix=settings.prefix))
            await client.request("$SRV.PING.headwater-commands", b"", None, _SHORT_SECONDS)
    except (Unavailable, TimedOut):
        return False
    return True
