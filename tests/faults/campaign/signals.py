"""Signals that are no deaths: a graceful stop, and a process that sleeps past its lease."""

import random
import signal
import time

from tests.faults.campaign import invariants
from tests.faults.campaign.kills import answer_seconds_max
from tests.faults.campaign.ledger import Ledger
from tests.faults.campaign.load import Load
from tests.faults.campaign.room import Counted, Room
from tests.faults.campaign.systems import cluster, embedded, strike

sleep_seconds = 4.0
"""Longer than the silence after which another worker takes a task, 3 s in these systems."""


def graceful(room: Room, seed: int, strikes: int) -> Counted:
    """R28: SIGTERM under load: the service ends by itself, with 0."""
    chance = random.Random(f"signals {seed}")
    ledger = Ledger(room.folder / "ledger.jsonl")
    slowest = 0.0
    with embedded(room.folder) as system:
        load = Load(system.way, str(room.folder), ledger, seed)
        with load.running():
            load.wait(answer_seconds_max)
            for _ in range(strikes):
                load.calm_for(chance.uniform(0.02, 0.7))
                begun = time.monotonic()
                system.stop()
                slowest = max(slowest, time.monotonic() - begun)
                ledger.struck("SIGTERM")
                system.start()
                load.wait(answer_seconds_max)
        counts = invariants.check(system, ledger)
    ledger.close()
    return Counted(strikes=strikes, slowest=slowest, counts=counts)


def sleeper(room: Room, seed: int, strikes: int) -> Counted:
    """R12: one role after the other sleeps past its lease and wakes up."""
    chance = random.Random(f"signals {seed}")
    with cluster(room.folder, room.postgres(), room.free_port()) as system:
        ledger = Ledger(system.project.folder / "ledger.jsonl")
        load = Load(system.way, str(system.project.folder), ledger, seed)
        with load.running():
            load.wait(answer_seconds_max)
            for _ in range(strikes):
                load.calm_for(chance.uniform(0.02, 0.7))
                name = chance.choice(sorted(system.processes))
                pid = system.processes[name].pid
                strike(pid, signal.SIGSTOP)
                ledger.struck(f"{name} sleeps")
                load.calm_for(sleep_seconds)
                strike(pid, signal.SIGCONT)
                load.wait(answer_seconds_max)
        counts = invariants.check(system, ledger)
        ledger.close()
    return Counted(strikes=strikes, counts=counts)
