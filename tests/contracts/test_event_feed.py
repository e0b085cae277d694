"""What every feed of live events promises."""

import anyio
import pytest

from tests.contracts.bus import Bus, adapter, anyio_backend, bus, received, records

pytestmark = pytest.mark.anyio

__all__ = ["adapter", "anyio_backend", "bus"]


async def test_events_come_as_they_were_published(bus: Bus) -> None:
    events = records(3)
    async with bus.feed() as feed:
        await bus.publisher().publish(events, "e1", 0)
        assert list(await received(feed, 3)) == list(events)


async def test_silence_is_no_error(bus: Bus) -> None:
    async with bus.feed() as feed:
        assert list(await feed.next(10, 0.05)) == []


async def test_a_waiting_reader_is_woken(bus: Bus) -> None:
    async with bus.feed() as feed, anyio.create_task_group() as tasks:
        seen: list[int] = []

        async def read() -> None:
            seen.extend(event.position for event in await feed.next(10, 10.0))

        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        await bus.publisher().publish(records(1), "e1", 0)
    assert seen == [1]


async def test_no_more_than_asked_for(bus: Bus) -> None:
    async with bus.feed() as feed:
        await bus.publisher().publish(records(5), "e1", 0)
        first = await received(feed, 2)
        rest = await received(feed, 3)
    assert [event.position for event in (*first, *rest)] == [1, 2, 3, 4, 5]


async def test_every_feed_hears_everything(bus: Bus) -> None:
    async with bus.feed() as one, bus.feed() as other:
        await bus.publisher().publish(records(2), "e1", 0)
        assert list(await received(one, 2)) == list(await received(other, 2))


async def test_what_was_before_is_not_heard(bus: Bus) -> None:
    publisher = bus.publisher()
    await publisher.publish(records(2), "e1", 0)
    async with bus.feed() as feed:
        await publisher.publish(records(1, after=2), "e1", 2)
        assert [event.position for event in await received(feed, 1)] == [3]


async def test_messages_of_others_are_not_heard(bus: Bus) -> None:
    async with bus.feed() as feed:
        await bus.put_foreign()
        await bus.publisher().publish(records(1), "e1", 1)
        assert [event.position for event in await received(feed, 1)] == [1]


async def test_a_feed_goes_on_after_a_wipe(bus: Bus) -> None:
    async with bus.feed() as feed:
        publisher = bus.publisher()
        await publisher.publish(records(3), "e1", 0)
        await received(feed, 3)
        await bus.wipe()
        sequence, _ = await publisher.tail()
        heard: list[int] = []
        with anyio.fail_after(10):
            while not heard:
                sequence = await publisher.publish(records(1, after=10 + sequence), "e2", sequence)
                heard = [event.position for event in await feed.next(10, 0.2)]
    assert heard[-1] == 10 + sequence
