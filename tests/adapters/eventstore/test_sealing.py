"""Sealed runs: whoever reads sees the same as before, and a segment that fails is told by name."""

import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from adapters.eventstore.chain import SqliteEventChain
from adapters.eventstore.sealing import SqliteSealing
from adapters.eventstore.segments import group_rows
from adapters.eventstore.sqlite import SqliteEventStore
from domain.envelope import EventEnvelope
from domain.errors import Conflict, Malformed, Unavailable
from domain.ids import StreamId, pipeline_stream
from domain.pipeline.events import PipelinePaused
from domain.run.events import RunCancelled, RunCompleted, StepSkipped
from domain.sealing import EndedRun, grouped, sealable, segment_events_max
from projections.chain import ChainReport, verify_chain
from tests.contracts.events import AT, envelope, envelopes, new_stream

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def run_of(stream: StreamId, steps: int, end: object | None) -> list[EventEnvelope[Any]]:
    """The events of a run, with an end or without."""
    facts: list[object] = [StepSkipped(step=f"s{step}", because="s0") for step in range(steps)]
    facts += [] if end is None else [end]
    return [envelope(stream, version, fact) for version, fact in enumerate(facts, 1)]


async def filled(path: Path, runs: int = 12, seed: int = 1) -> Sequence[StreamId]:
    """Runs whose events stand between each other's; every fourth has not ended."""
    chance = random.Random(seed)
    pipeline = pipeline_stream("flights")
    waiting = []
    for number in range(runs):
        end = (RunCompleted(), RunCompleted(), None, RunCancelled())[number % 4]
        waiting.append(run_of(new_stream(), chance.randrange(2, 9), end))
    streams = [pipeline, *(events[0].stream for events in waiting)]
    async with SqliteEventStore.open(path) as store:
        await store.append(pipeline, 0, [envelope(pipeline, 1, PipelinePaused(pipeline="flights"))])
        while waiting:
            events = chance.choice(waiting[:4])
            part = events[: chance.randrange(1, 4)]
            await store.append(part[0].stream, part[0].version - 1, part)
            del events[: len(part)]
            waiting = [events for events in waiting if events]
        await store.append(pipeline, 1, [envelope(pipeline, 2, PipelinePaused(pipeline="x"))])
    return streams


async def everything(path: Path, streams: Sequence[StreamId]) -> list[object]:
    """All that can be read of a store, in every way."""
    async with SqliteEventStore.open(path) as store:
        head = await store.head()
        whole = await store.read(0, 10_000)
        found: list[object] = [store.store_id, head, whole]
        for after in range(head + 1):
            found.append(await store.event_id_at(after))
            for limit in (1, 3, 1_000):
                assert list(await store.read(after, limit)) == list(whole[after : after + limit])
                stretch = await store.stretch(after, limit)
                assert [*stretch.positions] == [*range(after + 1, min(after + limit, head) + 1)]
                found.append(stretch)
        for stream in streams:
            found += [await store.load(stream, after) for after in range(4)]
        return found


async def contents(path: Path, streams: Sequence[StreamId]) -> list[object]:
    """The log, and each stream."""
    async with SqliteEventStore.open(path) as store:
        return [await store.read(0, 10_000), *[await store.load(stream) for stream in streams]]


async def seal(path: Path, *, share: float = 1.0, seed: int = 1, groups: int = 1) -> int:
    """Seal some of the ended runs in segments; returns how many runs."""
    chance = random.Random(seed)
    async with SqliteSealing.open(path) as sealing:
        ended, head = await sealing.ended()
        chosen = [run for run in sealable(ended, NOW, head) if chance.random() <= share]
        for group in range(groups):
            if part := chosen[group::groups]:
                await sealing.seal(part, NOW)
        return len(chosen)


async def report_of(path: Path) -> ChainReport:
    async with SqliteEventChain.open(path) as chain:
        return await verify_chain(chain)


def rows_in(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM stored_events").fetchone()[0])


@pytest.mark.parametrize("seed", range(6))
async def test_everything_reads_as_before(tmp_path: Path, seed: int) -> None:
    """Three times, so that segments lie between each other and between what is left."""
    path = tmp_path / "events.db"
    streams = await filled(path, runs=16, seed=seed)
    before, proven = await everything(path, streams), await report_of(path)
    live = rows_in(path)
    for share in (0.3, 0.5, 1.0):
        sealed = await seal(path, share=share, seed=seed, groups=2)
        assert rows_in(path) <= live - 2 * sealed
        live = rows_in(path)
        assert await everything(path, streams) == before
        assert await report_of(path) == proven
    assert await seal(path) == 0


async def test_a_store_whose_newest_run_has_ended_keeps_its_head(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    streams = [new_stream(), new_stream()]
    async with SqliteEventStore.open(path) as store:
        for stream in streams:
            await store.append(stream, 0, run_of(stream, 3, RunCompleted()))
    before = await everything(path, streams)
    assert await seal(path) == 1
    assert await everything(path, streams) == before


async def test_a_store_goes_on_behind_what_is_sealed(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    await filled(path)
    async with SqliteEventStore.open(path) as store:
        head = await store.head()
        assert await seal(path) > 5
        stream = new_stream()
        positions = await store.append(stream, 0, envelopes(stream, 0, 2))
        assert list(positions) == [head + 1, head + 2]
        (first, _) = await store.read(head, 10)
        assert (first.position, first.previous) == (head + 1, head)
    assert (await report_of(path)).ok


async def test_a_sealed_stream_keeps_its_version(tmp_path: Path) -> None:
    """Whoever wants to begin it anew is too late, and whoever knows it may go on."""
    path = tmp_path / "events.db"
    stream, other = new_stream(), new_stream()
    async with SqliteEventStore.open(path) as store:
        await store.append(stream, 0, run_of(stream, 3, RunCompleted()))
        await store.append(other, 0, envelopes(other, 0, 1))
        assert await seal(path) == 1
        for expected in (0, 3, 5):
            with pytest.raises(Conflict):
                await store.append(stream, expected, envelopes(stream, expected, 1))
        await store.append(stream, 4, envelopes(stream, 4, 2))
        for after in range(7):
            versions = [event.version for event in await store.load(stream, after)]
            assert versions == list(range(after + 1, 7))
    assert (await report_of(path)).ok


async def test_a_reader_beside_the_sealing_sees_every_event_once(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    await filled(path, runs=60)
    async with SqliteEventStore.open(path) as store:
        head = await store.head()
        done = anyio.Event()

        async def sealing() -> None:
            for _ in range(12):
                await seal(path, share=0.2)
            await seal(path)
            done.set()

        async def read() -> int:
            after, events = 0, 0
            while records := await store.read(after, 7):
                assert [record.position for record in records] == list(
                    range(after + 1, after + 1 + len(records))
                )
                after, events = records[-1].position, events + len(records)
            return events

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sealing)
            while not done.is_set():
                assert await read() == head
        assert await read() == head
    assert (await report_of(path)).events == head


async def test_runs_that_are_open_or_too_young_stay(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    await filled(path)
    async with SqliteSealing.open(path) as sealing:
        ended, head = await sealing.ended()
    assert len(ended) == 9
    assert {run.ended_at for run in ended} == {AT}
    assert list(sealable(ended, AT, head)) == []
    assert list(sealable(ended, AT + timedelta(seconds=1), head)) == ended
    assert ended[-1] not in list(sealable(ended, NOW, ended[-1].last))


async def test_large_runs_share_no_segment(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with SqliteEventStore.open(path) as store:
        for steps in (3, group_rows + 5, 3):
            stream = new_stream()
            await store.append(stream, 0, run_of(stream, steps, RunCompleted()))
        await store.append(stream := new_stream(), 0, envelopes(stream, 0, 1))
        before = await store.read(0, 10_000)
        async with SqliteSealing.open(path) as sealing:
            ended, _ = await sealing.ended()
            await sealing.seal(ended[:2], NOW)
            await sealing.seal(ended[2:], NOW)
        assert await store.read(0, 10_000) == before
        assert len(await store.load(ended[0].stream)) == 4
        assert len(await store.load(ended[1].stream, 7)) == group_rows - 1


def test_groups_are_bounded() -> None:
    def run(events: int, size: int = 1) -> EndedRun:
        return EndedRun(stream=new_stream(), ended_at=AT, last=1, events=events, bytes=size)

    assert list(grouped([])) == []
    runs = [run(segment_events_max - 1), run(1), run(1), run(2 * segment_events_max), run(1)]
    assert [len(group) for group in grouped(runs)] == [2, 1, 1, 1]
    assert [len(group) for group in grouped([run(1, 2**26), run(1, 1), run(1, 2**30)])] == [1, 1, 1]


async def test_what_does_not_fit_its_link_is_not_sealed(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    await filled(path)
    async with SqliteSealing.open(path) as sealing:
        ended, _ = await sealing.ended()
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(
                "UPDATE stored_events SET state = CAST(CAST(state AS TEXT) || ' ' AS BLOB)"
                " WHERE rowid = ?",
                (ended[1].last,),
            )
        live = rows_in(path)
        with pytest.raises(Malformed, match=f"position {ended[1].last} does not fit its link"):
            await sealing.seal(ended, NOW)
        assert rows_in(path) == live
        assert not list((tmp_path / "segments").glob("*.parquet"))


async def test_a_run_that_went_on_meanwhile_is_not_sealed(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    await filled(path)
    async with SqliteSealing.open(path) as sealing, SqliteEventStore.open(path) as store:
        (run, *_), _ = await sealing.ended()
        await store.append(run.stream, run.events, envelopes(run.stream, run.events, 1))
        live = rows_in(path)
        with pytest.raises(Conflict):
            await sealing.seal([run], NOW)
        assert rows_in(path) == live
        assert len(await store.load(run.stream)) == run.events + 1


async def test_one_seals_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    await filled(path)
    async with SqliteSealing.open(path):
        with pytest.raises(Unavailable, match="being sealed already"):
            await seal(path)
    assert await seal(path) == 9


async def sealed_store(path: Path) -> tuple[Sequence[StreamId], Path]:
    streams = await filled(path)
    await seal(path)
    (segment,) = (path.parent / "segments").glob("*.parquet")
    return streams, segment


@pytest.mark.parametrize("harm", ["missing", "cut", "empty", "no parquet", "another"])
async def test_a_segment_that_cannot_be_read_is_named(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "events.db"
    streams, segment = await sealed_store(path)
    content = segment.read_bytes()
    match harm:
        case "missing":
            segment.unlink()
        case "cut":
            segment.write_bytes(content[:-20])
        case "empty":
            segment.write_bytes(b"")
        case "no parquet":
            segment.write_bytes(b"PAR1" + b"x" * 500 + b"PAR1")
        case _:
            (tmp_path / "other").mkdir()
            _, other = await sealed_store(tmp_path / "other/events.db")
            segment.write_bytes(other.read_bytes())
    async with SqliteEventStore.open(path) as store:
        with pytest.raises(Unavailable, match=segment.name):
            await store.read(0, 100)
        with pytest.raises(Unavailable, match=segment.name):
            await store.stretch(0, 100)
        with pytest.raises(Unavailable, match=segment.name):
            await store.load(streams[1])
    report = await report_of(path)
    assert report.ok is False
    assert {one.kind for one in report.findings} == {"unreadable"}
    assert all(segment.name in one.detail for one in report.findings)
    lost = sum(one.last - one.position + 1 for one in report.findings)
    assert report.events == report.position - lost == rows_in(path)


async def test_any_byte_flipped_in_a_segment_is_found(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    _, segment = await sealed_store(path)
    content = segment.read_bytes()
    chance = random.Random(3)
    for offset in chance.sample(range(len(content)), 40):
        flipped = bytearray(content)
        flipped[offset] ^= 1 << chance.randrange(8)
        segment.write_bytes(flipped)
        assert (await report_of(path)).ok is False, offset
    segment.write_bytes(content)
    assert (await report_of(path)).ok is True


async def test_a_segment_that_was_read_before_is_looked_at_again(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    _, segment = await sealed_store(path)
    async with SqliteEventStore.open(path) as store:
        assert len(await store.read(0, 5)) == 5
        segment.write_bytes(bytes(segment.stat().st_size))
        with pytest.raises(Unavailable, match="is not as it was written"):
            await store.read(0, 5)


async def test_the_store_shrinks(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with SqliteEventStore.open(path) as store:
        for _ in range(200):
            stream = new_stream()
            await store.append(stream, 0, run_of(stream, 20, RunCompleted()))
        before = await store.read(0, 10_000)
    size = path.stat().st_size
    assert await seal(path) == 199
    async with SqliteSealing.open(path) as sealing:
        await sealing.shrink()
    assert path.stat().st_size < size / 4
    async with SqliteEventStore.open(path) as store:
        assert await store.read(0, 10_000) == before
        assert list(await store.append(stream, 21, envelopes(stream, 21, 1))) == [len(before) + 1]
    assert (await report_of(path)).ok
