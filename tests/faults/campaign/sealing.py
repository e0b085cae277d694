"""R24, for what is never copied: ended runs are sealed under load, and the sealer is killed."""

import random
import subprocess
from functools import partial

from tests.e2e.project import HEADWATER
from tests.faults.campaign.kills import struck
from tests.faults.campaign.room import Counted, Room, Session
from tests.faults.campaign.systems import Cluster, Embedded, cluster, embedded

kill_share = 0.6
life_seconds = (0.3, 1.2)
"""Of a sealer that is killed; it begins with its work after about 0.4 s."""

seal_seconds_max = 60.0


def in_file(room: Room, seed: int, strikes: int) -> Counted:
    """The store is a file that the service writes at the same time."""
    with embedded(room.folder) as system:
        return _told(system, struck(system, partial(_seal, system), seed, strikes))


def in_database(room: Room, seed: int, strikes: int) -> Counted:
    """The store is a database, and each role a process."""
    with cluster(room.folder, room.postgres(), room.free_port()) as system:
        return _told(system, struck(system, partial(_seal, system), seed, strikes))


def _seal(system: Embedded | Cluster, chance: random.Random) -> str:
    sealer = subprocess.Popen(
        [HEADWATER, "retain", "--before", "0s", "--json"],
        cwd=system.project.folder,
        env=system.project.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    if chance.random() >= kill_share:
        _, told = sealer.communicate(timeout=seal_seconds_max)
        assert sealer.returncode == 0, f"R24: sealing ended with {sealer.returncode}: {told!r}"
        return "sealed"
    seconds = chance.uniform(*life_seconds)
    try:
        sealer.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        sealer.kill()
        sealer.communicate()
    return f"sealer killed after {seconds:.2f} s"


def _told(system: Embedded | Cluster, counted: Counted) -> Counted:
    """With how many events were sealed, of which there must be some."""
    sealed = len(system.sealed())
    assert sealed, "R24: nothing was sealed, so nothing was tried"
    counted.counts["sealed"] = sealed
    return counted


SESSIONS: dict[str, Session] = {
    "R24 sealed under load": in_file,
    "R24 sealed under load (cluster)": in_database,
}
