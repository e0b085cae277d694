"""Requests that nobody hears, or whose answer is lost."""

import anyio
import pytest

from adapters.jetstream.client import NatsClient
from adapters.jetstream.connection import Connection
from adapters.jetstream.message import Message
from adapters.jetstream.topology import Topology
from domain.errors import Unavailable
from tests.adapters.jetstream.test_endpoints import serving

pytestmark = pytest.mark.anyio


async def test_a_service_that_comes_in_a_moment_is_waited_for(
    connection: Connection, other: Connection
) -> None:
    heard = anyio.Event()

    async def hear(_subject: str, _payload: bytes, _headers: dict[str, str]) -> bytes:
        heard.set()
        return b"{}"

    async with anyio.create_task_group() as asking:
        asking.start_soon(NatsClient(other, Topology()).request, "headwater.command.x", b"early")
        with pytest.raises(Unavailable, match="nobody"):
            await connection.request("headwater.command.x", b"", seconds=5.0)
        async with serving(connection, hear):
            await heard.wait()


async def test_a_question_that_is_lost_is_asked_again(connection: Connection) -> None:
    asked: list[bytes] = []

    def answer(message: Message) -> None:
        asked.append(message.data)
        if len(asked) == 2:  # the first one went to somebody who has died
            connection.send(message.reply, b'{"position": 7}')

    await connection.subscribe("headwater.query.monitoring.runs", answer)
    client = NatsClient(connection, Topology())
    assert await client.query("monitoring.runs", {"limit": 1}, 1.5) == {"position": 7}
    assert asked == [b'{"limit":1}'] * 2
