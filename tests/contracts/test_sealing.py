"""What sealing promises on every store: whoever reads sees the same as before."""

from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from domain.errors import Conflict, Malformed, Unavailable
from domain.run.events import RunCompleted
from domain.sealing import sealable
from tests.contracts.events import AT, envelopes, new_stream
from tests.contracts.sealing import (
    NOW,
    Ground,
    PostgresGround,
    SqliteGround,
    everything,
    filled,
    report_of,
    run_of,
    seal,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", "postgres"])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Ground:
    if request.param == "sqlite":
        return SqliteGround(tmp_path / "events.db")
    return PostgresGround(request.getfixturevalue("database"))


@pytest.mark.parametrize("seed", range(2))
async def test_everything_reads_as_before(ground: Ground, seed: int) -> None:
    """Three times, so that segments lie between each other and between what is left."""
    streams = await filled(ground, runs=12, seed=seed)
    before, proven = await everything(ground, streams), await report_of(ground)
    live = await ground.live()
    for share in (0.3, 0.5, 1.0):
        sealed = await seal(ground, share=share, seed=seed, groups=2)
        assert await ground.live() <= live - 2 * sealed
        live = await ground.live()
        assert await everything(ground, streams) == before
        assert await report_of(ground) == proven
    assert await seal(ground) == 0


async def test_a_store_whose_newest_run_has_ended_keeps_its_head(ground: Ground) -> None:
    streams = [new_stream(), new_stream()]
    async with ground.store() as store:
        for stream in streams:
            await store.append(stream, 0, run_of(stream, 3, RunCompleted()))
    before = await everything(ground, streams)
    assert await seal(ground) == 1
    assert await everything(ground, streams) == before


async def test_a_store_goes_on_behind_what_is_sealed(ground: Ground) -> None:
    await filled(ground)
    async with ground.store() as store:
        head = await store.head()
        assert await seal(ground) > 5
        stream = new_stream()
        positions = await store.append(stream, 0, envelopes(stream, 0, 2))
        assert list(positions) == [head + 1, head + 2]
        (first, _) = await store.read(head, 10)
        assert (first.position, first.previous) == (head + 1, head)
    assert (await report_of(ground)).ok


async def test_a_sealed_stream_keeps_its_version(ground: Ground) -> None:
    """Whoever wants to begin it anew is too late, and whoever knows it may go on."""
    stream, other = new_stream(), new_stream()
    async with ground.store() as store:
        await store.append(stream, 0, run_of(stream, 3, RunCompleted()))
        await store.append(other, 0, envelopes(other, 0, 1))
        assert await seal(ground) == 1
        for expected in (0, 3, 5):
            with pytest.raises(Conflict):
                await store.append(stream, expected, envelopes(stream, expected, 1))
        await store.append(stream, 4, envelopes(stream, 4, 2))
        for after in range(7):
            versions = [event.version for event in await store.load(stream, after)]
            assert versions == list(range(after + 1, 7))
    assert (await report_of(ground)).ok


async def test_a_reader_beside_the_sealing_sees_every_event_once(ground: Ground) -> None:
    await filled(ground, runs=60)
    async with ground.store() as store:
        head = await store.head()
        done = anyio.Event()

        async def sealing() -> None:
            for _ in range(12):
                await seal(ground, share=0.2)
            await seal(ground)
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
    assert (await report_of(ground)).events == head


async def test_runs_that_are_open_or_too_young_stay(ground: Ground) -> None:
    await filled(ground)
    async with ground.sealing() as sealing:
        ended, head = await sealing.ended()
    assert len(ended) == 9
    assert {run.ended_at for run in ended} == {AT}
    assert list(sealable(ended, AT, head)) == []
    assert list(sealable(ended, AT + timedelta(seconds=1), head)) == ended
    assert ended[-1] not in list(sealable(ended, NOW, ended[-1].last))


async def test_what_does_not_fit_its_link_is_not_sealed(ground: Ground) -> None:
    await filled(ground)
    async with ground.sealing() as sealing:
        ended, _ = await sealing.ended()
        await ground.spoil(ended[1].last)
        live = await ground.live()
        with pytest.raises(Malformed, match=f"position {ended[1].last} does not fit its link"):
            await sealing.seal(ended, NOW)
        assert await ground.live() == live


async def test_a_run_that_went_on_meanwhile_is_not_sealed(ground: Ground) -> None:
    await filled(ground)
    async with ground.sealing() as sealing, ground.store() as store:
        (run, *_), _ = await sealing.ended()
        await store.append(run.stream, run.events, envelopes(run.stream, run.events, 1))
        live = await ground.live()
        with pytest.raises(Conflict):
            await sealing.seal([run], NOW)
        assert await ground.live() == live
        assert len(await store.load(run.stream)) == run.events + 1


async def test_one_seals_at_a_time(ground: Ground) -> None:
    await filled(ground)
    async with ground.sealing():
        with pytest.raises(Unavailable, match="being sealed already"):
            await seal(ground)
    assert await seal(ground) == 9


async def test_a_segment_that_was_altered_is_named(ground: Ground) -> None:
    streams = await filled(ground)
    await seal(ground)
    async with ground.store() as store:
        name = await ground.spoil_segment()
        with pytest.raises(Unavailable, match=name):
            await store.read(0, 100)
        with pytest.raises(Unavailable, match=name):
            await store.stretch(0, 100)
        with pytest.raises(Unavailable, match=name):
            await store.load(streams[1])
    report = await report_of(ground)
    assert report.ok is False
    assert {one.kind for one in report.findings} == {"unreadable"}
    assert all(name in one.detail for one in report.findings)
    lost = sum(one.last - one.position + 1 for one in report.findings)
    assert report.events == report.position - lost == await ground.live()


async def test_the_room_is_used_again(ground: Ground) -> None:
    async def more() -> None:
        async with ground.store() as store:
            for _ in range(300):
                stream = new_stream()
                await store.append(stream, 0, run_of(stream, 20, RunCompleted()))

    await more()
    async with ground.sealing() as sealing:
        size = await sealing.size()
        ended, head = await sealing.ended()
        await sealing.seal(list(sealable(ended, NOW, head)), NOW)
        await sealing.shrink()
    assert await ground.live() == 21
    await more()
    async with ground.sealing() as sealing:
        assert await sealing.size() < 1.5 * size
