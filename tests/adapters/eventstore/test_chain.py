"""The chain in a file: bytes flipped in it, stores that had none, and readers beside a writer."""

import random
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import anyio
import pytest

from adapters.eventstore.chain import SqliteEventChain, chain_old_events
from adapters.eventstore.connection import connected, layout, prepare
from adapters.eventstore.sqlite import SqliteEventStore
from domain.errors import Failure, Malformed, Unavailable
from domain.ids import StreamId
from domain.limits import event_bytes_max
from domain.record import Recorded
from domain.run.events import StepSkipped
from projections.chain import ChainReport, verify_chain
from projections.limits import chain_events_max, chain_findings_max
from tests.contracts.events import envelope, envelopes, new_stream

pytestmark = pytest.mark.anyio

flips = 200
"""Bytes flipped in the file, one at a time."""


async def filled(path: Path, commits: int = 6, events: int = 3) -> Sequence[StreamId]:
    streams = [new_stream() for _ in range(commits)]
    async with SqliteEventStore.open(path) as store:
        for stream in streams:
            await store.append(stream, 0, envelopes(stream, 0, events))
    return streams


async def report_of(path: Path) -> ChainReport:
    async with SqliteEventChain.open(path) as chain:
        return await verify_chain(chain)


async def everything(path: Path, streams: Sequence[StreamId]) -> Sequence[object]:
    async with SqliteEventStore.open(path) as store:
        records: Sequence[Recorded] = await store.read(0, 1_000)
        return [store.store_id, records, *[await store.load(stream) for stream in streams]]


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


async def test_any_byte_flipped_in_the_file_is_found_or_changes_nothing(tmp_path: Path) -> None:
    path, broken = tmp_path / "events.db", tmp_path / "broken.db"
    streams = await filled(path)
    before = await everything(path, streams)
    content = path.read_bytes()
    chance = random.Random(7)
    found = 0
    for offset in chance.sample(range(len(content)), flips):
        flipped = bytearray(content)
        flipped[offset] ^= 1 << chance.randrange(8)
        broken.write_bytes(flipped)
        for beside in ("broken.db-wal", "broken.db-shm"):
            (tmp_path / beside).unlink(missing_ok=True)
        try:
            is_proven = (await report_of(broken)).ok
        except Failure:
            is_proven = False
        found += not is_proven
        assert not is_proven or await everything(broken, streams) == before, offset
    assert found > flips / 10


async def test_a_flipped_byte_of_an_event_is_named_with_its_event(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    streams = await filled(path)
    content = bytearray(path.read_bytes())
    state = (await everything(path, streams))[1][7].state  # type: ignore[index]  # records
    place = content.index(state)
    content[place + 100] ^= 0x02
    path.write_bytes(content)
    report = await report_of(path)
    (finding,) = report.findings
    assert (finding.position, finding.stream, finding.version) == (8, str(streams[2]), 2)
    assert finding.detail.startswith("byte 100 of its state is ")
    assert report.events == 17


async def test_a_page_of_the_file_that_is_gone_is_told(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    await filled(path, commits=40)
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'stored_events'"
        ).fetchone()
    content = path.read_bytes()
    start = (page - 1) * 4096
    path.write_bytes(content[:start] + bytes(4096) + content[start + 4096 :])
    report = await report_of(path)
    assert {one.kind for one in report.findings} >= {"unreadable", "damaged"}
    assert (report.ok, report.events) == (False, 0)


async def test_an_index_that_misses_an_event_is_told(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    await filled(path)
    execute(
        path,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema"
        " WHERE name = 'store_identity') WHERE name LIKE 'sqlite_autoindex_stored_events%'",
    )
    assert {one.kind for one in (await report_of(path)).findings} == {"damaged"}


async def test_a_value_of_another_type_does_not_pass_for_itself(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    await filled(path)
    execute(
        path,
        "UPDATE stored_events SET state = CAST(state AS TEXT) WHERE rowid = 3",
        "UPDATE stored_events SET topic = CAST(topic AS BLOB) WHERE rowid = 5",
    )
    assert [one.position for one in (await report_of(path)).findings] == [3, 5]


async def test_an_event_put_in_before_all_others_is_told(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    await filled(path)
    execute(
        path,
        "INSERT INTO stored_events SELECT -5, 'ab', 1, topic, state FROM stored_events LIMIT 1",
    )
    (finding,) = (await report_of(path)).findings
    assert (finding.kind, finding.position, finding.stream) == ("unchained", -5, "ab")


async def test_what_others_put_in_stays_told_when_the_store_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    await filled(path)
    execute(
        path,
        "INSERT INTO stored_events SELECT NULL, 'ab', 1, topic, state FROM stored_events LIMIT 1",
    )
    await filled(path)
    report = await report_of(path)
    assert [(one.kind, one.position) for one in report.findings] == [("unchained", 19)]
    assert report.position == 37


async def test_a_count_beyond_the_end_is_told(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    await filled(path)
    execute(
        path,
        "DELETE FROM stored_events WHERE rowid > 15",
        "DELETE FROM event_links WHERE first_position > 15",
    )
    (finding,) = (await report_of(path)).findings
    assert (finding.kind, finding.position, finding.last) == ("cut_off", 16, 18)


async def test_links_in_the_wrong_place_are_told(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    await filled(path)
    execute(path, "UPDATE event_links SET links = links || links WHERE first_position = 4")
    assert not (await report_of(path)).ok
    execute(path, "DELETE FROM event_links")
    (finding,) = (await report_of(path)).findings
    assert (finding.kind, finding.position, finding.last) == ("unchained", 1, 18)


async def test_too_many_findings_end_the_search(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    await filled(path, commits=1, events=chain_findings_max + chain_events_max + 10)
    execute(path, "UPDATE stored_events SET state = x'00'")
    report = await report_of(path)
    assert (len(report.findings), report.more, report.ok) == (chain_findings_max, True, False)


async def test_large_events_are_chained_and_proven(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with SqliteEventStore.open(path) as store:
        for _ in range(3):
            stream = new_stream()
            large = StepSkipped(step="x" * (event_bytes_max - 100), because="s0")
            await store.append(stream, 0, [envelope(stream, 1, large)])
    assert (await report_of(path)).events == 3


def without_chain(path: Path) -> None:
    """As the store was before there were chains."""
    execute(path, "DROP TABLE event_links", "PRAGMA user_version = 1")


@pytest.mark.parametrize("events", [0, 1, 1_000, 2_501])
async def test_a_store_without_a_chain_is_chained_when_it_is_opened(
    tmp_path: Path, events: int
) -> None:
    path, stream = tmp_path / "events.db", new_stream()
    async with SqliteEventStore.open(path) as store:
        await store.append(stream, 0, envelopes(stream, 0, events))
    head = (await report_of(path)).head
    without_chain(path)
    with pytest.raises(Unavailable, match="an older Headwater"):
        await report_of(path)
    async with SqliteEventStore.open(path) as store:
        assert (await report_of(path)).head == head
        await store.append(stream, events, envelopes(stream, events, 2))
    report = await report_of(path)
    assert (report.ok, report.events) == (True, events + 2)


async def test_chaining_an_old_store_goes_on_where_it_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    await filled(path, commits=1, events=2_500)
    execute(path, "DELETE FROM stored_events WHERE rowid IN (700, 701, 1500)")
    without_chain(path)
    async with connected(path) as connection:
        store_id = await connection.run(prepare)
        assert await connection.run(partial(chain_old_events, store_id=store_id)) is True
        with pytest.raises(Unavailable, match="an older Headwater"):
            await report_of(path)
    async with SqliteEventStore.open(path):
        pass
    report = await report_of(path)
    assert (report.ok, report.events, report.position) == (True, 2_497, 2_500)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (layout,)


async def test_a_newer_store_is_not_judged(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    await filled(path)
    execute(path, f"PRAGMA user_version = {layout + 1}")
    with pytest.raises(Malformed, match="has layout"):
        await report_of(path)


async def test_proving_makes_no_file_and_changes_none(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with pytest.raises(Unavailable):
        await report_of(path)
    assert not path.exists()
    await filled(path)
    before = path.read_bytes()
    assert (await report_of(path)).ok
    assert path.read_bytes() == before


async def test_a_chain_is_proven_beside_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with SqliteEventStore.open(path) as store, SqliteEventChain.open(path) as chain:
        written = anyio.Event()

        async def write() -> None:
            for _ in range(100):
                stream = new_stream()
                await store.append(stream, 0, envelopes(stream, 0, 20))
            written.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            while not written.is_set():
                assert (await verify_chain(chain)).ok
        assert (await verify_chain(chain)).events == 2_000


async def test_two_stores_on_one_file_make_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with (
        SqliteEventStore.open(path) as first,
        SqliteEventStore.open(path) as second,
        anyio.create_task_group() as tasks,
    ):
        for store in (first, second) * 20:
            stream = new_stream()
            tasks.start_soon(store.append, stream, 0, envelopes(stream, 0, 3))
    report = await report_of(path)
    assert (report.ok, report.events) == (True, 120)


async def test_a_copy_of_the_file_is_proven_like_it(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    await filled(path)
    shutil.copy(path, tmp_path / "copy.db")
    assert await report_of(tmp_path / "copy.db") == await report_of(path)
