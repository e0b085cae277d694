"""The door of the write side: what comes in from anywhere, and what is said to it."""

from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from commands.catalog import PAYLOADS, check_nesting, decode, path_of, payload_hash
from commands.dispatcher import DirectSender
from domain.errors import Malformed, NotFound, Rejection, Unavailable
from domain.ids import StreamId
from domain.limits import command_bytes_max, event_bytes_max, nesting_max
from tests.commands.stage import ADA, FAILED, SUCCEEDED, open_stage, sketch

pytestmark = pytest.mark.anyio

DEEP = 10_000


@pytest.mark.parametrize(
    ("command", "payload", "code", "path"),
    [
        ("run.fly", b"{}", "unknown_command", None),
        ("run.start", b"", "malformed", ""),
        ("run.start", b"\xff\xfe", "malformed", ""),
        ("run.start", b"[]", "malformed", ""),
        ("run.start", b"{}", "malformed", "pipeline"),
        ("run.start", b'{"pipeline": 1}', "malformed", "pipeline"),
        ("run.start", b'{"pipeline": "a", "parms": {}}', "malformed", "parms"),
        ("run.start", b'{"pipeline": "a", "params": {"x": [1]}}', "malformed", "params[...]"),
        ("run.cancel", b'{"run": "1"}', "malformed", "run"),
        ("run.cancel", b'{"run": null, "command_id": "x"}', "malformed", "run"),
        (
            "run.report",
            msgspec.json.encode(
                {"run": uuid4(), "step": "a", "attempt": 1, "lease": 1, "outcome": {"status": "?"}}
            ),
            "malformed",
            "outcome.status",
        ),
        ("run.start", b"[" * DEEP + b"]" * DEEP, "malformed", ""),
        ("run.start", b'{"params":' * DEEP + b"1" + b"}" * DEEP, "malformed", ""),
        (
            "pipeline.register",
            b'{"spec":{"a":"' + b"x" * command_bytes_max + b'"}}',
            "too_large",
            None,
        ),
        ("pipeline.pause", b'{"pipeline": "nobody"}', "pipeline_not_found", None),
    ],
)
async def test_what_cannot_be_read_is_refused_with_a_code_and_the_place(
    command: str, payload: bytes, code: str, path: str | None
) -> None:
    async with open_stage() as stage:
        reply = await stage.dispatcher.dispatch(command, payload, ADA)
        assert (reply["status"], reply["code"]) == ("rejected", code)
        assert reply["message"]
        assert reply["details"].get("path") == path


@pytest.mark.parametrize("command", ["run.claim", "run.report"])
async def test_a_worker_may_be_newer_and_say_more(command: str) -> None:
    async with open_stage() as stage:
        run = await stage.started("a")
        told = {"run": run, "step": "a", "attempt": 1}
        claim = {**told, "worker": "w1", "colour": "red"}
        claimed = await stage.send("run.claim", claim)
        assert claimed["status"] == "accepted", claimed
        if command == "run.report":
            report = {**told, "lease": 1, "outcome": SUCCEEDED, "colour": "red"}
            reported = await stage.send("run.report", report)
            assert reported["status"] == "accepted", reported


async def test_a_deep_payload_of_this_process_is_refused_too() -> None:
    deep: dict[str, Any] = {}
    for _ in range(DEEP):
        deep = {"a": deep}
    async with open_stage() as stage:
        reply = await stage.send("pipeline.register", spec=deep)
        assert reply["code"] == "malformed"


async def test_a_payload_that_is_no_json_is_refused() -> None:
    async with open_stage() as stage:
        reply = await stage.send("run.start", pipeline="a", params={"x": object()})
        assert reply["code"] == "malformed"


@pytest.mark.parametrize("text", [b'"' + b'[{\\"' * 999 + b'"', b"[]" * 500, b'"\\', b'"[[['])
def test_brackets_in_strings_and_side_by_side_are_not_deep(text: bytes) -> None:
    check_nesting(text)


def test_the_limit_of_nesting_is_the_last_that_passes() -> None:
    check_nesting(b"[" * nesting_max)
    with pytest.raises(Malformed):
        check_nesting(b"[" * (nesting_max + 1))


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ("Expected `int`, got `str` - at `$.outcome.rows[2]`", "outcome.rows[2]"),
        ("Object contains unknown field `x` - at `$.a`", "a.x"),
        ("Object missing required field `run`", "run"),
        ("Input data was truncated", ""),
    ],
)
def test_the_offending_field_is_read_from_the_message(message: str, path: str) -> None:
    assert path_of(message) == path


@pytest.mark.parametrize("command", PAYLOADS)
def test_every_payload_may_carry_the_ids_of_its_chain(command: str) -> None:
    fields = {field.name for field in msgspec.structs.fields(PAYLOADS[command])}
    assert fields >= {"command_id", "correlation_id", "causation_id"}


def test_the_hash_covers_the_content_and_not_the_ids() -> None:
    plain = decode("run.start", b'{"pipeline": "a", "params": {"x": 1, "y": 2}}')
    other = decode("run.start", b'{"params": {"y": 2, "x": 1}, "pipeline": "a"}')
    ids = {"command_id": uuid4(), "correlation_id": uuid4(), "causation_id": uuid4()}
    with_ids = decode("run.start", {"pipeline": "a", "params": {"x": 1, "y": 2}, **ids})
    assert payload_hash(plain) == payload_hash(other) == payload_hash(with_ids)
    assert payload_hash(plain) != payload_hash(decode("run.start", b'{"pipeline": "b"}'))


async def test_replies_have_the_shape_that_was_promised() -> None:
    async with open_stage() as stage:
        registered = await stage.send(
            "pipeline.register", spec=sketch("flights", "a", "b: a"), draft=False
        )
        assert set(registered) == {
            *("status", "stream", "version", "position", "events"),
            *("pipeline", "revision", "draft", "bundle", "warnings"),
        }
        assert (registered["pipeline"], registered["revision"]) == ("flights", 1)
        started = await stage.send("run.start", pipeline="flights")
        assert started["stream"] == f"run/{started['run']}"
        assert started["events"] == ["run.started.v1", "run.planned.v1", "run.step_scheduled.v1"]
        assert (started["version"], started["position"]) == (3, 4)
        claimed = await stage.send(
            "run.claim", run=started["run"], step="a", attempt=1, worker="w1"
        )
        work = claimed["work"]
        assert (work["step"], work["attempt"], work["lease"]) == ("a", 1, 1)
        assert (work["pipeline"], work["revision"]) == ("flights", 1)
        msgspec.json.encode([registered, started, claimed])


async def test_registering_the_same_again_changes_nothing_and_says_what_is_there() -> None:
    async with open_stage() as stage:
        first = await stage.send("pipeline.register", spec=sketch("flights", "a"))
        again = await stage.send("pipeline.register", spec=sketch("flights", "a"))
        names = ("pipeline", "revision", "draft", "bundle", "version", "position")
        assert {name: again[name] for name in names} == {name: first[name] for name in names}
        assert again["events"] == []


async def test_a_name_of_another_project_is_refused_and_leaves_no_trace() -> None:
    async with open_stage() as stage:
        first = await stage.send(
            "pipeline.register", spec=sketch("flights", "a"), project="shop", env="prod"
        )
        assert first["status"] == "accepted"
        for more in ({}, {"project": "bank"}, {"project": "bank", "draft": True}):
            reply = await stage.send("pipeline.register", spec=sketch("flights", "b"), **more)
            assert reply["code"] == "owned_elsewhere", reply
            assert reply["details"]["project"] == "shop"
        taken = await stage.send(
            "pipeline.register", spec=sketch("flights", "b"), project="bank", take_over=True
        )
        assert (taken["revision"], taken["events"]) == (2, ["pipeline.revised.v1"])


async def test_a_run_knows_its_environment_and_is_refused_another() -> None:
    async with open_stage() as stage:
        await stage.send("pipeline.register", spec=sketch("flights", "a"), env="prod")
        refused = await stage.send("run.start", pipeline="flights", env="dev")
        assert refused["code"] == "env_mismatch", refused
        for more in ({}, {"env": "prod"}):
            started = await stage.send("run.start", pipeline="flights", **more)
            events = await stage.store.load(StreamId("run", UUID(started["run"])))
            assert events[0].data.env == "prod"


async def test_drafts_are_run_by_their_number_and_stay_drafts() -> None:
    async with open_stage() as stage:
        draft = await stage.send("pipeline.register", spec=sketch("flights", "a"), draft=True)
        assert draft["draft"] is True
        same = await stage.send("pipeline.register", spec=sketch("flights", "a"), draft=True)
        assert (same["events"], same["draft"], same["revision"]) == ([], True, 1)
        refused = await stage.send("run.start", pipeline="flights")
        assert refused["code"] == "revision_not_found"
        started = await stage.send("run.start", pipeline="flights", revision=1)
        assert started["status"] == "accepted"


async def test_a_definition_above_the_limit_is_refused() -> None:
    async with open_stage() as stage:
        files = {"a.sql": "x" * 830_000}
        reply = await stage.send("pipeline.register", spec=sketch("flights", "a"), files=files)
        assert reply["code"] == "too_large"


async def test_what_binding_finds_is_told() -> None:
    async with open_stage() as stage:
        reply = await stage.send("pipeline.register", spec={"pipeline": "flights"})
        assert reply["code"] == "invalid_pipeline"
        assert reply["details"]["problems"]


async def test_params_are_typed_and_have_defaults() -> None:
    params = {"month": {"type": "integer", "default": 1}, "name": {"type": "string"}}
    async with open_stage() as stage:
        await stage.send("pipeline.register", spec=sketch("flights", "a", **params))
        for given in ({}, {"name": "x", "month": "May"}, {"name": "x", "year": 2013}):
            reply = await stage.send("run.start", pipeline="flights", params=given)
            assert reply["code"] == "invalid_params", given
        reply = await stage.send("run.start", pipeline="flights", params={"name": "x"})
        work = await stage.claimed(reply["run"], "a")
        assert work["params"] == {"month": 1, "name": "x"}


async def test_pause_resume_retire_and_what_is_unknown() -> None:
    async with open_stage() as stage:
        await stage.send("pipeline.register", spec=sketch("flights", "a"))
        for verb, tag in (("pause", "paused"), ("resume", "resumed"), ("retire", "retired")):
            reply = await stage.send(f"pipeline.{verb}", pipeline="flights", reason="why not")
            assert reply["events"] == [f"pipeline.{tag}.v1"]
        assert (await stage.send("run.start", pipeline="flights"))["code"] == "pipeline_retired"
        unknown = await stage.send("run.start", pipeline="trains")
        assert (unknown["code"], unknown["message"]) == (
            "pipeline_not_found",
            "there is no pipeline 'trains'",
        )
        nobody = str(uuid4())
        gone = await stage.send("run.cancel", run=nobody)
        assert (gone["code"], gone["details"]) == ("run_not_found", {"run": nobody})


async def test_a_cancelled_run_gives_no_more_work() -> None:
    async with open_stage() as stage:
        run = await stage.started("a", "b")
        work = await stage.claimed(run, "a")
        cancelled = await stage.send("run.cancel", run=run, reason="enough")
        assert cancelled["events"] == ["run.cancel_requested.v1"]
        refused = await stage.send("run.claim", run=run, step="b", attempt=1, worker="w")
        assert refused["code"] == "step_not_open"
        reply = await stage.reported(work, FAILED)
        assert reply["events"] == ["run.step_failed.v1", "run.cancelled.v1"]


async def test_only_the_last_lease_counts() -> None:
    async with open_stage() as stage:
        run = await stage.started("a")
        first = await stage.claimed(run, "a")
        second = await stage.claimed(run, "a")
        assert (await stage.reported(first))["code"] == "lease_lost"
        assert (await stage.reported(second))["status"] == "accepted"


async def test_three_dead_processes_end_the_attempt_without_work_in_the_reply() -> None:
    async with open_stage() as stage:
        run = await stage.started("a")
        claim = {"run": run, "step": "a", "attempt": 1, "worker": "w"}
        await stage.send("run.claim", **claim)
        claim["crashed"] = True
        for _ in range(2):
            assert "work" in await stage.send("run.claim", **claim)
        reply = await stage.send("run.claim", **claim)
        assert reply["status"] == "accepted"
        assert "work" not in reply
        assert reply["events"] == ["run.step_failed.v1", "run.failed.v1"]


async def test_an_outcome_above_the_limit_is_refused_and_another_can_be_told() -> None:
    async with open_stage() as stage:
        work = await stage.claimed(await stage.started("a"), "a")
        large = {"status": "failed", "error": {"code": "x", "message": "y" * event_bytes_max}}
        assert (await stage.reported(work, large))["code"] == "too_large"
        assert (await stage.reported(work, FAILED))["status"] == "accepted"


async def test_a_retry_works_on_what_failed_and_takes_over_the_rest() -> None:
    async with open_stage() as stage:
        run = await stage.started("a", "b", "c: a b", "d: c")
        assert (await stage.send("run.retry", run=run))["code"] == "run_not_finished"
        await stage.reported(await stage.claimed(run, "a"))
        await stage.reported(await stage.claimed(run, "b"))
        await stage.reported(await stage.claimed(run, "c"), FAILED)
        again = await stage.send("run.retry", run=run)
        assert again["run"] != run
        data = [one.data for one in await stage.history(again["stream"])]
        reused = {one.step: str(one.from_run) for one in data if hasattr(one, "from_run")}
        assert reused == {"a": run, "b": run}
        assert str(data[0].retry_of) == run
        assert again["events"][-1] == "run.step_scheduled.v1"
        for step in ("c", "d"):
            reply = await stage.reported(await stage.claimed(again["run"], step))
        assert reply["events"][-1] == "run.completed.v1"
        assert (await stage.send("run.retry", run=again["run"]))["code"] == "nothing_to_retry"
        third = await stage.send("run.retry", {"run": again["run"], "from": "b"})
        data = [one.data for one in await stage.history(third["stream"])]
        origins = {one.step: str(one.from_run) for one in data if hasattr(one, "from_run")}
        assert origins == {"a": run}
        unknown = await stage.send("run.retry", {"run": run, "from": "z"})
        assert unknown["code"] == "step_not_found"


async def test_a_paused_pipeline_is_not_retried() -> None:
    async with open_stage() as stage:
        run = await stage.started("a")
        await stage.reported(await stage.claimed(run, "a"), FAILED)
        await stage.send("pipeline.pause", pipeline="flights")
        assert (await stage.send("run.retry", run=run))["code"] == "pipeline_paused"


async def test_a_sender_in_the_same_process_raises_what_was_refused() -> None:
    async with open_stage() as stage:
        sender = DirectSender(stage.dispatcher)
        with pytest.raises(Rejection) as refused:
            await sender.send("run.start", {"pipeline": "nobody"}, ADA)
        assert refused.value.code == "pipeline_not_found"
        await sender.send("pipeline.register", {"spec": sketch("flights", "a")}, ADA)
        reply = await sender.send("run.start", {"pipeline": "flights"}, ADA)
        assert reply["status"] == "accepted"
        await stage.actors.drain()
        with pytest.raises(Unavailable):
            await sender.send("run.start", {"pipeline": "flights"}, ADA)


async def test_workers_can_ask_for_leases_and_definitions() -> None:
    async with open_stage() as stage:
        run = await stage.started("a", "b: a")
        work = await stage.claimed(run, "a")
        held = (msgspec.convert(run, type=type(uuid4())), "a", 1, work["lease"])
        state = await stage.lookup.lease_state(*held)
        assert (state.open, state.cancelling) == (True, False)
        other = await stage.lookup.lease_state(*held[:3], work["lease"] + 1)
        assert other.open is False
        assert (await stage.lookup.lease_state(held[0], "zzz", 1, 1)).open is False
        assert (await stage.lookup.lease_state(uuid4(), "a", 1, 1)).open is False
        await stage.send("run.cancel", run=run)
        assert (await stage.lookup.lease_state(*held)).cancelling is True
        await stage.reported(work, SUCCEEDED)
        ended = await stage.lookup.lease_state(*held)
        assert (ended.open, ended.cancelling) == (False, True)


async def test_every_definition_that_ever_was_can_be_found() -> None:
    async with open_stage() as stage:
        for steps in (("a",), ("a", "b"), ("a", "b", "c")):
            await stage.send("pipeline.register", spec=sketch("flights", *steps))
        bundles = {
            (await stage.lookup.definition("flights", number)).bundle for number in (1, 2, 3)
        }
        assert len(bundles) == 3
        for name, number in (("flights", 4), ("trains", 1)):
            with pytest.raises(NotFound, match="has no revision"):
                await stage.lookup.definition(name, number)
