"""Requests that nobody hears, or whose answer is lost."""

from pathlib import Path

import anyio
import msgspec
import pytest

from adapters.jetstream.client import NatsClient, tries_max
from adapters.jetstream.connection import Connection
from adapters.jetstream.message import Message
from adapters.jetstream.topology import Topology
from commands.catalog import PipelinePayload
from domain.errors import TimedOut, Unavailable
from runtime.settings import Settings
from runtime.wiring.client import ClientSession
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


async def test_a_command_that_is_lost_is_sent_again_as_the_same_one(
    connection: Connection, tmp_path: Path
) -> None:
    asked: list[bytes] = []

    def answer(message: Message) -> None:
        asked.append(message.data)
        if len(asked) == 2:  # the first one went to somebody who has died
            connection.send(message.reply, b'{"status": "accepted"}')

    await connection.subscribe("headwater.command.pipeline.pause", answer)
    session = ClientSession(NatsClient(connection, Topology()), Settings(data=tmp_path))
    assert await session.command("pipeline.pause", {"pipeline": "p"}) == {"status": "accepted"}
    assert asked[0] == asked[1]
    assert msgspec.json.decode(asked[0], type=PipelinePayload).command_id is not None


async def test_a_request_without_any_answer_tells_how_long_it_was_waited_for(
    connection: Connection,
) -> None:
    asked: list[bytes] = []
    await connection.subscribe(
        "headwater.query.monitoring.runs", lambda one: asked.append(one.data)
    )
    client = NatsClient(connection, Topology())
    with pytest.raises(
        TimedOut, match=r"no answer from headwater.query.monitoring.runs within 0.3 s"
    ):
        await client.query("monitoring.runs", {}, 0.3)
    assert asked == [b"{}"] * tries_max
