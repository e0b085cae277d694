"""All that is left to chance in a world, from one seed; and the virtual clock."""

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import anyio

from adapters.memory.faults import Delivering, Faults, Publishing
from commands.ports import Clock

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


class VirtualClock(Clock):
    """Time of the event loop, which jumps as soon as everybody waits."""

    def __init__(self, seed: int) -> None:
        self._ids = random.Random(f"ids {seed}")
        self._given = 0

    def now(self) -> datetime:
        """The world begins with the year."""
        return BEGINNING + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Seconds since the world began."""
        return anyio.current_time()

    def new_id(self) -> UUID:
        """In the shape of a UUIDv7: time, a counter, chance."""
        self._given += 1
        milliseconds = int(self.now().timestamp() * 1000)
        number = milliseconds << 80 | 7 << 76 | 2 << 62 | (self._given & 0xFFFFFFFF) << 30
        return UUID(int=number | self._ids.getrandbits(30))

    async def sleep(self, seconds: float) -> None:
        """Virtual seconds."""
        await anyio.sleep(seconds)


class Chance(Faults):
    """Dice with a memory of whether the world is calm."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.dice = random.Random(f"chance {seed}")
        self.is_calm = False
        self._wildness = self.dice.choice((0.0, 0.02, 0.05, 0.15))

    def happens(self, probability: float) -> bool:
        """Whether something goes wrong now; never once the world is calm."""
        return not self.is_calm and self.dice.random() < probability

    def is_bad_luck(self) -> bool:
        """Whether any of the small things goes wrong now."""
        return self.happens(self._wildness)

    def publishing(self) -> Publishing:
        """Refused, unanswered or forgotten now and then."""
        if not self.is_bad_luck():
            return "stored"
        return self.dice.choice(("refused", "unanswered", "forgotten"))

    def delivering(self) -> Delivering:
        """Twice, late or never now and then."""
        if not self.is_bad_luck():
            return "once"
        return self.dice.choice(("twice", "late", "never"))

    def is_wakeup_lost(self) -> bool:
        """Now and then."""
        return self.is_bad_luck()
