"""Ids of the system's clock, as RFC 9562 lays them out."""

from collections.abc import Callable, Iterator
from datetime import UTC, timedelta
from itertools import pairwise
from uuid import RFC_4122

import pytest

from adapters.clock import SystemClock


def ticking(*milliseconds: int) -> Callable[[], int]:
    """A clock hand that shows these times one after the other, then the last one for ever."""

    def show() -> Iterator[int]:
        yield from milliseconds
        while True:
            yield milliseconds[-1]

    hand = show()
    return lambda: next(hand) * 1_000_000


def test_ids_are_uuids_of_version_7_with_their_milliseconds() -> None:
    identifier = SystemClock(ticking(0x0123_4567_89AB)).new_id()
    assert identifier.version == 7
    assert identifier.variant == RFC_4122
    assert identifier.int >> 80 == 0x0123_4567_89AB


def test_ids_grow() -> None:
    clock = SystemClock()
    ids = [clock.new_id() for _ in range(10_000)]
    assert all(earlier < later for earlier, later in pairwise(ids))


@pytest.mark.parametrize("times", [(5,), (5, 6, 7), (9, 5, 1, 10, 2)])
def test_ids_grow_while_time_stands_still_or_goes_back(times: tuple[int, ...]) -> None:
    clock = SystemClock(ticking(*times))
    ids = [clock.new_id() for _ in range(1_000)]
    assert all(earlier < later for earlier, later in pairwise(ids))


def test_time_is_utc_and_does_not_go_back() -> None:
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert abs(clock.now() - clock.now()) < timedelta(minutes=1)
    assert clock.monotonic() <= clock.monotonic()


@pytest.mark.anyio
async def test_sleeping_takes_its_time() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0.01)
    assert clock.monotonic() - before >= 0.01
