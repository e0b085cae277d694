"""R13 and R14: a disk that is full or fails, below a service with all its files.

Each strike lets an operation fail on files of one kind, until something has met it and a while
longer. Then the disk is in order again, every second time behind a power cut: what a sync has
failed for is gone then, whatever was said of it later.
"""

import random
from collections.abc import Callable, Mapping
from functools import partial

from tests.faults.campaign.kills import struck
from tests.faults.campaign.power import outside, power, with_disk
from tests.faults.campaign.room import Counted, Room, Session
from tests.faults.campaign.systems import Embedded, embedded
from tests.faults.disk import Disk, disk

FILES: Mapping[str, str] = {
    "store": "*/events.db*",
    "views": "*/views.db*",
    "bus": "*/nats/jetstream/*",
    "datasets": "*/datasets/*",
    "destination": "*/out/*",
}
"""Kinds of files, by their path."""

EXCUSES = frozenset({"io_error", "storage_full", "worker_lost"})
"""What a run may end with here: nobody tries its steps again."""

operations = ("fsync", "write", "create")
errors_max = 20
calls_max = 30
"""Calls that still succeed; the seed draws it."""
met_seconds_max = 3.0
"""For something to meet the error: not every kind of file is written all the time."""


def fails(room: Room, seed: int, strikes: int) -> Counted:
    """R14: input/output errors."""
    return _session(_error, room, seed, strikes)


def is_full(room: Room, seed: int, strikes: int) -> Counted:
    """R13: no space left on the device."""
    return _session(_full, room, seed, strikes)


_Harm = Callable[[Embedded, Disk, random.Random], str]


def _session(strike: _Harm, room: Room, seed: int, strikes: int) -> Counted:
    with disk(room.folder) as cut_off:
        outside(cut_off.root, room.folder)
        with embedded(cut_off.root) as system:
            cut_off.settle()
            done = partial(strike, system, cut_off)
            return struck(system, done, seed, strikes, EXCUSES)


def _error(system: Embedded, cut_off: Disk, chance: random.Random) -> str:
    kind, operation = chance.choice(sorted(FILES)), chance.choice(operations)
    after, times = chance.randrange(calls_max), chance.randint(1, errors_max)
    cut_off.fail(operation, FILES[kind], "EIO", after=after, times=times)
    return f"{operation} of {kind} fails: {_over(system, cut_off, chance)}"


def _full(system: Embedded, cut_off: Disk, chance: random.Random) -> str:
    kind = chance.choice(sorted(FILES))
    for operation in ("write", "create"):
        cut_off.fail(operation, FILES[kind], "ENOSPC", times=10**9)
    return f"no room for {kind}: {_over(system, cut_off, chance)}"


def _over(system: Embedded, cut_off: Disk, chance: random.Random) -> str:
    met = cut_off.met(met_seconds_max, chance.uniform(0.1, 1.0))
    cut_off.heal()
    if chance.random() < 0.5:
        return f"{met} times, and the {power(system, cut_off, chance)} goes"
    ended = system.process is not None and system.process.poll() is not None
    if ended:
        system.start()
    return f"{met} times" + (", and the service ends" if ended else "")


SESSIONS: dict[str, Session] = {
    "R13 disk full": with_disk(is_full),
    "R14 disk error": with_disk(fails),
}
