"""R18: worlds on virtual time, each from a seed: faults of bus, clock, store and processes."""

from tests.faults.campaign.room import Counted, Room, Session
from tests.simulation.invariants import check
from tests.simulation.test_worlds import happen

worlds = 20
"""Of one strike."""

worlds_max = 100_000
"""Of one seed, apart from those of the tests and of other seeds."""


def session(room: Room, seed: int, strikes: int) -> Counted:
    """Every promise in every world; a failing one's number is in the failure."""
    counts = {"events": 0, "runs": 0, "deaths": 0}
    for number in range(strikes * worlds):
        world = worlds_max * seed + number
        outcome = happen(world)
        try:
            check(outcome)
        except AssertionError as error:
            raise AssertionError(f"world {world}: {error}") from error
        counts["events"] += len(outcome.records)
        counts["runs"] += len(outcome.runs)
        counts["deaths"] += outcome.deaths
    return Counted(strikes=strikes * worlds, counts=counts)


SESSIONS: dict[str, Session] = {"R18 simulated worlds": session}
