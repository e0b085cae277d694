"""R24, for what is never copied: ended runs are sealed under load, and the sealer is killed."""

import random
import subprocess
import time

from tests.e2e.project import HEADWATER
from tests.faults.campaign.kills import struck
from tests.faults.campaign.room import Counted, Room, Session
from tests.faults.campaign.systems import Cluster, Embedded, cluster, embedded

kill_share = 0.7
seal_seconds_max = 60.0


class _Sealer:
    """Seals whatever has ended. Often it is killed, at any moment of its life: how long that is is
    known from the last one that came to its end."""

    def __init__(self, system: Embedded | Cluster) -> None:
        self._system = system
        self._life_seconds = 0.0
        self.killed = 0

    def strike(self, chance: random.Random) -> str:
        if self._life_seconds and chance.random() < kill_share:
            return self._begin_and_kill(self._life_seconds * chance.uniform(0.3, 1.0))
        if not self._life_seconds:
            self._system.project.until(self._has_work, seal_seconds_max)
        begun = time.monotonic()
        sealer = self._begin()
        _, told = sealer.communicate(timeout=seal_seconds_max)
        assert sealer.returncode == 0, f"R24: sealing ended with {sealer.returncode}: {told!r}"
        self._life_seconds = time.monotonic() - begun
        return "sealed"

    def _begin_and_kill(self, seconds: float) -> str:
        sealer = self._begin()
        try:
            sealer.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            sealer.kill()
            sealer.communicate()
            self.killed += 1
            return f"sealer killed after {seconds:.2f} s"
        return "sealed, before it was killed"

    def _has_work(self) -> bool:
        return bool(self._system.project.json("retain", "--before", "0s", "--dry-run")["runs"])

    def _begin(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [HEADWATER, "retain", "--before", "0s", "--json"],
            cwd=self._system.project.folder,
            env=self._system.project.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )


def _struck(system: Embedded | Cluster, seed: int, strikes: int) -> Counted:
    sealer = _Sealer(system)
    counted = struck(system, sealer.strike, seed, strikes)
    sealed = len(system.sealed())
    assert sealed, "R24: nothing was sealed, so nothing was tried"
    counted.counts.update(sealed=sealed, killed=sealer.killed)
    return counted


def in_file(room: Room, seed: int, strikes: int) -> Counted:
    """The store is a file that the service writes at the same time."""
    with embedded(room.folder) as system:
        return _struck(system, seed, strikes)


def in_database(room: Room, seed: int, strikes: int) -> Counted:
    """The store is a database, and each role a process."""
    with cluster(room.folder, room.postgres(), room.free_port()) as system:
        return _struck(system, seed, strikes)


SESSIONS: dict[str, Session] = {
    "R24 sealed under load": in_file,
    "R24 sealed under load (cluster)": in_database,
}
