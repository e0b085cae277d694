"""Every fault of the campaign by name."""

from collections.abc import Mapping

from tests.faults.campaign import kills
from tests.faults.campaign.room import Session

SESSIONS: Mapping[str, Session] = kills.SESSIONS

SMALL: Mapping[str, int] = {
    "R1 worker (child)": 4,
    "R5 nats-server": 3,
    "R6 PostgreSQL": 2,
    "R7 everything": 2,
    "R7 everything (cluster)": 1,
}
"""Size S: what is tried at every change, and with how many strikes."""
