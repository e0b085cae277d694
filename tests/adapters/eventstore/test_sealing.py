"""Sealed runs: whoever reads sees the same as before, and a segment that fails is told by name."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from adapters.eventstore.sealing import SqliteSealing
from adapters.eventstore.segments import group_rows
from adapters.eventstore.sqlite import SqliteEventStore
from domain.errors import Unavailable
from domain.ids import StreamId
from domain.run.events import RunCompleted
from domain.sealing import EndedRun, grouped, segment_events_max
from tests.contracts.events import AT, envelopes, new_stream
from tests.contracts.sealing import NOW, SqliteGround, filled, report_of, run_of, seal

pytestmark = pytest.mark.anyio


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


async def sealed_store(path: Path) -> tuple[Sequence[StreamId], Path]:
    streams = await filled(SqliteGround(path))
    await seal(SqliteGround(path))
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
    report = await report_of(SqliteGround(path))
    assert report.ok is False
    assert {one.kind for one in report.findings} == {"unreadable"}
    assert all(segment.name in one.detail for one in report.findings)
    lost = sum(one.last - one.position + 1 for one in report.findings)
    assert report.events == report.position - lost == await SqliteGround(path).live()


async def test_any_byte_flipped_in_a_segment_is_found(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    _, segment = await sealed_store(path)
    content = segment.read_bytes()
    chance = random.Random(3)
    for offset in chance.sample(range(len(content)), 40):
        flipped = bytearray(content)
        flipped[offset] ^= 1 << chance.randrange(8)
        segment.write_bytes(flipped)
        assert (await report_of(SqliteGround(path))).ok is False, offset
    segment.write_bytes(content)
    assert (await report_of(SqliteGround(path))).ok is True


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
    assert await seal(SqliteGround(path)) == 199
    async with SqliteSealing.open(path) as sealing:
        await sealing.shrink()
    assert path.stat().st_size < size / 4
    async with SqliteEventStore.open(path) as store:
        assert await store.read(0, 10_000) == before
        assert list(await store.append(stream, 21, envelopes(stream, 21, 1))) == [len(before) + 1]
    assert (await report_of(SqliteGround(path))).ok
