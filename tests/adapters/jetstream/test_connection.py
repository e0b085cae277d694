"""A connection that comes back, and that nothing can be sent through to break it."""

import os
import signal

import anyio
import pytest

from adapters.jetstream.connection import Connection, connect
from adapters.jetstream.directory import payload_bytes_max
from adapters.jetstream.server import NatsServer
from domain.errors import Malformed, TimedOut, TooLarge, Unavailable

pytestmark = pytest.mark.anyio


async def raw(server: NatsServer, *commands: bytes) -> bytes:
    """Speak to the server without a library; returns what it says up to the answer to PING."""
    port = int(server.url.rpartition(":")[2])
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        hello = b'CONNECT {"auth_token":"%s","headers":true}\r\n' % server.token.encode()
        await stream.send(hello + b"".join(commands) + b"PING\r\n")
        said = b""
        with anyio.move_on_after(5):
            while b"PONG" not in said and b"-ERR" not in said:
                said += await stream.receive()
        return said


async def test_where_nobody_listens_it_is_told_at_once(connection: Connection) -> None:
    with pytest.raises(Unavailable, match="nobody"):
        await connection.request("nobody.there", b"", seconds=5.0)


async def test_where_nobody_answers_the_time_runs_out(
    connection: Connection, other: Connection
) -> None:
    def ignore(_message: object) -> None:
        pass

    await other.subscribe("deaf", ignore)
    await other.flush()
    with pytest.raises(TimedOut, match="deaf"):
        await connection.request("deaf", b"", seconds=0.05)


async def test_a_server_that_is_not_there_is_told() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("adapters.jetstream.connection.connect_seconds_max", 0.2)
        with pytest.raises(Unavailable, match="cannot reach the bus"):
            async with connect("nats://127.0.0.1:1"):
                pass


async def test_what_waits_is_told_when_the_connection_is_lost(
    server: NatsServer, connection: Connection
) -> None:
    taken = anyio.Event()

    def take(_message: object) -> None:
        taken.set()

    await connection.subscribe("slow", take)
    async with anyio.create_task_group() as tasks:

        async def ask() -> None:
            with pytest.raises(Unavailable, match="lost"):
                await connection.request("slow", b"", seconds=30.0)

        tasks.start_soon(ask)
        await taken.wait()
        os.kill(server.pid, signal.SIGKILL)


async def test_subscriptions_outlive_the_server(server: NatsServer, connection: Connection) -> None:
    heard = anyio.Event()

    def hear(_message: object) -> None:
        heard.set()

    await connection.subscribe("news", hear)
    generation = connection.generation
    os.kill(server.pid, signal.SIGKILL)
    with anyio.fail_after(10):
        await connection.wait_changed(generation)
        await connection.connected(10)
        await connection.publish("news", b"")
        await heard.wait()


@pytest.mark.parametrize("headers", [None, {"Some": "x" * 200}])
async def test_too_large_is_refused_before_the_server_cuts_the_connection(
    connection: Connection, headers: dict[str, str] | None
) -> None:
    generation = connection.generation
    with pytest.raises(TooLarge):
        await connection.publish(
            "big", bytes(payload_bytes_max + 1 - (100 if headers else 0)), headers
        )
    await connection.publish("big", bytes(payload_bytes_max))
    await connection.publish("big", bytes(payload_bytes_max - 300), headers)
    await connection.flush()
    assert connection.generation == generation


async def test_an_error_of_the_server_is_not_the_end(
    connection: Connection, other: Connection
) -> None:
    """Here: the library itself counts a payload without its headers."""
    generation = connection.generation
    await connection._client.publish("big", bytes(payload_bytes_max), headers={"Some": "x"})
    with anyio.fail_after(5):
        while not (connection.is_connected and connection.generation > generation):
            await connection.wait_changed(connection.generation)
    await connection.flush()
    assert other.is_connected


@pytest.mark.parametrize("subject", ["", "two words", "line\r\nPUB x 0"])
async def test_a_bad_subject_is_refused(connection: Connection, subject: str) -> None:
    with pytest.raises(Malformed):
        await connection.publish(subject, b"")


@pytest.mark.parametrize(
    "command",
    [
        b"PUB any.\xff\xfe 2\r\nhi\r\n",
        b"PUB any.thing back.\xff 2\r\nhi\r\n",
        b"HPUB any.thing 14 16\r\nNATS/1.0 \xff\r\n\r\nhi\r\n",
        b"HPUB any.thing 19 21\r\nNATS/1.0\r\n\xff\xff: x\r\n\r\nhi\r\n",
        b"HPUB any.thing 16 18\r\nNATS/1.0\r\nnone\r\nhi\r\n",
    ],
)
async def test_what_cannot_be_read_does_not_deafen(
    server: NatsServer, connection: Connection, command: bytes
) -> None:
    heard = list[bytes]()
    last = anyio.Event()

    def hear(message: object) -> None:
        heard.append(getattr(message, "data", b""))
        if heard[-1] == b"last":
            last.set()

    await connection.subscribe("any.>", hear)
    await connection.flush()
    generation = connection.generation

    await raw(server, command)
    await raw(server, b"PUB any.thing 4\r\nlast\r\n")

    with anyio.fail_after(5):
        await last.wait()
    assert connection.generation == generation
    # Bad headers are left out; a bad subject leaves nobody to answer.
    assert heard == ([b"hi", b"last"] if command.startswith(b"HPUB") else [b"last"])
