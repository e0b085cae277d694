"""Carrying out commands: once each, in batches, beside other writers, on a doubtful store."""

from collections.abc import Sequence
from uuid import UUID, uuid4

import anyio
import pytest

from adapters.clock import SystemClock
from adapters.memory.eventstore import MemoryEventStore
from commands import stream as streams
from commands.execution import StreamExecutor, tries_max
from commands.ports import Envelope, EventStore
from commands.stream import Command
from domain.errors import Conflict, Malformed, StorageFull, TooLarge, Unavailable
from domain.ids import Position, StreamId, Version, pipeline_stream
from domain.limits import event_bytes_max
from domain.pipeline.commands import PausePipeline, RegisterPipeline, ResumePipeline
from tests.commands.stage import SUCCEEDED, open_stage, sketch

pytestmark = pytest.mark.anyio


class RiggedStore(EventStore):
    """A store whose appends go wrong as a test says, once for each entry."""

    def __init__(self) -> None:
        self.inner = MemoryEventStore()
        self.before: list[Exception] = []
        """Raised instead of appending."""
        self.after: list[Exception] = []
        """Raised after appending."""
        self.appends = 0
        self.loads = 0
        self.is_newer = False
        """What is loaded was written by a version that is not known here."""

    async def load(self, stream: StreamId, after: Version = 0) -> Sequence[Envelope]:
        self.loads += 1
        if self.is_newer:
            raise Malformed("no event is known by the tag 'x.y.v2'", hint="update Headwater")
        return await self.inner.load(stream, after)

    async def append(
        self, stream: StreamId, expected: Version, envelopes: Sequence[Envelope]
    ) -> Sequence[Position]:
        self.appends += 1
        if self.before:
            raise self.before.pop(0)
        positions = await self.inner.append(stream, expected, envelopes)
        if self.after:
            raise self.after.pop(0)
        return positions


STREAM = pipeline_stream("flights")


async def register(store: EventStore) -> None:
    """Register the pipeline of `STREAM`."""
    async with open_stage(store) as stage:
        reply = await stage.send("pipeline.register", spec=sketch("flights", "a"))
        assert reply["status"] == "accepted"


def pause(reason: str = "", command_id: UUID | None = None) -> Command:
    """A command for `STREAM`."""
    return Command(
        type="pipeline.pause",
        stream=STREAM,
        payload=PausePipeline(reason=reason),
        command_id=command_id or uuid4(),
        payload_hash=reason,
        principal="test",
    )


def resume() -> Command:
    """The way back."""
    return Command(
        type="pipeline.resume",
        stream=STREAM,
        payload=ResumePipeline(),
        command_id=uuid4(),
        payload_hash="",
        principal="test",
    )


def executor(store: EventStore) -> StreamExecutor:
    """An executor for `STREAM` that knows nothing yet."""
    return StreamExecutor(STREAM, store, SystemClock())


async def test_waiting_commands_share_one_append() -> None:
    store = RiggedStore()
    await register(store)
    store.appends = 0
    replies = await executor(store).execute([pause("a"), resume(), pause("b")])
    assert [reply["version"] for reply in replies] == [2, 3, 4]
    assert [reply["position"] for reply in replies] == [2, 3, 4]
    assert store.appends == 1


async def test_one_rejection_leaves_the_others_alone() -> None:
    store = RiggedStore()
    unknown = await executor(store).execute([pause("a"), resume()])
    assert [reply["code"] for reply in unknown] == ["pipeline_not_found"] * 2
    await register(store)
    large = pause("x" * event_bytes_max)
    replies = await executor(store).execute([resume(), large, pause("b")])
    assert [reply["status"] for reply in replies] == ["accepted", "rejected", "accepted"]
    assert replies[1]["code"] == "too_large"
    assert replies[0]["events"] == []
    assert replies[0]["version"] == 1
    assert replies[2]["version"] == 2


async def test_what_changes_nothing_tells_where_the_stream_is() -> None:
    store = RiggedStore()
    await register(store)
    replies = await executor(store).execute([pause("a"), pause("b")])
    assert [reply["events"] for reply in replies] == [["pipeline.paused.v1"], []]
    assert [reply["position"] for reply in replies] == [2, 2]


async def test_the_same_command_in_one_batch_takes_effect_once() -> None:
    store = RiggedStore()
    await register(store)
    command = pause("a")
    replies = await executor(store).execute([command, resume(), command])
    assert replies[0] == replies[2]
    assert len(await store.load(STREAM)) == 3


async def test_the_same_command_is_known_again_after_a_restart() -> None:
    store = RiggedStore()
    await register(store)
    command = pause("a")
    first = await executor(store).execute([command])
    await executor(store).execute([resume()])
    assert await executor(store).execute([command]) == first


async def test_an_id_with_other_content_is_refused() -> None:
    store = RiggedStore()
    await register(store)
    same = uuid4()
    one = executor(store)
    replies = await one.execute([pause("a", same), pause("b", same)])
    assert [reply["status"] for reply in replies] == ["accepted", "rejected"]
    assert replies[1]["code"] == "command_id_reused"
    later = await executor(store).execute([pause("c", same)])
    assert later[0]["code"] == "command_id_reused"
    assert later[0]["details"] == {"command_id": str(same)}


async def test_a_lost_race_is_decided_again_on_what_the_winner_did() -> None:
    store = RiggedStore()
    await register(store)
    one, other = executor(store), executor(store)
    await one.read()
    await other.execute([pause("other")])
    (reply,) = await one.execute([resume()])
    assert (reply["version"], reply["events"]) == (3, ["pipeline.resumed.v1"])


async def test_a_no_is_never_said_from_the_past() -> None:
    store = RiggedStore()
    one = executor(store)
    await one.read()
    await register(store)
    (reply,) = await one.execute([pause("a")])
    assert reply["status"] == "accepted"


async def test_only_the_tail_is_read_after_a_lost_race() -> None:
    store = RiggedStore()
    await register(store)
    one = executor(store)
    await one.read()
    store.before = [Conflict(str(STREAM), 1)]
    store.loads = 0
    await one.execute([pause("a")])
    assert store.loads == 1


async def test_who_loses_every_race_is_told_to_try_again() -> None:
    store = RiggedStore()
    await register(store)
    store.before = [Conflict(str(STREAM), 1) for _ in range(tries_max)]
    (reply,) = await executor(store).execute([pause("a")])
    assert reply["code"] == "unavailable"
    assert len(await store.load(STREAM)) == 1


async def test_an_append_that_failed_but_was_stored_is_answered_as_stored() -> None:
    store = RiggedStore()
    await register(store)
    store.after = [Unavailable("no answer")]
    (reply,) = await executor(store).execute([pause("a")])
    assert (reply["status"], reply["version"]) == ("accepted", 2)


async def test_after_a_failed_append_each_is_decided_again() -> None:
    store = RiggedStore()
    await register(store)
    store.before = [Unavailable("no answer")]
    replies = await executor(store).execute([pause("a"), resume()])
    assert [reply["version"] for reply in replies] == [2, 3]


async def test_a_full_disk_is_told_and_nothing_is_believed() -> None:
    store = RiggedStore()
    await register(store)
    one = executor(store)
    store.before = [StorageFull("no space left")]
    (reply,) = await one.execute([pause("a")])
    assert reply["code"] == "storage_full"
    (again,) = await one.execute([pause("a")])
    assert (again["status"], again["version"]) == ("accepted", 2)


async def test_nothing_is_decided_about_what_a_newer_version_has_written() -> None:
    store = RiggedStore()
    await register(store)
    store.is_newer = True
    decider, command = executor(store), pause()
    replies = await decider.execute([command, resume()])
    assert {reply["code"] for reply in replies} == {"unavailable"}
    assert replies[0]["details"] == {"hint": "update Headwater"}
    assert "'x.y.v2'" in replies[0]["message"]
    store.is_newer = False
    assert (await decider.execute([command]))[0]["status"] == "accepted"


async def test_what_the_store_finds_too_large_takes_nobody_along() -> None:
    store = RiggedStore()
    await register(store)
    store.before = [TooLarge("above the limit"), TooLarge("above the limit")]
    replies = await executor(store).execute([pause("a"), pause("b")])
    assert [reply["status"] for reply in replies] == ["rejected", "accepted"]


async def test_replies_that_are_no_longer_at_hand_are_told_again_from_the_stream() -> None:
    async with open_stage() as stage:
        run = await stage.started("a", "b: a")
        claim = {"run": run, "step": "a", "attempt": 1, "worker": "w", "command_id": str(uuid4())}
        first = await stage.send("run.claim", claim)
        output = {"dataset": "flights.a", "fingerprint": "f" * 64, "rows": 1, "bytes": 9}
        outcome = {"status": "succeeded", "outcome": {"output": output}}
        await stage.reported(first["work"], outcome)
        work = await stage.claimed(run, "b")
        assert list(work["inputs"]) == [{"step": "a", "version": output}]
        await stage.reported(work)
        stage.actors.forget()
        assert await stage.send("run.claim", claim) == first


async def test_few_replies_stay_in_memory() -> None:
    store = RiggedStore()
    await register(store)
    one = executor(store)
    first = await one.execute([pause("a")])
    command = pause("b")
    await one.execute([resume(), command])
    for _ in range(streams.replies_kept_max):
        await one.execute([resume(), pause("again")])
    (again,) = await one.execute([command])
    assert again["version"] == 4
    assert first[0]["version"] == 2


async def test_fifty_at_once_take_effect_once() -> None:
    async with open_stage() as stage:
        await stage.send("pipeline.register", spec=sketch("flights", "a"))
        payload = {"pipeline": "flights", "command_id": str(uuid4())}
        replies = []

        async def send() -> None:
            replies.append(await stage.send("run.start", payload))

        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(send)
        assert replies == [replies[0]] * 50
        assert replies[0]["run"] == payload["command_id"]
        assert len(await stage.history(replies[0]["stream"])) == 3


async def test_reports_sent_twice_count_once() -> None:
    async with open_stage() as stage:
        work = await stage.claimed(await stage.started("a"), "a")
        report = {name: work[name] for name in ("run", "step", "attempt", "lease")}
        report |= {"outcome": SUCCEEDED, "command_id": str(uuid4())}
        first = await stage.send("run.report", report)
        assert first["events"] == ["run.data_processed.v1", "run.completed.v1"]
        assert await stage.send("run.report", report) == first


async def test_registering_with_an_old_id_binds_nothing() -> None:
    async with open_stage() as stage:
        stage.binder.warnings = ("a column is never used",)
        payload = {"spec": sketch("flights", "a"), "command_id": str(uuid4())}
        first = await stage.send("pipeline.register", payload)
        stage.actors.forget()
        assert await stage.send("pipeline.register", payload) == first
        assert stage.binder.bound == 1
        assert first["warnings"] == ["a column is never used"]


async def test_a_run_that_was_accepted_stays_so_when_its_pipeline_is_paused() -> None:
    async with open_stage() as stage:
        await stage.send("pipeline.register", spec=sketch("flights", "a"))
        payload = {"pipeline": "flights", "command_id": str(uuid4())}
        first = await stage.send("run.start", payload)
        await stage.send("pipeline.pause", pipeline="flights")
        assert await stage.send("run.start", payload) == first
        refused = await stage.send("run.start", pipeline="flights")
        assert refused["code"] == "pipeline_paused"


async def test_commands_events_and_what_follows_them_form_one_chain() -> None:
    async with open_stage() as stage:
        await stage.send("pipeline.register", spec=sketch("flights", "a"))
        chain, start = str(uuid4()), str(uuid4())
        reply = await stage.send(
            "run.start", pipeline="flights", command_id=start, correlation_id=chain
        )
        work = await stage.claimed(reply["run"], "a")
        history = await stage.history(reply["stream"])
        claimed = history[-1].metadata
        await stage.send(
            "run.report",
            **{name: work[name] for name in ("run", "step", "attempt", "lease")},
            outcome=SUCCEEDED,
            causation_id=str(claimed.command_id),
        )
        metas = [one.metadata for one in await stage.history(reply["stream"])]
        assert {str(meta.correlation_id) for meta in metas} == {chain}
        assert {str(meta.causation_id) for meta in metas[:3]} == {start}
        assert claimed.causation_id == claimed.command_id
        assert {meta.causation_id for meta in metas[4:]} == {claimed.command_id}
        assert {meta.principal for meta in metas} == {"test:ada"}
        assert work["traceparent"] == metas[0].traceparent


async def test_a_crash_while_deciding_is_a_defect_and_no_reply() -> None:
    broken = Command(
        type="pipeline.register",
        stream=STREAM,
        payload=RegisterPipeline(pipeline="flights", definition=None),  # type: ignore[arg-type]  # a mistake of ours
        command_id=uuid4(),
        payload_hash="",
        principal="test",
    )
    store = RiggedStore()
    await register(store)
    with pytest.raises(AttributeError):
        await executor(store).execute([broken])
    assert len(await store.load(STREAM)) == 1
