"""Services on the bus: many requests at once, errors as replies, found by everybody."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import msgspec
import pytest
from anyio.abc import TaskGroup

from adapters.jetstream.client import NatsClient
from adapters.jetstream.connection import Connection
from adapters.jetstream.directory import payload_bytes_max
from adapters.jetstream.endpoints import Endpoint, Endpoints, Handler, ServiceIdentity
from adapters.jetstream.topology import Topology
from commands.ports import CommandContext
from domain.errors import (
    Conflict,
    Defect,
    HeadwaterError,
    Malformed,
    NotFound,
    Rejection,
    StorageFull,
    TimedOut,
    TooLarge,
    Unavailable,
)

pytestmark = pytest.mark.anyio

IDENTITY = ServiceIdentity(name="headwater-commands", version="1.2.3", role="commands")
ADA = CommandContext(principal="cli:ada", traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01")


@asynccontextmanager
async def serving(
    connection: Connection, handler: Handler, unwell: Callable[[], str] = str
) -> AsyncIterator[Endpoints]:
    """A service with one endpoint for all commands."""
    endpoint = Endpoint("all", "headwater.command.>", handler)
    endpoints = Endpoints(connection, IDENTITY, [endpoint], unwell)
    async with anyio.create_task_group() as tasks:
        await tasks.start(endpoints.run)
        yield endpoints
        endpoints.stop()


@pytest.fixture
def client(other: Connection) -> NatsClient:
    return NatsClient(other, Topology())


async def echo(subject: str, payload: bytes, headers: dict[str, str]) -> bytes:
    return msgspec.json.encode(
        {
            "status": "accepted",
            "subject": subject,
            "headers": headers,
            "payload": msgspec.Raw(payload),
        }
    )


def refusing(error: HeadwaterError) -> Handler:
    async def refuse(_subject: str, _payload: bytes, _headers: dict[str, str]) -> bytes:
        raise error

    return refuse


async def test_a_command_and_its_context_arrive(connection: Connection, client: NatsClient) -> None:
    async with serving(connection, echo):
        reply = await client.send("run.start", {"pipeline": "flights"}, ADA)
    assert reply["subject"] == "headwater.command.run.start"
    assert reply["payload"] == {"pipeline": "flights"}
    assert reply["headers"]["Headwater-Principal"] == "cli:ada"
    assert reply["headers"]["traceparent"] == ADA.traceparent


async def test_two_hundred_requests_are_answered_at_once(
    connection: Connection, client: NatsClient
) -> None:
    inside, all_inside, answers = 0, anyio.Event(), list[bytes]()

    async def wait_for_all(_subject: str, payload: bytes, _headers: dict[str, str]) -> bytes:
        nonlocal inside
        inside += 1
        if inside == 200:
            all_inside.set()
        await all_inside.wait()
        return payload

    async def ask(number: int) -> None:
        answers.append(await client.request("headwater.command.x", b"%d" % number))

    async with serving(connection, wait_for_all), anyio.create_task_group() as tasks:
        for number in range(200):
            tasks.start_soon(ask, number)
    assert sorted(map(int, answers)) == list(range(200))


async def test_more_than_the_limit_is_refused(
    connection: Connection, client: NatsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.jetstream.endpoints.requests_max", 1)
    entered, leave = anyio.Event(), anyio.Event()

    async def hold(_subject: str, payload: bytes, _headers: dict[str, str]) -> bytes:
        entered.set()
        await leave.wait()
        return payload

    async with serving(connection, hold), anyio.create_task_group() as tasks:
        tasks.start_soon(client.request, "headwater.command.x", b"")
        await entered.wait()
        with pytest.raises(Unavailable, match="too many"):
            await client.request("headwater.command.x", b"")
        leave.set()


@pytest.mark.parametrize(
    "error",
    [
        Rejection("pipeline_paused", "it is paused", {"since": "noon"}),
        Malformed("not a number", path="$.limit"),
        NotFound("no such run"),
        Conflict("run/1", 4),
        TooLarge("above 64 KiB"),
        StorageFull("disk full"),
        Unavailable("not now", hint="later"),
        TimedOut("too slow"),
        Defect("oh dear"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_an_error_arrives_as_it_was_raised(
    connection: Connection, client: NatsClient, error: HeadwaterError
) -> None:
    async with serving(connection, refusing(error)):
        with pytest.raises(type(error)) as told:
            await client.request("headwater.command.x", b"{}")
    assert type(told.value) is type(error)
    assert (told.value.message, told.value.hint) == (error.message, error.hint)
    for name in ("code", "details", "path", "stream", "expected"):
        assert getattr(told.value, name, None) == getattr(error, name, None)


async def test_foreign_clients_see_the_error_in_headers_and_body(
    connection: Connection, other: Connection
) -> None:
    async with serving(connection, refusing(Malformed("not JSON", path="$"))):
        answer = await other.request("headwater.command.x", b"\xff\xfe")
    assert answer.headers is not None
    assert answer.headers["Nats-Service-Error"] == "not JSON"
    assert answer.headers["Nats-Service-Error-Code"] == "400"
    body = msgspec.json.decode(answer.data)
    assert (body["status"], body["code"], body["message"]) == ("rejected", "malformed", "not JSON")


async def test_a_rejected_command_raises(connection: Connection, client: NatsClient) -> None:
    async def reject(_subject: str, _payload: bytes, _headers: dict[str, str]) -> bytes:
        return b'{"status":"rejected","code":"pipeline_paused","message":"no","details":{"a":1}}'

    async with serving(connection, reject):
        with pytest.raises(Rejection) as told:
            await client.send("run.start", {}, ADA)
    assert (told.value.code, told.value.message) == ("pipeline_paused", "no")
    assert told.value.details == {"a": 1}


@pytest.mark.parametrize(
    ("code", "error"),
    [("unavailable", Unavailable), ("storage_full", StorageFull), ("timeout", TimedOut)],
)
async def test_a_command_that_may_be_sent_again_raises_what_says_so(
    connection: Connection, client: NatsClient, code: str, error: type[HeadwaterError]
) -> None:
    async def put_off(_subject: str, _payload: bytes, _headers: dict[str, str]) -> bytes:
        told = '{"status":"rejected","code":"%s","message":"no","details":{"hint":"wait"}}'
        return (told % code).encode()

    async with serving(connection, put_off):
        with pytest.raises(error) as told:
            await client.send("run.report", {}, ADA)
    assert (told.value.message, told.value.hint) == ("no", "wait")


async def test_an_answer_above_the_limit_is_told(
    connection: Connection, client: NatsClient
) -> None:
    async def shout(_subject: str, _payload: bytes, _headers: dict[str, str]) -> bytes:
        return bytes(payload_bytes_max + 1)

    async with serving(connection, shout):
        with pytest.raises(TooLarge):
            await client.request("headwater.command.x", b"")
        assert connection.is_connected


async def test_a_request_above_the_limit_harms_nobody(
    connection: Connection, client: NatsClient
) -> None:
    async with serving(connection, echo):
        with pytest.raises(TooLarge):
            await client.request("headwater.command.x", bytes(payload_bytes_max + 1))
        await client.request("headwater.command.x", b"{}")


async def test_too_deep_is_malformed(connection: Connection, client: NatsClient) -> None:
    async def decode(_subject: str, payload: bytes, _headers: dict[str, str]) -> bytes:
        return msgspec.json.encode(msgspec.json.decode(payload))

    async with serving(connection, decode):
        with pytest.raises(Malformed, match="deep"):
            await client.request("headwater.command.x", b"[" * 100_000 + b"]" * 100_000)
        await client.request("headwater.command.x", b"{}")


async def test_a_defect_is_told_and_ends_the_service(
    connection: Connection, client: NatsClient
) -> None:
    async def fail(_subject: str, _payload: bytes, _headers: dict[str, str]) -> bytes:
        raise ZeroDivisionError

    told = list[HeadwaterError]()

    async def ask() -> None:
        try:
            await client.request("headwater.command.x", b"")
        except Defect as error:
            told.append(error)

    async def serve(asking: TaskGroup) -> None:
        endpoints = Endpoints(connection, IDENTITY, [Endpoint("x", "headwater.command.x", fail)])
        async with anyio.create_task_group() as tasks:
            await tasks.start(endpoints.run)
            asking.start_soon(ask)

    async with anyio.create_task_group() as asking:
        with pytest.raises(ExceptionGroup) as ended:
            await serve(asking)
    assert ended.group_contains(ZeroDivisionError, depth=2)
    assert len(told) == 1


async def test_a_service_that_stops_answers_what_it_has_taken(
    connection: Connection, client: NatsClient
) -> None:
    entered, leave, answers = anyio.Event(), anyio.Event(), list[bytes]()

    async def hold(_subject: str, payload: bytes, _headers: dict[str, str]) -> bytes:
        entered.set()
        await leave.wait()
        return payload

    async def ask() -> None:
        answers.append(await client.request("headwater.command.x", b"taken"))

    async with anyio.create_task_group() as asking, serving(connection, hold) as endpoints:
        asking.start_soon(ask)
        await entered.wait()
        endpoints.stop()
        endpoints.stop()
        leave.set()
    assert answers == [b"taken"]
    with pytest.raises(Unavailable):
        await client.request("headwater.command.x", b"late")


async def test_a_service_that_stops_leaves_nobody_waiting(
    connection: Connection, client: NatsClient
) -> None:
    answered, refused = 0, 0

    async def ask() -> None:
        nonlocal answered, refused
        try:
            await client.request("headwater.command.x", b"{}", timeout=10.0)
            answered += 1
        except Unavailable:
            refused += 1

    async with anyio.create_task_group() as asking, serving(connection, echo) as endpoints:
        for number in range(300):
            asking.start_soon(ask)
            if number == 150:
                while answered == 0:
                    await anyio.lowlevel.checkpoint()
        endpoints.stop()
    assert answered + refused == 300
    assert answered > 0


async def test_a_cancelled_service_says_so(connection: Connection, client: NatsClient) -> None:
    entered = anyio.Event()

    async def hold(_subject: str, _payload: bytes, _headers: dict[str, str]) -> bytes:
        entered.set()
        await anyio.sleep_forever()
        return b""

    async def ask() -> None:
        with pytest.raises(Unavailable, match="stopping"):
            await client.request("headwater.command.x", b"")

    endpoints = Endpoints(connection, IDENTITY, [Endpoint("x", "headwater.command.x", hold)])
    async with anyio.create_task_group() as asking, anyio.create_task_group() as tasks:
        await tasks.start(endpoints.run)
        asking.start_soon(ask)
        await entered.wait()
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("of", ["", ".headwater-commands", ".headwater-commands.{id}"])
async def test_it_is_found_by_every_tool(
    connection: Connection, other: Connection, of: str
) -> None:
    async with serving(connection, echo) as service:
        await other.request("headwater.command.x", b"{}")

        async def ask(verb: str) -> dict[str, object]:
            answer = await other.request(f"$SRV.{verb}{of.format(id=service.id)}", b"")
            found: dict[str, object] = msgspec.json.decode(answer.data)
            return found

        ping, info, stats = await ask("PING"), await ask("INFO"), await ask("STATS")
    for verb, found in (("ping", ping), ("info", info), ("stats", stats)):
        assert found["type"] == f"io.nats.micro.v1.{verb}_response"
        assert (found["name"], found["id"]) == ("headwater-commands", service.id)
        assert found["version"] == "1.2.3"
        assert found["metadata"] == {"role": "commands"}
    assert info["endpoints"] == [
        {"name": "all", "subject": "headwater.command.>", "queue_group": "q", "metadata": {}}
    ]
    (endpoint,) = msgspec.convert(stats["endpoints"], list[dict[str, object]])
    assert (endpoint["num_requests"], endpoint["num_errors"]) == (1, 0)
    assert msgspec.convert(endpoint["processing_time"], int) > 0


async def test_services_are_listed_with_their_health(
    connection: Connection, client: NatsClient
) -> None:
    async with serving(connection, echo), serving(connection, echo, lambda: "the disk is full"):
        found = await client.services()
    assert [one["name"] for one in found] == ["headwater-commands"] * 2
    assert sorted((one["healthy"], one["reason"] or "") for one in found) == [
        (False, "the disk is full"),
        (True, ""),
    ]
    assert {one["role"] for one in found} == {"commands"}


async def test_without_services_the_list_is_empty(
    connection: Connection, client: NatsClient
) -> None:
    assert list(await client.services()) == []


async def test_two_services_share_the_requests(connection: Connection, client: NatsClient) -> None:
    def saying(name: bytes) -> Handler:
        async def answer(_subject: str, _payload: bytes, _headers: dict[str, str]) -> bytes:
            return name

        return answer

    async with serving(connection, saying(b"a")), serving(connection, saying(b"b")):
        answers = {await client.request("headwater.command.x", b"") for _ in range(60)}
    assert answers == {b"a", b"b"}
