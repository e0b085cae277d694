"""Relay, bus and a reader that trusts the store, under faults, on virtual time."""

from random import Random
from typing import Any

import anyio
import pytest
from trio.testing import MockClock

from adapters.memory.bus import MemoryBus
from adapters.memory.eventstore import MemoryEventStore
from commands.outbox import OutboxRelay
from domain.errors import Unavailable
from projections.ports import EventFeed
from tests.contracts.events import envelopes, new_stream
from tests.simulation.bus import SeededFaults, VirtualClock

pytestmark = pytest.mark.anyio

SEEDS = 40
EVENTS = 120


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "trio", {"clock": MockClock(autojump_threshold=0)}


class Reader:
    """Applies each event once, in order: what the bus does not bring it reads from the store."""

    def __init__(self, store: MemoryEventStore, feed: EventFeed) -> None:
        self._store = store
        self._feed = feed
        self.applied: list[int] = []

    async def run(self) -> None:
        while True:
            events = await self._feed.next(10, 1.0)
            for event in events:
                if event.previous == self.place:
                    self.applied.append(event.position)
                elif event.position > self.place:
                    await self._catch_up()
            if not events:
                await self._catch_up()

    @property
    def place(self) -> int:
        return self.applied[-1] if self.applied else 0

    async def _catch_up(self) -> None:
        self.applied.extend(one.position for one in await self._store.read(self.place, 1_000))


async def relaying(relay: OutboxRelay, store: MemoryEventStore, clock: VirtualClock) -> None:
    while True:
        try:
            while await relay.step():
                pass
        except Unavailable:
            await clock.sleep(0.1)
        await store.wait(relay.position, 1.0)


async def storm(
    store: MemoryEventStore, bus: MemoryBus, clock: VirtualClock, random: Random
) -> None:
    """Append now and then, and break the bus in between."""
    for _ in range(EVENTS // 3):
        stream = new_stream()
        await store.append(stream, 0, envelopes(stream, 0, 3))
        match random.randrange(12):
            case 0:
                bus.wipe()
            case 1:
                bus.lose_last(random.randrange(5))
            case 2:
                bus.put_foreign()
        await clock.sleep(random.random())


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_every_event_is_applied_once_and_in_order(seed: int) -> None:
    clock, faults, random = VirtualClock(seed), SeededFaults(seed, 0.2), Random(seed)
    store, bus = MemoryEventStore(), MemoryBus(clock, faults)
    readers = [Reader(store, bus.feed()) for _ in range(2)]
    relays = [OutboxRelay(store, bus.publisher(), clock) for _ in range(1 + seed % 2)]
    async with anyio.create_task_group() as tasks:
        for reader in readers:
            tasks.start_soon(reader.run)
        for relay in relays:
            tasks.start_soon(relaying, relay, store, clock)
        await storm(store, bus, clock, random)
        faults.is_stormy = False
        await clock.sleep(5.0)
        tasks.cancel_scope.cancel()
    for reader in readers:
        assert reader.applied == list(range(1, EVENTS + 1))
