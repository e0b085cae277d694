"""A disk without room: nothing is acknowledged that is not kept, and the store goes on later."""

import resource
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
import pytest

from adapters.eventstore.connection import connected, prepare
from adapters.eventstore.sqlite import SqliteEventStore
from domain.catalog import CATALOG
from domain.errors import StorageFull
from domain.ids import StreamId
from tests.contracts.events import envelopes, new_stream

pytestmark = pytest.mark.anyio


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The operating system refuses to let any file of this process grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@asynccontextmanager
async def store_of_pages(path: Path, free: int) -> AsyncIterator[SqliteEventStore]:
    """A store whose database may grow by `free` pages only."""

    def limit(connection: sqlite3.Connection) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + free:d}")

    async with connected(path) as writing, connected(path) as reading:
        store_id = await writing.run(prepare)
        await writing.run(limit)
        yield SqliteEventStore(
            store_id=store_id, writing=writing, loading=reading, reading=reading, catalog=CATALOG
        )


class Filler:
    """Appends to new streams until the store refuses, and remembers what was acknowledged."""

    def __init__(self, store: SqliteEventStore) -> None:
        self._store = store
        self.kept: list[StreamId] = []
        self.refused: list[StreamId] = []

    async def fill(self) -> None:
        """Eight callers at once, each until its first refusal."""
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(self._fill)

    async def _fill(self) -> None:
        for _ in range(1_000):
            stream = new_stream()
            try:
                await self._store.append(stream, 0, envelopes(stream, 0, 20))
            except StorageFull:
                self.refused.append(stream)
                return
            self.kept.append(stream)


async def assert_only_kept(store: SqliteEventStore, filler: Filler) -> None:
    assert len(filler.refused) == 8
    assert len(filler.kept) > 0
    for stream in filler.kept:
        assert [event.version for event in await store.load(stream)] == list(range(1, 21))
    for stream in filler.refused:
        assert list(await store.load(stream)) == []
    assert await store.head() == 20 * len(filler.kept)


async def test_a_full_disk_acknowledges_nothing_and_recovers(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with SqliteEventStore.open(path) as store:
        filler = Filler(store)
        with files_of_at_most(500_000):
            await filler.fill()
            await assert_only_kept(store, filler)
            with pytest.raises(StorageFull):
                await store.append(filler.refused[0], 0, envelopes(filler.refused[0], 0, 2_000))
        await assert_only_kept(store, filler)
        for stream in filler.refused:
            await store.append(stream, 0, envelopes(stream, 0, 20))
        filler.kept += filler.refused
    async with SqliteEventStore.open(path) as store:
        assert await store.head() == 20 * len(filler.kept)
        for stream in filler.kept:
            assert [event.version for event in await store.load(stream)] == list(range(1, 21))


async def test_a_database_at_its_bound_acknowledges_nothing_and_recovers(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with store_of_pages(path, 60) as store:
        filler = Filler(store)
        await filler.fill()
        await assert_only_kept(store, filler)
    async with SqliteEventStore.open(path) as store:
        await assert_only_kept(store, filler)
        for stream in filler.refused:
            await store.append(stream, 0, envelopes(stream, 0, 20))
        assert await store.head() == 20 * (len(filler.kept) + 8)


async def test_readers_and_waiters_live_on_without_room(tmp_path: Path) -> None:
    async with SqliteEventStore.open(tmp_path / "events.db") as store:
        filler = Filler(store)
        with files_of_at_most(300_000):
            await filler.fill()
            head = await store.head()
            assert len(await store.read(0, 10_000)) == head
            assert await store.wait(head, 0.01) == head
