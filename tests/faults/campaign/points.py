"""R1 to R4 at named points: processes that kill themselves right before or behind what they do.

Where it is done in the service, the service dies with all that it has started; where it is done in
a step's process, only that one does.
"""

import random
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.faults.campaign.kills import struck
from tests.faults.campaign.room import Counted, Room, Session
from tests.faults.campaign.systems import Embedded, embedded
from tests.faults.points.sitecustomize import POINTS

ALL = tuple(f"{name}/{when}" for name in POINTS for when in ("before", "after"))
passages_max = 8
"""The seed draws at which passage it dies: the first ones are those of a start."""
death_seconds_max = 30.0
_PLACE = Path(__file__).parents[1] / "points"


def session(room: Room, seed: int, strikes: int) -> Counted:
    """One strike for each point, in an order that the seed draws; some of them in a short trial."""
    chosen = random.Random(f"points {seed}").sample(ALL, len(ALL))
    reached: Counter[str] = Counter()
    with embedded(room.folder) as system:
        strike = partial(_dies, system, iter((chosen * strikes)[:strikes]), reached)
        counted = struck(system, strike, seed, strikes)
    assert all(reached[point] for point in chosen[:strikes]), f"never reached: {reached}"
    return counted


def _dies(
    system: Embedded, points: Iterator[str], reached: Counter[str], chance: random.Random
) -> str:
    point = next(points)
    given = {
        "HEADWATER_POINT": f"{point}/{chance.randint(1, passages_max)}",
        "HEADWATER_POINT_FOLDER": str(system.project.folder),
        "PYTHONPATH": str(_PLACE),
    }
    system.kill(everything=True)
    for mark in system.project.folder.glob("died-*"):
        mark.unlink()
    system.start(**given)
    system.project.until(lambda: any(system.project.folder.glob("died-*")), death_seconds_max)
    reached[point] += 1
    system.kill(everything=True)
    system.start()
    return given["HEADWATER_POINT"]


SESSIONS: dict[str, Session] = {"R1-R4 at named points": session}
