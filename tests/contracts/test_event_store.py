"""What every event store promises, whatever it keeps its events in."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel
import msgspec
import pytest

from adapters.eventstore.postgres import PostgresEventStore
from adapters.eventstore.sqlite import SqliteEventStore
from adapters.memory.eventstore import MemoryEventStore
from domain.catalog import CATALOG
from domain.errors import Conflict, Defect, TooLarge
from domain.ids import StreamId, pipeline_stream
from domain.limits import definition_bytes_max, event_bytes_max
from domain.pipeline.events import Definition, PipelinePaused, PipelineRegistered
from domain.record import from_record
from domain.run.events import StepSkipped
from tests.contracts.events import envelope, envelopes, new_stream

pytestmark = pytest.mark.anyio

RAW = msgspec.Raw(b'{"pipeline":"flights"}')

Store = SqliteEventStore | PostgresEventStore | MemoryEventStore
Opener = Callable[[], AbstractAsyncContextManager[Store]]


@pytest.fixture(params=["sqlite", "postgres", "memory", "memory on trio"])
def adapter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def anyio_backend(adapter: str) -> str:
    return "trio" if adapter.endswith("trio") else "asyncio"


@pytest.fixture
def opener(adapter: str, tmp_path: Path, request: pytest.FixtureRequest) -> Opener:
    """Opens the same store each time; memory has nothing to open again."""
    if adapter == "sqlite":
        return partial(SqliteEventStore.open, tmp_path / "events.db")
    if adapter == "postgres":
        return partial(PostgresEventStore.open, request.getfixturevalue("database"))

    @asynccontextmanager
    async def memory() -> AsyncIterator[Store]:
        yield MemoryEventStore()

    return memory


@pytest.fixture
def lasting(adapter: str) -> None:
    """For tests of what only a store on a disk can promise."""
    if adapter.startswith("memory"):
        pytest.skip("memory is not kept")


@pytest.fixture
async def store(opener: Opener) -> AsyncIterator[Store]:
    async with opener() as opened:
        yield opened


async def positions_of(store: Store) -> list[int]:
    return [record.position for record in await store.read(0, 10_000)]


async def append(store: Store, stream: StreamId, expected: int, count: int = 1) -> list[int]:
    return list(await store.append(stream, expected, envelopes(stream, expected, count)))


async def test_an_unknown_stream_has_no_events(store: Store) -> None:
    assert list(await store.load(new_stream())) == []
    assert await store.head() == 0
    assert list(await store.read(0, 10)) == []
    assert await store.event_id_at(1) is None


async def test_what_was_appended_is_loaded_with_its_positions(store: Store) -> None:
    stream = new_stream()
    sent = envelopes(stream, 0, 3)
    positions = await store.append(stream, 0, sent)
    loaded = await store.load(stream)
    assert [event.position for event in loaded] == list(positions)
    for before, after in zip(sent, loaded, strict=True):
        assert after.data == before.data
        assert after.metadata == before.metadata
        assert (after.event_id, after.recorded_at, after.version, after.stream, after.tag) == (
            before.event_id,
            before.recorded_at,
            before.version,
            before.stream,
            before.tag,
        )


async def test_the_tail_of_a_stream_can_be_loaded_alone(store: Store) -> None:
    stream = new_stream()
    await append(store, stream, 0, 5)
    assert [event.version for event in await store.load(stream, 3)] == [4, 5]
    assert list(await store.load(stream, 5)) == []


async def test_streams_do_not_see_each_other(store: Store) -> None:
    first, second = new_stream(), pipeline_stream("flights")
    await append(store, first, 0, 2)
    await store.append(second, 0, [envelope(second, 1, PipelinePaused(pipeline="flights"))])
    assert [event.stream for event in await store.load(second)] == [second]
    assert [record.stream for record in await store.read(0, 10)] == [first, first, second]


@pytest.mark.parametrize("expected", [0, 1, 3, 7])
async def test_another_version_than_expected_is_a_conflict(store: Store, expected: int) -> None:
    stream = new_stream()
    await append(store, stream, 0, 2)
    with pytest.raises(Conflict):
        await append(store, stream, expected)
    assert [event.version for event in await store.load(stream)] == [1, 2]


async def test_a_stream_cannot_begin_with_a_gap(store: Store) -> None:
    stream = new_stream()
    with pytest.raises(Conflict):
        await append(store, stream, 1)
    assert await store.head() == 0


async def test_envelopes_in_the_wrong_place_are_a_defect(store: Store) -> None:
    stream, other = new_stream(), new_stream()
    with pytest.raises(Defect):
        await store.append(stream, 0, envelopes(stream, 1, 2))
    with pytest.raises(Defect):
        await store.append(stream, 0, envelopes(other, 0, 1))
    with pytest.raises(Defect):
        await store.append(stream, 0, [envelope(stream, 1, PipelinePaused(pipeline="flights"))])
    assert await store.head() == 0


async def test_nothing_to_append_changes_nothing(store: Store) -> None:
    assert list(await store.append(new_stream(), 0, [])) == []
    assert await store.head() == 0


async def test_fifty_at_once_on_one_stream_give_one_winner(store: Store) -> None:
    stream = new_stream()
    results: list[bool] = []

    async def attempt() -> None:
        try:
            await append(store, stream, 0, 2)
        except Conflict:
            results.append(False)
        else:
            results.append(True)

    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(attempt)
    assert sorted(results) == [False] * 49 + [True]
    assert [event.version for event in await store.load(stream)] == [1, 2]


async def test_fifty_at_once_that_try_again_leave_no_gap(store: Store) -> None:
    stream = new_stream()

    async def insist() -> None:
        while True:
            version = len(await store.load(stream))
            try:
                await append(store, stream, version)
            except Conflict:
                continue
            return

    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(insist)
    assert [event.version for event in await store.load(stream)] == list(range(1, 51))


async def test_a_conflict_fails_nobody_else_of_its_group(store: Store) -> None:
    taken, streams = new_stream(), [new_stream() for _ in range(40)]
    await append(store, taken, 0)
    lost: list[str] = []

    async def attempt(stream: StreamId) -> None:
        try:
            await append(store, stream, 0, 2)
        except Conflict as conflict:
            lost.append(conflict.stream)

    async with anyio.create_task_group() as tasks:
        for stream in [*streams[:20], taken, *streams[20:]]:
            tasks.start_soon(attempt, stream)
    assert lost == [str(taken)]
    assert len(await store.load(taken)) == 1
    for stream in streams:
        assert [event.version for event in await store.load(stream)] == [1, 2]


async def test_appends_to_one_stream_may_follow_each_other_in_one_group(store: Store) -> None:
    stream = new_stream()
    lost: list[int] = []

    async def attempt(version: int) -> None:
        try:
            await append(store, stream, version)
        except Conflict as conflict:
            lost.append(conflict.expected)

    async with anyio.create_task_group() as tasks:
        for version in range(20):
            tasks.start_soon(attempt, version)
    loaded = await store.load(stream)
    assert [event.version for event in loaded] == list(range(1, 21 - len(lost)))


async def test_a_caller_who_gives_up_does_not_harm_the_others(store: Store) -> None:
    streams = [new_stream() for _ in range(30)]
    scopes = [anyio.CancelScope() for _ in streams]

    async def attempt(stream: StreamId, scope: anyio.CancelScope) -> None:
        with scope:
            await append(store, stream, 0, 2)

    async with anyio.create_task_group() as tasks:
        for stream, scope in zip(streams, scopes, strict=True):
            tasks.start_soon(attempt, stream, scope)
        await anyio.lowlevel.checkpoint()
        for scope in scopes[::3]:
            scope.cancel()
    for place, stream in enumerate(streams):
        count = len(await store.load(stream))
        assert count in ((0, 2) if place % 3 == 0 else (2,))
    assert len(await append(store, new_stream(), 0)) == 1


async def test_events_of_one_append_stand_together(store: Store) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(append, store, new_stream(), 0, 3)
    streams = [record.stream for record in await store.read(0, 100)]
    assert all(len(set(streams[start : start + 3])) == 1 for start in range(0, 60, 3))


async def test_positions_grow_and_name_the_one_before(store: Store) -> None:
    for _ in range(5):
        await append(store, new_stream(), 0, 2)
    records = await store.read(0, 100)
    positions = [record.position for record in records]
    assert positions == sorted(set(positions))
    assert positions[0] > 0
    assert [record.previous for record in records] == [0, *positions[:-1]]


async def test_reading_goes_on_behind_any_position(store: Store) -> None:
    for _ in range(5):
        await append(store, new_stream(), 0, 2)
    everything = list(await store.read(0, 100))
    read: list[object] = []
    after = 0
    while page := await store.read(after, 3):
        read += page
        after = page[-1].position
    assert read == everything
    assert await store.head() == everything[-1].position
    assert list(await store.read(await store.head(), 10)) == []


async def test_records_hold_the_same_events_as_streams(store: Store) -> None:
    stream = new_stream()
    await append(store, stream, 0, 3)
    assert [from_record(record) for record in await store.read(0, 10)] == await store.load(stream)


async def test_an_event_can_be_told_by_its_position(store: Store) -> None:
    await append(store, new_stream(), 0, 3)
    for record in await store.read(0, 10):
        assert await store.event_id_at(record.position) == record.event_id
    assert await store.event_id_at(await store.head() + 1) is None


async def test_waiting_ends_with_the_next_append(store: Store) -> None:
    heads: list[int] = []

    async def watch() -> None:
        heads.append(await store.wait(0, 60))

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await anyio.lowlevel.checkpoint()
            positions = await append(store, new_stream(), 0)
    assert heads == positions


async def test_waiting_for_what_is_there_returns_at_once(store: Store) -> None:
    await append(store, new_stream(), 0, 2)
    with anyio.fail_after(30):
        assert await store.wait(0, 3_600) == await store.head()


async def test_waiting_in_vain_ends_in_time(store: Store) -> None:
    await append(store, new_stream(), 0)
    head = await store.head()
    assert await store.wait(head, 0.01) == head


async def test_an_event_above_its_limit_is_refused(store: Store) -> None:
    stream = new_stream()
    overhead = len(CATALOG.encode(StepSkipped(step="", because="s0")))
    fits = StepSkipped(step="x" * (event_bytes_max - overhead), because="s0")
    too_large = StepSkipped(step=fits.step + "x", because="s0")
    with pytest.raises(TooLarge):
        await store.append(stream, 0, [envelope(stream, 1, too_large)])
    assert await store.head() == 0
    await store.append(stream, 0, [envelope(stream, 1, fits)])
    assert [event.data for event in await store.load(stream)] == [fits]


async def test_a_definition_has_a_limit_of_its_own(store: Store) -> None:
    def registered(size: int) -> PipelineRegistered:
        definition = Definition(bundle="b" * 64, spec=RAW, files={"q.sql": "x" * size})
        return PipelineRegistered(pipeline="flights", revision=1, definition=definition)

    stream = pipeline_stream("flights")
    room = definition_bytes_max - len(CATALOG.encode(registered(0)))
    with pytest.raises(TooLarge):
        await store.append(stream, 0, [envelope(stream, 1, registered(room + 1))])
    await store.append(stream, 0, [envelope(stream, 1, registered(room))])
    assert len(await store.load(stream)) == 1


async def test_one_event_above_its_limit_refuses_the_whole_append(store: Store) -> None:
    stream = new_stream()
    large = StepSkipped(step="x" * event_bytes_max, because="s0")
    with pytest.raises(TooLarge):
        await store.append(stream, 0, [*envelopes(stream, 0, 1), envelope(stream, 2, large)])
    assert list(await store.load(stream)) == []


@pytest.mark.usefixtures("lasting")
async def test_a_store_opened_again_is_the_same(opener: Opener) -> None:
    stream = new_stream()
    async with opener() as store:
        await append(store, stream, 0, 3)
        before, store_id = await store.load(stream), store.store_id
    async with opener() as store:
        assert store.store_id == store_id
        assert await store.load(stream) == before
        await append(store, stream, 3)
        assert await positions_of(store) == [1, 2, 3, 4]


@pytest.mark.usefixtures("lasting")
async def test_two_stores_on_one_file_keep_each_others_versions(opener: Opener) -> None:
    stream = new_stream()
    async with opener() as first, opener() as second:
        assert first.store_id == second.store_id
        await append(first, stream, 0)
        with pytest.raises(Conflict):
            await append(second, stream, 0)
        await append(second, stream, 1)
        assert await first.load(stream) == await second.load(stream)
        assert await positions_of(first) == [1, 2]


@pytest.mark.usefixtures("lasting")
async def test_two_stores_writing_at_once_lose_nothing(opener: Opener) -> None:
    async with opener() as first, opener() as second:
        async with anyio.create_task_group() as tasks:
            for _ in range(30):
                tasks.start_soon(append, first, new_stream(), 0, 2)
                tasks.start_soon(append, second, new_stream(), 0, 2)
        assert await positions_of(first) == list(range(1, 121))


@pytest.mark.usefixtures("lasting")
async def test_waiting_sees_other_stores_in_time(opener: Opener) -> None:
    async with opener() as first, opener() as second:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(append, second, new_stream(), 0)
            while await first.wait(0, 0.05) == 0:
                await anyio.lowlevel.checkpoint()
        assert await first.head() == 1
