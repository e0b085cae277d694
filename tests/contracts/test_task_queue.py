"""What every work queue promises."""

from collections.abc import Sequence

import anyio
import pytest

from commands.ports import Task, TaskDelivery, TaskSource
from tests.contracts.bus import ACK_SECONDS, Bus, adapter, anyio_backend, bus, clock, task

pytestmark = pytest.mark.anyio

__all__ = ["adapter", "anyio_backend", "bus"]


async def taken(source: TaskSource, count: int) -> Sequence[TaskDelivery]:
    """So many tasks; a source may hand out fewer than asked for at a time."""
    found: list[TaskDelivery] = []
    with anyio.fail_after(10):
        while len(found) < count:
            found.extend(await source.next(count - len(found), 1.0))
    return found


async def test_a_task_comes_as_it_was_put(bus: Bus) -> None:
    wanted = Task(
        run=clock.new_id(),
        step="clean",
        attempt=2,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        correlation_id=clock.new_id(),
    )
    async with bus.source() as source:
        assert await bus.queue().ensure(wanted)
        (delivery,) = await source.next(1, 5.0)
    assert delivery.task == wanted


async def test_a_waiting_task_is_not_added_twice(bus: Bus) -> None:
    one = task()
    assert await bus.queue().ensure(one)
    assert not await bus.queue().ensure(one)
    async with bus.source() as source:
        assert len(await source.next(10, 5.0)) == 1
        assert list(await source.next(10, 0.1)) == []


async def test_a_task_in_work_is_not_added_either(bus: Bus) -> None:
    one = task()
    async with bus.source() as source:
        await bus.queue().ensure(one)
        await source.next(1, 5.0)
        assert not await bus.queue().ensure(one)


async def test_other_attempts_are_other_tasks(bus: Bus) -> None:
    one = task()
    assert await bus.queue().ensure(one)
    assert await bus.queue().ensure(task(run=one.run, attempt=2))
    assert await bus.queue().ensure(task("check", run=one.run))
    async with bus.source() as source:
        assert len(await taken(source, 3)) == 3


async def test_a_finished_task_is_gone(bus: Bus) -> None:
    one = task()
    async with bus.source() as source:
        await bus.queue().ensure(one)
        (delivery,) = await source.next(1, 5.0)
        await delivery.finish()
        assert list(await source.next(1, ACK_SECONDS + 0.2)) == []
    assert await bus.queue().ensure(one)


async def test_no_more_than_asked_for(bus: Bus) -> None:
    async with bus.source() as source:
        for number in range(5):
            await bus.queue().ensure(task(attempt=number))
        first = await source.next(3, 5.0)
        rest = await taken(source, 5 - len(first))
    assert len(first) <= 3
    assert [one.task.attempt for one in (*first, *rest)] == [0, 1, 2, 3, 4]


async def test_none_after_the_time(bus: Bus) -> None:
    async with bus.source() as source:
        assert list(await source.next(1, 0.05)) == []


async def test_a_waiting_worker_is_woken(bus: Bus) -> None:
    one, found = task(), list[Task]()
    async with bus.source() as source, anyio.create_task_group() as tasks:

        async def work() -> None:
            found.extend(delivery.task for delivery in await source.next(1, 10.0))

        tasks.start_soon(work)
        await anyio.wait_all_tasks_blocked()
        await bus.queue().ensure(one)
    assert found == [one]


async def test_a_task_goes_to_one_worker(bus: Bus) -> None:
    async with bus.source() as one, bus.source() as other:
        await bus.queue().ensure(task())
        assert len(await one.next(1, 5.0)) == 1
        assert list(await other.next(1, ACK_SECONDS / 4)) == []


async def test_a_forgotten_task_goes_to_another_worker(bus: Bus) -> None:
    one = task()
    async with bus.source() as first, bus.source() as second:
        await bus.queue().ensure(one)
        await first.next(1, 5.0)
        (delivery,) = await second.next(1, 5.0)
        assert delivery.task == one
        await delivery.finish()


async def test_a_task_kept_alive_stays(bus: Bus) -> None:
    async with bus.source() as first, bus.source() as second:
        await bus.queue().ensure(task())
        (delivery,) = await first.next(1, 5.0)
        for _ in range(4):
            assert list(await second.next(1, ACK_SECONDS / 2)) == []
            await delivery.keep_alive()
        await delivery.finish()


async def test_a_task_given_back_comes_again_when_its_time_has_come(bus: Bus) -> None:
    async with bus.source() as source:
        await bus.queue().ensure(task())
        (delivery,) = await source.next(1, 5.0)
        given = clock.monotonic()
        await delivery.give_back(0.3)
        (again,) = await source.next(1, 5.0)
        assert clock.monotonic() - given >= 0.25
        assert again.task == delivery.task


async def test_a_purged_queue_takes_the_same_tasks_again(bus: Bus) -> None:
    waiting, in_work = task(), task()
    async with bus.source() as source:
        await bus.queue().ensure(in_work)
        await source.next(1, 5.0)
        await bus.queue().ensure(waiting)
        await bus.purge_tasks()
        assert await bus.queue().ensure(in_work)
        assert await bus.queue().ensure(waiting)
        assert len(await taken(source, 2)) == 2


async def test_a_wiped_queue_is_made_again(bus: Bus) -> None:
    one = task()
    async with bus.source() as source:
        await bus.queue().ensure(one)
        await bus.wipe()
        assert await bus.queue().ensure(one)
        (delivery,) = await source.next(1, 5.0)
        assert delivery.task == one


async def test_finishing_what_was_wiped_is_fine(bus: Bus) -> None:
    async with bus.source() as source:
        await bus.queue().ensure(task())
        (delivery,) = await source.next(1, 5.0)
        await bus.wipe()
        await delivery.finish()


async def test_finishing_what_was_wiped_takes_no_other_task(bus: Bus) -> None:
    async with bus.source() as source:
        await bus.queue().ensure(task())
        (old,) = await source.next(1, 5.0)
        await bus.wipe()
        other = task()
        assert await bus.queue().ensure(other)
        await old.finish()
        (delivery,) = await taken(source, 1)
        assert delivery.task == other
        await old.finish()
        assert not await bus.queue().ensure(other)
