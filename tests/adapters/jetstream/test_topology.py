"""Names, and streams that are made and set right."""

from uuid import UUID

import msgspec
import pytest

from adapters.jetstream.api import JetStreamApi
from adapters.jetstream.connection import Connection
from adapters.jetstream.message import Message
from adapters.jetstream.publisher import JetStreamPublisher, event_of
from adapters.jetstream.tasks import JetStreamTaskQueue, JetStreamTaskSource
from adapters.jetstream.topology import Topology, ensure
from commands.ports import Task
from domain.errors import Malformed
from tests.contracts.bus import records, task
from tests.contracts.events import metadata

pytestmark = pytest.mark.anyio

RUN = UUID("01931111-1111-7111-8111-111111111111")


async def test_subjects_say_what_it_is_about() -> None:
    topology, (event,) = Topology(), records(1)
    assert topology.event_subject(event) == f"headwater.event.run.{event.stream.id}.step_skipped"
    one = Task(run=RUN, step="clean", attempt=2)
    assert topology.task_subject(one) == f"headwater.task.duckdb.{RUN}.clean.2"
    assert topology.command_subject("run.start") == "headwater.command.run.start"
    assert topology.query_subject("monitoring.runs") == "headwater.query.monitoring.runs"


async def test_a_prefix_keeps_services_apart(connection: Connection) -> None:
    mine, yours = Topology(prefix="acme.mine"), Topology(prefix="acme.yours")
    assert (mine.events, mine.tasks) == ("ACME_MINE_EVENTS", "ACME_MINE_TASKS")
    for topology in (mine, yours):
        await ensure(JetStreamApi(connection), topology)
    await JetStreamPublisher(connection, mine).publish(records(2), "e", 0)
    assert (await JetStreamPublisher(connection, mine).tail())[0] == 2
    assert (await JetStreamPublisher(connection, yours).tail())[0] == 0


async def test_making_it_again_changes_nothing(connection: Connection) -> None:
    api = JetStreamApi(connection)
    await JetStreamPublisher(connection, Topology()).publish(records(2), "e", 0)
    before = await api.stream_config(Topology().events)
    await ensure(api, Topology())
    assert await api.stream_config(Topology().events) == before
    assert (await api.stream_state(Topology().events)).messages == 2


async def test_what_differs_is_set_right_and_the_rest_is_left(connection: Connection) -> None:
    api, topology = JetStreamApi(connection), Topology()
    config = await api.stream_config(topology.tasks)
    assert config is not None
    changed = {**config, "description": "the operator's words", "max_msgs_per_subject": 5}
    await api.call(f"STREAM.UPDATE.{topology.tasks}", changed)

    await ensure(api, topology)

    found = await api.stream_config(topology.tasks)
    assert found is not None
    assert (found["description"], found["max_msgs_per_subject"]) == ("the operator's words", 1)


async def test_the_window_drops_the_oldest(connection: Connection) -> None:
    api, topology = JetStreamApi(connection), Topology(prefix="small", window_bytes=20_000)
    await ensure(api, topology)
    publisher = JetStreamPublisher(connection, topology)
    assert await publisher.publish(records(100), "e", 0) == 100
    state = await api.stream_state(topology.events)
    assert state.first_seq > 1
    assert state.last_seq == 100


async def test_a_message_says_everything(connection: Connection, other: Connection) -> None:
    heard: list[Message] = []

    def hear(message: Message) -> None:
        heard.append(message)

    await other.subscribe("headwater.event.>", hear)
    await other.flush()
    first, second = records(2, after=40)
    await JetStreamPublisher(connection, Topology()).publish([first, second], "e7", 0)
    await other.flush()

    message = heard[1]
    headers = message.headers or {}
    assert message.data == second.state
    assert headers["Nats-Msg-Id"] == "e7:42"
    assert headers["Headwater-Epoch"] == "e7"
    assert (headers["Headwater-Position"], headers["Headwater-Previous"]) == ("42", "41")
    assert headers["traceparent"] == metadata().traceparent
    assert event_of(headers, message.data) == second


@pytest.mark.parametrize("broken", [{}, {"Headwater-Position": "x"}, {"Headwater-Stream": "run"}])
async def test_what_is_no_event_is_told(broken: dict[str, str]) -> None:
    headers = {
        "Headwater-Position": "1",
        "Headwater-Previous": "0",
        "Headwater-Event-Id": str(RUN),
        "Headwater-Stream": f"run/{RUN}",
        "Headwater-Version": "1",
        "Headwater-Tag": "run.started.v1",
    }
    with pytest.raises(Malformed):
        event_of({**headers, **broken} if broken else {}, b"")


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff no task",
        b'{"run": "%s", "step": "\xff", "attempt": 1}' % str(RUN).encode(),
        b'{"deep": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    ],
    ids=["no JSON", "no text", "deep"],
)
async def test_a_task_that_cannot_be_read_is_removed(
    connection: Connection, payload: bytes
) -> None:
    topology, good = Topology(), task()
    await connection.request(f"headwater.task.duckdb.{RUN}.x.1", payload)
    await JetStreamTaskQueue(connection, topology).ensure(good)
    async with JetStreamTaskSource.open(connection, topology) as source:
        (delivery,) = await source.next(5, 5.0)
        assert delivery.task == good
        await delivery.finish()
    await connection.flush()
    assert (await JetStreamApi(connection).stream_state(topology.tasks)).messages == 0


async def test_a_message_whose_headers_cannot_be_read_is_looked_past(
    connection: Connection,
) -> None:
    publisher = JetStreamPublisher(connection, Topology())
    (event,) = records(1)
    await publisher.tail()
    await publisher.publish([event], "e1", 0)
    connection.send("headwater.event.run.mine.noise", b"{}", b"NATS/1.0\r\nMine: \xff\r\n\r\n")
    await connection.flush()
    last, carried = await publisher.tail()
    assert last == 2
    assert carried is not None
    assert carried.position == event.position


async def test_a_task_is_json_for_everybody(connection: Connection, other: Connection) -> None:
    one = task("clean", attempt=3)
    heard: list[Message] = []

    def hear(message: Message) -> None:
        heard.append(message)

    await other.subscribe("headwater.task.>", hear)
    await other.flush()
    await JetStreamTaskQueue(connection, Topology()).ensure(one)
    await other.flush()
    assert msgspec.json.decode(heard[0].data) == {
        "run": str(one.run),
        "step": "clean",
        "attempt": 3,
    }
