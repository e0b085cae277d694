"""Time and ids from the operating system."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Lock
from uuid import UUID

import anyio
from msgspec import convert

from commands.ports import Clock

_counter_bits = 42
_tail_bits = 32
_version_7 = 0x7 << 76
_variant = 0b10 << 62

_word_bytes = 8
_pool_bytes = 512 * _word_bytes
"""Random bytes asked of the system at once: a call for each id would cost more than the id."""


class SystemClock(Clock):
    """The machine's clock. Ids are UUIDv7 (RFC 9562) with a counter of 42 bits behind the
    milliseconds, so that they grow within one clock even when its time stands still or goes back.
    """

    def __init__(self, nanoseconds: Callable[[], int] = time.time_ns) -> None:
        self._nanoseconds = nanoseconds
        self._lock = Lock()
        self._milliseconds = 0
        self._counter = 0
        self._words = iter(memoryview(b"").cast("Q"))

    def now(self) -> datetime:
        """The time in UTC, to the microsecond."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds from some fixed moment, never going back."""
        return time.monotonic()

    def new_id(self) -> UUID:
        """A UUIDv7 behind all earlier ones of this clock."""
        with self._lock:
            milliseconds, counter = self._next(self._nanoseconds() // 1_000_000)
            tail = self._random(_tail_bits)
        return _uuid7(milliseconds, counter, tail)

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        await anyio.sleep(seconds)

    def _next(self, now: int) -> tuple[int, int]:
        # The highest bit stays free, so that the counter has room for two thousand thousand
        # million.
        if now > self._milliseconds:
            self._milliseconds, self._counter = now, self._random(_counter_bits - 1)
        else:
            self._counter += 1
            if self._counter >> _counter_bits:
                self._milliseconds += 1
                self._counter = self._random(_counter_bits - 1)
        return self._milliseconds, self._counter

    def _random(self, bits: int) -> int:
        word = next(self._words, None)
        if word is None:
            self._words = iter(memoryview(os.urandom(_pool_bytes)).cast("Q"))
            word = next(self._words)
        return word >> (8 * _word_bytes - bits)


def _uuid7(milliseconds: int, counter: int, tail: int) -> UUID:
    number = (
        (milliseconds & 0xFFFF_FFFF_FFFF) << 80
        | _version_7
        | (counter >> 30) << 64
        | _variant
        | (counter & 0x3FFF_FFFF) << 32
        | tail
    )
    # Three times as fast as asking the class.
    return convert(number.to_bytes(16), UUID)
