"""What every sending end of the bus promises."""

import pytest

from domain.errors import Conflict
from tests.contracts.bus import Bus, adapter, anyio_backend, bus, records

pytestmark = pytest.mark.anyio

__all__ = ["adapter", "anyio_backend", "bus"]


async def test_an_empty_bus_carries_nothing(bus: Bus) -> None:
    assert await bus.publisher().tail() == (0, None)


async def test_the_tail_is_the_newest_event(bus: Bus) -> None:
    publisher, events = bus.publisher(), records(5)

    sequence = await publisher.publish(events, "e1", 0)

    last, carried = await publisher.tail()
    assert last == sequence == 5
    assert carried is not None
    assert (carried.sequence, carried.epoch) == (5, "e1")
    assert (carried.position, carried.event_id) == (5, events[-1].event_id)


async def test_many_events_are_published_in_order(bus: Bus) -> None:
    events = records(700)
    async with bus.feed() as feed:
        assert await bus.publisher().publish(events, "e1", 0) == 700
        seen: list[int] = []
        while len(seen) < 700:
            seen.extend(event.position for event in await feed.next(100, 5.0))
    assert seen == [event.position for event in events]


async def test_whoever_comes_second_is_fenced_off(bus: Bus) -> None:
    await bus.publisher().publish(records(3), "e1", 0)

    with pytest.raises(Conflict):
        await bus.publisher().publish(records(1, after=3), "e2", 2)

    assert (await bus.publisher().tail())[0] == 3


async def test_nothing_is_published_behind_a_conflict(bus: Bus) -> None:
    publisher = bus.publisher()
    await bus.put_foreign()

    with pytest.raises(Conflict):
        await publisher.publish(records(20), "e1", 0)

    assert await publisher.tail() == (1, None)


async def test_messages_of_others_are_looked_past(bus: Bus) -> None:
    publisher, events = bus.publisher(), records(2)
    await publisher.publish(events, "e1", 0)
    await bus.put_foreign()
    await bus.put_foreign()

    last, carried = await publisher.tail()

    assert last == 4
    assert carried is not None
    assert (carried.sequence, carried.position) == (2, 2)


async def test_a_purged_bus_is_empty_and_its_sequences_go_on(bus: Bus) -> None:
    publisher = bus.publisher()
    await publisher.publish(records(3), "e1", 0)

    assert await publisher.purge() == 3

    assert await publisher.tail() == (3, None)


async def test_a_new_epoch_carries_the_same_positions_again(bus: Bus) -> None:
    publisher, events = bus.publisher(), records(3)
    await publisher.publish(events, "e1", 0)
    sequence = await publisher.purge()

    assert await publisher.publish(events, "e2", sequence) == 6

    _, carried = await publisher.tail()
    assert carried is not None
    assert (carried.epoch, carried.position) == ("e2", 3)


async def test_an_old_epoch_does_not(bus: Bus) -> None:
    publisher, events = bus.publisher(), records(3)
    await publisher.publish(events, "e1", 0)
    sequence = await publisher.purge()

    with pytest.raises(Conflict):
        await publisher.publish(events, "e1", sequence)


async def test_a_wiped_bus_is_a_conflict_and_can_be_filled_again(bus: Bus) -> None:
    publisher, events = bus.publisher(), records(3)
    await publisher.publish(events, "e1", 0)
    await bus.wipe()

    with pytest.raises(Conflict):
        await publisher.publish(records(1, after=3), "e1", 3)

    assert await publisher.tail() == (0, None)
    assert await publisher.publish(events, "e1", 0) == 3


async def test_a_wiped_bus_can_be_purged(bus: Bus) -> None:
    await bus.publisher().publish(records(3), "e1", 0)
    await bus.wipe()

    assert await bus.publisher().purge() == 0
