"""What is true of the store's file beyond the port: who else can read it, and what it survives."""

import sqlite3
import sys
from functools import partial
from pathlib import Path
from uuid import UUID

import anyio
import anyio.lowlevel
import pytest

from adapters.eventstore.connection import connected, layout
from adapters.eventstore.sqlite import SqliteEventStore
from domain.errors import Malformed, Unavailable
from domain.ids import StreamId
from tests.contracts.events import envelopes, new_stream

pytestmark = pytest.mark.anyio


async def append(store: SqliteEventStore, stream: StreamId, after: int, count: int = 1) -> None:
    await store.append(stream, after, envelopes(stream, after, count))


async def test_a_deleted_newest_position_is_not_given_again(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with SqliteEventStore.open(path) as store:
        await append(store, new_stream(), 0, 3)
    _execute(path, "DELETE FROM stored_events WHERE rowid >= 2")
    async with SqliteEventStore.open(path) as store:
        await append(store, new_stream(), 0, 2)
        records = await store.read(0, 10)
        assert [(record.previous, record.position) for record in records] == [
            (0, 1),
            (1, 4),
            (4, 5),
        ]
        assert [record.previous for record in await store.read(3, 10)] == [1, 4]


async def test_positions_go_on_after_vacuum_of_an_emptied_store(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with SqliteEventStore.open(path) as store:
        await append(store, new_stream(), 0, 3)
    _execute(path, "DELETE FROM stored_events")
    _execute(path, "VACUUM")
    async with SqliteEventStore.open(path) as store:
        assert await store.head() == 0
        await append(store, new_stream(), 0)
        assert await store.head() == 4


async def test_waiting_behind_a_deleted_head_waits(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with SqliteEventStore.open(path) as store:
        await append(store, new_stream(), 0, 2)
        _execute(path, "DELETE FROM stored_events WHERE rowid = 2")
        assert await store.wait(1, 0.01) == 1


async def test_every_commit_is_synced(tmp_path: Path) -> None:
    async with connected(tmp_path / "events.db") as connection:
        synchronous = await connection.run(lambda raw: raw.execute("PRAGMA synchronous").fetchone())
        journal = await connection.run(lambda raw: raw.execute("PRAGMA journal_mode").fetchone())
    assert (synchronous[0], journal[0]) == (2, "wal")


async def test_a_new_file_is_a_new_store(tmp_path: Path) -> None:
    async with (
        SqliteEventStore.open(tmp_path / "a.db") as first,
        SqliteEventStore.open(tmp_path / "b.db") as second,
    ):
        assert first.store_id != second.store_id
        assert first.store_id != UUID(int=0)


async def test_reading_goes_on_while_another_program_writes(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with SqliteEventStore.open(path) as store:
        stream = new_stream()
        await append(store, stream, 0)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            with anyio.fail_after(2):
                assert len(await store.load(stream)) == 1
                assert len(await store.read(0, 10)) == 1
                assert await store.head() == 1
        finally:
            other.execute("ROLLBACK")
            other.close()


async def test_processes_that_race_for_a_stream_leave_no_gap(
    tmp_path: Path, repository: Path
) -> None:
    path, stream = tmp_path / "events.db", new_stream()
    command = [sys.executable, "-m", "tests.adapters.eventstore.appender", path, stream, "40"]
    async with SqliteEventStore.open(path) as store, anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(
                partial(anyio.run_process, [str(word) for word in command], cwd=repository)
            )
        await append(store, new_stream(), 0)
    async with SqliteEventStore.open(path) as store:
        assert [event.version for event in await store.load(stream)] == list(range(1, 81))
        assert [record.position for record in await store.read(0, 100)] == list(range(1, 82))


async def test_a_file_of_a_later_layout_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with SqliteEventStore.open(path):
        pass
    _execute(path, f"PRAGMA user_version = {layout + 1}")
    with pytest.raises(Malformed, match="layout"):
        async with SqliteEventStore.open(path):
            pass


async def test_what_is_no_database_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    path.write_bytes(b"no database at all, but long enough to be taken for a header" * 20)
    with pytest.raises(Unavailable):
        async with SqliteEventStore.open(path):
            pass
    with pytest.raises(Unavailable):
        async with SqliteEventStore.open(tmp_path / "missing" / "events.db"):
            pass


async def test_a_closed_store_refuses(tmp_path: Path) -> None:
    async with SqliteEventStore.open(tmp_path / "events.db") as store:
        stream = new_stream()
    with pytest.raises(Unavailable):
        await append(store, stream, 0)
    with pytest.raises(Unavailable):
        await store.load(stream)


async def test_closing_waits_for_appends_that_have_begun(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    streams = [new_stream() for _ in range(20)]
    async with anyio.create_task_group() as tasks, SqliteEventStore.open(path) as store:
        for stream in streams:
            tasks.start_soon(append, store, stream, 0)
        await anyio.lowlevel.checkpoint()
    async with SqliteEventStore.open(path) as store:
        assert await store.head() == 20


async def test_an_unreadable_event_is_malformed(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    stream = new_stream()
    async with SqliteEventStore.open(path) as store:
        await append(store, stream, 0, 2)
        _execute(path, "UPDATE stored_events SET state = x'7b7d' WHERE rowid = 1")
        for reading in (store.load(stream), store.read(0, 10), store.event_id_at(1)):
            with pytest.raises(Malformed):
                await reading
        assert len(await store.read(1, 10)) == 1


async def test_an_event_id_is_found_wherever_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with SqliteEventStore.open(path) as store:
        await append(store, new_stream(), 0, 2)
        before = [record.event_id for record in await store.read(0, 10)]
        _execute(
            path,
            'UPDATE stored_events SET state = CAST(json_patch(\'{"principal": "x"}\','
            " CAST(state AS TEXT)) AS BLOB) WHERE rowid = 1",
        )
        assert [record.event_id for record in await store.read(0, 10)] == before
        assert await store.event_id_at(1) == before[0]


def _execute(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute(statement)
    finally:
        connection.close()
