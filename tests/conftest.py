"""What every test stands on: asyncio through anyio's plugin, and no blocking call in the loop."""

import atexit
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import settings

from adapters.postgres import Database
from tests.postgres import PostgresServer, postgres_server
from tests.s3 import S3Server

settings.register_profile("headwater", deadline=None)
settings.load_profile("headwater")  # how long an example takes says more of the machine than of us

NEVER_BLOCKING = ["commands", "projections", "domain"]
"""Packages that may not block the loop in which they run, themselves or through an adapter."""


@pytest.fixture
def anyio_backend() -> str:
    """Tests run on asyncio; the simulation asks for trio by itself."""
    return "asyncio"


@pytest.fixture(autouse=True, scope="session")
def _no_blocking_call() -> Iterator[BlockBuster]:
    """A blocking call made in the event loop on behalf of these packages fails its test."""
    with blockbuster_ctx(scanned_modules=NEVER_BLOCKING) as guard:
        for function in guard.functions.values():
            # A new connection looks for a password and for certificates among the user's files.
            function.can_block_in("asyncpg/connect_utils.py", "_parse_connect_dsn_and_args")
        yield guard


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """A call that names a port of loopback on which nobody listens now, another each time."""
    given: set[int] = set()

    def find() -> int:
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port: int = probe.getsockname()[1]
            if port not in given:
                given.add(port)
                return port

    return find


@pytest.fixture(scope="session")
def postgres(free_port: Callable[[], int]) -> Iterator[PostgresServer]:
    """A PostgreSQL server, started for the first test that asks for it."""
    with postgres_server(free_port()) as server:
        yield server


@pytest.fixture(scope="session")
def _s3(free_port: Callable[[], int]) -> Iterator[S3Server]:
    server = S3Server(free_port())
    server.begin()
    server.wait()
    yield server
    server.stop()


@pytest.fixture
def s3(_s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """An object store, started for the first test that asks for it; the environment says where."""
    for name, value in _s3.environment.items():
        monkeypatch.setenv(name, value)
    return _s3


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[Database]:
    """An empty database, whose role owns it."""
    name = postgres.take()
    yield postgres.way_to(name)
    postgres.give_back(name)


@pytest.fixture
def repository() -> Path:
    """The root of the source tree."""
    return Path(__file__).parent.parent


def pytest_unconfigure() -> None:
    """Hear nothing of the interpreter's last moments: DuckDB's binding lists every object there
    that is still alive, which says nothing about us, and buries the closing line."""
    atexit.register(lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), 2))
