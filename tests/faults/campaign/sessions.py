"""Every fault of the campaign by name."""

from collections.abc import Mapping

from tests.faults.campaign import (
    burdens,
    copies,
    deliveries,
    disks,
    harm,
    harmed,
    kills,
    partitions,
    points,
    poison,
    poisoned,
    power,
    sealing,
    signals,
    simulated,
    upgrades,
    writers,
)
from tests.faults.campaign.room import Session

SESSIONS: Mapping[str, Session] = {
    **harmed.SESSIONS,
    **kills.SESSIONS,
    **points.SESSIONS,
    **power.SESSIONS,
    **disks.SESSIONS,
    **partitions.SESSIONS,
    **poison.SESSIONS,
    **poisoned.SESSIONS,
    **simulated.SESSIONS,
    **writers.SESSIONS,
    **burdens.SESSIONS,
    **copies.SESSIONS,
    **sealing.SESSIONS,
    **deliveries.SESSIONS,
    **upgrades.SESSIONS,
    "R9 harmed event store": harm.store,
    "R9 harmed bus": harm.bus,
    "R12 sleeping role": signals.sleeper,
    "R28 graceful stop": signals.graceful,
}

SMALL: Mapping[str, int] = {
    "R1 worker (child)": 4,
    "R1-R4 at named points": 2,
    "R5 nats-server": 2,
    "R7 everything": 1,
    "R7 everything (cluster)": 1,
    "R8 power cut": 1,
    "R8 power cut (cluster)": 1,
    "R8 guard: SQLite": 1,
    "R8 guard: PostgreSQL": 1,
    "R9 harmed event store": 4,
    "R9 harmed datasets": 1,
    "R9 harmed views": 1,
    "R10 messages lost, doubled, late (cluster)": 1,
    "R13 disk full": 1,
    "R14 disk error": 1,
    "R16 poison in the store": 1,
    "R16 poison on the bus (cluster)": 1,
    "R17 concurrent writers": 3,
    "R20 oversized": 3,
    "R24 backup": 1,
    "R24 sealed under load": 3,
    "R25 replay": 2,
    "R28 graceful stop": 1,
}
"""Size S: what is tried at every change, and with how many strikes."""
