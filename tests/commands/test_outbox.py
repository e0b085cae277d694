"""The relay: nothing is skipped, whatever happens to the bus."""

from collections.abc import Sequence

import pytest

from adapters.memory.eventstore import MemoryEventStore
from commands.outbox import OutboxRelay, batch_events_max, refill_events_max
from commands.ports import Carried, EventPublisher
from domain.errors import Conflict, Unavailable
from domain.record import Recorded
from tests.contracts.bus import Bus, adapter, anyio_backend, bus, clock, received
from tests.contracts.events import envelopes, new_stream

pytestmark = pytest.mark.anyio

__all__ = ["adapter", "anyio_backend", "bus"]


async def grown(store: MemoryEventStore, events: int) -> None:
    """Append some events of a new stream."""
    stream = new_stream()
    await store.append(stream, 0, envelopes(stream, 0, events))


async def caught_up(relay: OutboxRelay) -> int:
    """Step until nothing is new; returns how many events were published."""
    published = 0
    while count := await relay.step():
        published += count
    return published


def relay_of(store: MemoryEventStore, bus: Bus) -> OutboxRelay:
    return OutboxRelay(store, bus.publisher(), clock)


async def test_what_is_appended_is_published_in_order(bus: Bus) -> None:
    store = MemoryEventStore()
    relay = relay_of(store, bus)
    await grown(store, 3)
    async with bus.feed() as feed:
        assert await caught_up(relay) == 3
        await grown(store, 2)
        assert await caught_up(relay) == 2
        assert list(await received(feed, 5)) == list(await store.read(0, 10))
    assert relay.position == 5


async def test_nothing_is_published_where_nothing_is_new(bus: Bus) -> None:
    relay = relay_of(MemoryEventStore(), bus)
    assert await relay.step() == 0
    assert await relay.step() == 0


async def test_a_long_way_is_taken_in_steps(bus: Bus) -> None:
    store = MemoryEventStore()
    await grown(store, batch_events_max + 1)
    relay = relay_of(store, bus)
    assert await relay.step() == batch_events_max
    assert await relay.step() == 1


async def test_its_place_is_read_back_from_the_bus(bus: Bus) -> None:
    store = MemoryEventStore()
    await grown(store, 3)
    before = relay_of(store, bus)
    await caught_up(before)
    await grown(store, 2)

    after = relay_of(store, bus)

    assert await caught_up(after) == 2
    assert after.epoch == before.epoch
    assert (await bus.publisher().tail())[0] == 5


async def test_messages_of_others_do_not_disturb(bus: Bus) -> None:
    store = MemoryEventStore()
    relay = relay_of(store, bus)
    await grown(store, 3)
    await caught_up(relay)
    epoch = relay.epoch
    await bus.put_foreign()
    await grown(store, 3)

    async with bus.feed() as feed:
        assert await caught_up(relay) == 3
        assert [one.position for one in await received(feed, 3)] == [4, 5, 6]
    assert relay.epoch == epoch


async def test_a_wiped_bus_is_filled_again_under_a_new_epoch(bus: Bus) -> None:
    store = MemoryEventStore()
    relay = relay_of(store, bus)
    await grown(store, 3)
    await caught_up(relay)
    epoch = relay.epoch
    await bus.wipe()
    await grown(store, 1)

    assert await caught_up(relay) == 4

    assert relay.epoch != epoch
    assert (await bus.publisher().tail())[0] == 4


async def test_the_events_of_another_store_are_purged(bus: Bus) -> None:
    """Such as after the store was restored from a copy: positions mean other events now."""
    old, new = MemoryEventStore(), MemoryEventStore()
    await grown(old, 5)
    await caught_up(relay_of(old, bus))
    await grown(new, 5)
    relay = relay_of(new, bus)

    async with bus.feed() as feed:
        assert await caught_up(relay) == 5
        assert list(await received(feed, 5)) == list(await new.read(0, 10))

    _, carried = await bus.publisher().tail()
    assert carried is not None
    assert (carried.epoch, carried.position) == (relay.epoch, 5)


async def test_a_bus_ahead_of_the_store_is_purged(bus: Bus) -> None:
    old, new = MemoryEventStore(), MemoryEventStore()
    await grown(old, 5)
    await caught_up(relay_of(old, bus))
    relay = relay_of(new, bus)
    assert await caught_up(relay) == 0
    assert (await bus.publisher().tail())[1] is None
    await grown(new, 1)
    assert await caught_up(relay) == 1


async def test_an_empty_bus_starts_shortly_before_the_head(bus: Bus) -> None:
    store = MemoryEventStore()
    await grown(store, refill_events_max + 100)
    assert await caught_up(relay_of(store, bus)) == refill_events_max


async def test_two_relays_fence_each_other(bus: Bus) -> None:
    store = MemoryEventStore()
    one, other = relay_of(store, bus), relay_of(store, bus)
    async with bus.feed() as feed:
        for _ in range(5):
            await grown(store, 3)
            await caught_up(one)
            await grown(store, 2)
            await caught_up(other)
        assert [event.position for event in await received(feed, 25)] == list(range(1, 26))
    assert (await bus.publisher().tail())[0] == 25


class Unreliable(EventPublisher):
    """Publishes and says that it did not, as often as told."""

    def __init__(self, publisher: EventPublisher, errors: list[Exception | None]) -> None:
        self._publisher = publisher
        self._errors = errors

    async def tail(self) -> tuple[int, Carried | None]:
        return await self._publisher.tail()

    async def publish(self, events: Sequence[Recorded], epoch: str, sequence: int) -> int:
        sequence = await self._publisher.publish(events, epoch, sequence)
        error = self._errors.pop(0)
        if error is not None:
            raise error
        return sequence

    async def purge(self) -> int:
        return await self._publisher.purge()


async def test_after_an_unknown_outcome_it_looks_before_it_goes_on(bus: Bus) -> None:
    store = MemoryEventStore()
    publisher = Unreliable(bus.publisher(), [Unavailable("lost"), None])
    relay = OutboxRelay(store, publisher, clock)
    await grown(store, 2)
    with pytest.raises(Unavailable):
        await relay.step()
    await grown(store, 1)

    async with bus.feed() as feed:
        assert await relay.step() == 1
        assert [event.position for event in await received(feed, 1)] == [3]


async def test_whoever_always_loses_leaves_it_to_the_winner(bus: Bus) -> None:
    store = MemoryEventStore()
    publisher = Unreliable(bus.publisher(), [Conflict("events", 0)] * 3)
    relay = OutboxRelay(store, publisher, clock)
    await grown(store, 2)
    assert await relay.step() == 0
    assert (await bus.publisher().tail())[0] == 2
