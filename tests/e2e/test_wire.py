"""A foreign client over NATS, with nothing of ours: what it may send, and what harms nobody."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import nats
import pytest
from nats.aio.client import Client
from nats.errors import MaxPayloadError

from tests.e2e.project import Project

pytestmark = pytest.mark.anyio

SPEC = {
    "pipeline": "wired",
    "sources": {"numbers": {"kind": "csv", "path": "numbers.csv", "columns": {"n": "integer"}}},
    "steps": [
        {"id": "raw", "kind": "ingest", "source": "numbers"},
        {"id": "twice", "kind": "transform", "sql": "select 2 * n as n from raw"},
    ],
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """One service for all of this file."""
    project = Project(tmp_path_factory.mktemp("wire"))
    with project.up():
        project.json(
            "send",
            "headwater.command.pipeline.register",
            _text({"spec": SPEC, "root": _root(project)}),
        )
        yield project


@pytest.fixture
async def client(project: Project) -> AsyncIterator[Client]:
    """A connection that must live to the end of its test."""
    known = json.loads((project.folder / ".headwater/nats/connection.json").read_text())
    lost: list[str] = []

    async def disconnected() -> None:
        lost.append("disconnected")

    client = await nats.connect(
        known["url"], token=known["token"], allow_reconnect=False, disconnected_cb=disconnected
    )
    try:
        yield client
        assert lost == []
        assert (await _query(client, "events.list", {"limit": 1}))["position"] > 0
    finally:
        await client.close()


def _root(project: Project) -> str:
    return str(project.folder)


def _text(payload: object) -> str:
    return json.dumps(payload)


async def _send(client: Client, command: str, payload: bytes) -> dict[str, Any]:
    answer = await client.request(f"headwater.command.{command}", payload, timeout=20)
    reply: dict[str, Any] = json.loads(answer.data)
    return reply


async def _query(client: Client, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    answer = await client.request(f"headwater.query.{name}", _text(arguments).encode(), timeout=20)
    assert not (answer.headers or {}).get("Nats-Service-Error"), answer.data
    found: dict[str, Any] = json.loads(answer.data)
    return found


async def _head(client: Client) -> int:
    return int((await _query(client, "events.list", {"limit": 1}))["position"])


async def _ended(client: Client, run: str, position: int) -> dict[str, Any]:
    """The run as soon as it is over."""
    shown: dict[str, Any] = {}
    async with asyncio.timeout(30):
        while shown.get("status") not in ("completed", "failed", "cancelled"):
            shown = await _query(
                client, "monitoring.run", {"run": run, "min_position": position, "timeout": 10}
            )
            position = int(shown["position"]) + (shown["status"] == "running")
    return shown


async def _tags(client: Client, run: str) -> list[str]:
    found = await _query(client, "events.list", {"run": run, "limit": 500})
    return [str(event["tag"]) for event in found["items"]]


async def test_a_command_sent_twice_has_one_effect_and_one_answer(client: Client) -> None:
    command = _text({"pipeline": "wired", "command_id": str(uuid4())}).encode()
    first = await _send(client, "run.start", command)
    assert first["status"] == "accepted", first
    assert await _send(client, "run.start", command) == first
    assert (await _ended(client, first["run"], first["position"]))["status"] == "completed"
    assert await _send(client, "run.start", command) == first
    assert (await _tags(client, first["run"])).count("run.started.v1") == 1


async def test_a_command_sent_fifty_times_at_once_has_one_effect(client: Client) -> None:
    before = await _query(client, "monitoring.runs", {"limit": 500})
    command = _text({"pipeline": "wired", "command_id": str(uuid4())}).encode()
    replies = await asyncio.gather(*(_send(client, "run.start", command) for _ in range(50)))
    assert replies[0]["status"] == "accepted"
    assert [reply for reply in replies if reply != replies[0]] == []
    shown = await _ended(client, replies[0]["run"], replies[0]["position"])
    assert shown["status"] == "completed"
    after = await _query(client, "monitoring.runs", {"limit": 500})
    assert len(after["items"]) == len(before["items"]) + 1
    tags = await _tags(client, replies[0]["run"])
    assert tags.count("run.started.v1") == tags.count("run.completed.v1") == 1


async def test_the_same_id_with_other_content_is_refused(client: Client) -> None:
    known = {"pipeline": "wired", "reason": "a", "command_id": str(uuid4())}
    assert (await _send(client, "pipeline.pause", _text(known).encode()))["status"] == "accepted"
    other = {**known, "reason": "b"}
    assert (await _send(client, "pipeline.pause", _text(other).encode()))["code"] == (
        "command_id_reused"
    )
    resumed = await _send(client, "pipeline.resume", b'{"pipeline": "wired"}')
    assert resumed["status"] == "accepted"


def _deep(levels: int, beginning: str, end: str) -> bytes:
    return (beginning * levels + end * levels).encode()


@pytest.mark.parametrize(
    ("command", "payload", "code"),
    [
        ("run.start", b"", "malformed"),
        ("run.start", b"\xff\xfe\x00", "malformed"),
        ("run.start", b"{", "malformed"),
        ("run.start", b"null", "malformed"),
        ("run.start", b"[]", "malformed"),
        ("run.start", b'"wired"', "malformed"),
        ("run.start", b'{"pipeline": 3}', "malformed"),
        ("run.start", b'{"pipeline": "\xff"}', "malformed"),
        ("run.start", b'{"pipeline": "wired", "colour": "red"}', "malformed"),
        ("run.start", b'{"pipeline": "wired", "command_id": "mine"}', "malformed"),
        ("run.start", b'{"pipeline": "nobody"}', "pipeline_not_found"),
        ("run.cancel", b'{"run": "00000000-0000-7000-8000-000000000000"}', "run_not_found"),
        ("run.explode", b"{}", "unknown_command"),
        ("moon.start", b"{}", "unknown_command"),
        ("pipeline.register", b'{"spec": {}, "colour": "red"}', "malformed"),
        ("run.start", _deep(10_000, "[", "]"), "malformed"),
        ("run.start", _deep(10_000, '{"params":', "}"), "malformed"),
        ("run.start", b"[" * 500_000, "malformed"),
        ("pipeline.register", b'{"spec": ' + _deep(10_000, "[", "]") + b"}", "malformed"),
        ("run.start", b'{"pipeline": "' + b"x" * 1_000_000 + b'"}', "too_large"),
        ("pipeline.register", b"[" + b"0," * 500_000 + b"0]", "too_large"),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else value,
)
async def test_what_cannot_be_taken_is_refused_with_a_code_and_leaves_no_trace(
    client: Client, command: str, payload: bytes, code: str
) -> None:
    before = await _head(client)
    reply = await _send(client, command, payload)
    assert (reply["status"], reply["code"]) == ("rejected", code), reply
    assert reply["message"]
    assert await _head(client) == before


@pytest.mark.parametrize(
    ("query", "payload"),
    [
        ("monitoring.runs", b"\xff"),
        ("monitoring.runs", b'{"pipeline": "\xff"}'),
        ("monitoring.runs", b"[]"),
        ("monitoring.runs", b'{"colour": "red"}'),
        ("monitoring.runs", b'{"limit": -1}'),
        ("monitoring.runs", b'{"cursor": "nonsense"}'),
        ("monitoring.runs", _deep(10_000, '{"limit":', "}")),
        ("monitoring.runs", b"[" * 500_000),
        ("monitoring.secrets", b"{}"),
        ("views.verify", b'{"repair": "no"}'),
        ("monitoring.run", b'{"run": "x"}'),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else value,
)
async def test_a_question_that_cannot_be_answered_is_refused(
    client: Client, query: str, payload: bytes
) -> None:
    answer = await client.request(f"headwater.query.{query}", payload, timeout=20)
    assert answer.headers is not None
    assert answer.headers["Nats-Service-Error"]
    assert answer.headers["Nats-Service-Error-Code"][0] == "4"
    assert json.loads(answer.data)["message"]


async def test_more_than_the_server_takes_is_refused_before_it_is_sent(client: Client) -> None:
    before = await _head(client)
    with pytest.raises(MaxPayloadError):
        await client.publish("headwater.command.run.start", b" " * (client.max_payload + 1))
    assert await _head(client) == before


async def test_bad_messages_between_good_ones_delay_nobody(client: Client) -> None:
    """Forty requests at once, every other one unreadable: each gets its own answer."""
    payloads = [b"\xff" * 1000 if number % 2 else b"{}" for number in range(40)]
    answers = await asyncio.gather(
        *(client.request("headwater.query.monitoring.runs", one, timeout=20) for one in payloads)
    )
    refused = [bool((answer.headers or {}).get("Nats-Service-Error")) for answer in answers]
    assert refused == [bool(number % 2) for number in range(40)]


async def test_noise_on_the_events_subject_disturbs_no_run(client: Client) -> None:
    for payload in (b"", b"\xff", b"{}", b"x" * 100_000):
        await client.publish("headwater.event.run.mine.noise", payload)
        await client.publish("headwater.task.duckdb.mine.noise.1", payload)
    reply = await _send(client, "run.start", b'{"pipeline": "wired"}')
    shown = await _ended(client, reply["run"], reply["position"])
    assert shown["status"] == "completed"
    assert (await _query(client, "views.verify", {}))["ok"] is True


def test_nothing_but_the_good_commands_is_stored(project: Project) -> None:
    assert project.json("verify")["ok"] is True
    lines = project.run("events", "--json").stdout.splitlines()
    tags = {json.loads(line)["tag"] for line in lines}
    assert {tag.partition(".")[0] for tag in tags} == {"pipeline", "run"}
    assert not (Path(project.folder) / ".headwater/reports").exists()


async def test_headers_tell_where_a_command_comes_from(client: Client) -> None:
    chain, cause = str(uuid4()), str(uuid4())
    headers = {
        "Headwater-Principal": "billing@host",
        "Headwater-Correlation-Id": chain,
        "Headwater-Causation-Id": cause,
    }
    for payload, correlation in (({}, chain), ({"correlation_id": cause}, cause)):
        answer = await client.request(
            "headwater.command.run.start",
            _text({"pipeline": "wired", **payload}).encode(),
            timeout=20,
            headers=headers,
        )
        reply = json.loads(answer.data)
        found = await _query(client, "events.list", {"run": reply["run"], "limit": 1})
        first = found["items"][0]
        assert (first["principal"], first["causation_id"]) == ("billing@host", cause)
        assert first["correlation_id"] == correlation


async def test_a_header_that_is_no_id_is_refused(client: Client) -> None:
    answer = await client.request(
        "headwater.command.run.start",
        b'{"pipeline": "wired"}',
        timeout=20,
        headers={"Headwater-Causation-Id": "yesterday"},
    )
    reply = json.loads(answer.data)
    assert (reply["status"], reply["code"]) == ("rejected", "malformed")
    assert reply["details"]["path"] == "Headwater-Causation-Id"
