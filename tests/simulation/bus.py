"""Virtual time, and faults that a seed decides."""

from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import anyio

from adapters.memory.faults import Delivering, Faults, Publishing
from commands.ports import Clock

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class VirtualClock(Clock):
    """The time of the event loop, which trio's `MockClock` makes jump; ids from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._ids = 0

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=anyio.current_time())

    def monotonic(self) -> float:
        return anyio.current_time()

    def new_id(self) -> UUID:
        self._ids += 1
        variable = self._random.getrandbits(30)
        return UUID(int=self._ids << 80 | 0x7 << 76 | 0x2 << 62 | variable)

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


class SeededFaults(Faults):
    """Each thing goes wrong with the probability `rate`, as long as `is_stormy`."""

    def __init__(self, seed: int, rate: float) -> None:
        self._random = Random(seed)
        self._rate = rate
        self.is_stormy = True

    def publishing(self) -> Publishing:
        if not self._strikes():
            return "stored"
        return self._random.choice(("refused", "unanswered", "forgotten"))

    def delivering(self) -> Delivering:
        if not self._strikes():
            return "once"
        return self._random.choice(("twice", "late", "never"))

    def is_wakeup_lost(self) -> bool:
        return self._strikes()

    def _strikes(self) -> bool:
        return self.is_stormy and self._random.random() < self._rate
