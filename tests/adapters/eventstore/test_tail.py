"""Those who follow a store hear of each commit at once, and miss none without a sign."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace

from adapters.eventstore import tail
from adapters.eventstore.postgres import PostgresEventStore
from adapters.eventstore.sqlite import SqliteEventStore
from adapters.eventstore.tail import Tail
from adapters.memory.eventstore import MemoryEventStore
from adapters.postgres import Database
from commands.ports import EventStore
from domain.errors import Unavailable
from domain.record import Recorded
from tests.contracts.bus import records
from tests.contracts.events import envelopes, new_stream

pytestmark = pytest.mark.anyio


Store = SqliteEventStore | PostgresEventStore
Opener = Callable[[], AbstractAsyncContextManager[Store]]


@pytest.fixture(params=["sqlite", "postgres"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Opens the same store each time."""
    if request.param == "sqlite":
        return partial(SqliteEventStore.open, tmp_path / "events.db")
    return partial(PostgresEventStore.open, request.getfixturevalue("database"))


async def append(store: EventStore, count: int) -> None:
    stream = new_stream()
    await store.append(stream, 0, envelopes(stream, 0, count))


def places(found: Sequence[Recorded]) -> list[int]:
    return [record.position for record in found]


async def test_a_feed_gives_what_the_store_has(opener: Opener) -> None:
    async with opener() as store:
        await append(store, 2)
        feed = store.feed()
        await append(store, 3)
        heard = [*await feed.next(2, 5.0), *await feed.next(9, 5.0)]
        assert heard == list(await store.read(2, 9))
        assert list(await feed.next(9, 0.01)) == []


async def test_a_feed_begins_behind_what_was_stored_before(opener: Opener) -> None:
    async with opener() as store:
        await append(store, 4)
    async with opener() as store:
        feed = store.feed()
        await append(store, 1)
        (record,) = await feed.next(9, 5.0)
        assert (record.previous, record.position) == (4, 5)


async def test_events_of_others_in_between_are_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with SqliteEventStore.open(path) as store, SqliteEventStore.open(path) as other:
        feed = store.feed()
        await append(store, 1)
        await append(other, 2)
        await append(store, 1)
        await append(store, 1)
        heard = [*await feed.next(9, 5.0), *await feed.next(9, 5.0)]
        assert [(one.previous, one.position) for one in heard] == [(4, 5)]


async def test_a_feed_beside_other_writers_misses_nothing(database: Database) -> None:
    async with (
        PostgresEventStore.open(database) as store,
        PostgresEventStore.open(database) as other,
    ):
        feed = store.feed()
        heard: list[int] = []
        async with anyio.create_task_group() as tasks:
            for number in range(30):
                tasks.start_soon(append, other if number % 3 else store, 2)
            while len(heard) < 60:
                heard += places(await feed.next(7, 60.0))
        assert heard == list(range(1, 61))


async def test_a_store_that_is_away_is_silence_in_a_feed() -> None:
    class Away(MemoryEventStore):
        async def wait(self, after: int, seconds: float) -> int:
            raise Unavailable(f"nothing behind {after} in {seconds} s")

    store = Away()
    feed = store.feed()
    await append(store, 1)
    assert list(await feed.next(9, 0.01)) == []


async def test_a_followed_log_reads_on_in_memory_and_finds_what_others_stored(
    opener: Opener,
) -> None:
    async with opener() as store, opener() as other:
        await append(store, 2)
        log = store.followed()
        assert places(await log.read(0, 9)) == [1, 2]
        await append(other, 2)
        assert await log.read(2, 9) == ()
        assert await log.wait(2, 0.01) == 4
        assert places(await log.read(2, 9)) == [3, 4]
        await append(store, 2)
        assert await log.wait(4, 5.0) == 6
        assert places(await log.read(4, 9)) == [5, 6]
        assert list(await log.read(5, 9)) == list(await store.read(5, 9))


@pytest.mark.parametrize("limit", ["tail_events_max", "tail_bytes_max"])
async def test_who_is_too_late_is_told_by_a_gap(
    limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [replace(event, state=b"x" * 10) for event in records(30)]
    monkeypatch.setattr(tail, limit, 4 if limit == "tail_events_max" else 40)
    held = Tail(0)
    for event in events:
        held.extend([event])
    kept = held.behind(0, 99)
    assert 0 < len(kept) <= 4
    assert kept[-1] == events[-1]
    assert kept[0].previous > 0
    assert not held.reaches(kept[0].previous - 1)
    assert held.reaches(kept[0].previous)
