"""A real nats-server for each test, on a port of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.jetstream.api import JetStreamApi
from adapters.jetstream.connection import Connection, connect
from adapters.jetstream.server import NatsServer
from adapters.jetstream.topology import Topology, ensure


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the server keeps its files; its name is not an easy one."""
    return tmp_path / 'nats of "Zoë" $HOME\'s'


@pytest.fixture
async def server(directory: Path, anyio_backend: str) -> AsyncIterator[NatsServer]:
    async with NatsServer.start(directory) as running:
        yield running


@pytest.fixture
async def connection(server: NatsServer) -> AsyncIterator[Connection]:
    """Connected, with the streams made."""
    async with connect(server.url, server.token) as made:
        await ensure(JetStreamApi(made), Topology())
        yield made


@pytest.fixture
async def other(server: NatsServer) -> AsyncIterator[Connection]:
    """Somebody else's connection to the same server."""
    async with connect(server.url, server.token, name="other") as made:
        yield made
