"""Processes killed under load, one after the other, at moments that the seed decides."""

import random
import signal
import time
from collections.abc import Callable, Set
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

import psutil
import psycopg

from domain.errors import Defect
from runtime.roles import ROLES
from tests.faults.campaign import invariants
from tests.faults.campaign.ledger import Ledger
from tests.faults.campaign.load import Load
from tests.faults.campaign.room import Counted, Room, Session
from tests.faults.campaign.systems import Cluster, Embedded, cluster, embedded, strike
from tests.postgres import PostgresServer

database_seconds_max = 60.0
"""For a database whose server was killed to start again."""

answer_seconds_max = 30.0
"""After a strike somebody must acknowledge a command again."""
pause_seconds_max = 0.7
"""From one recovery to the next strike; the seed draws it."""


Strike = Callable[[random.Random], str]


def struck(
    system: Embedded | Cluster,
    strike: Strike,
    seed: int,
    strikes: int,
    excuses: Set[str] = invariants.EXCUSES,
) -> Counted:
    """Load, strikes, quiet, invariants; `excuses` are the errors that a run may fail with."""
    chance = random.Random(f"strikes {seed}")
    ledger = Ledger(system.project.folder / "ledger.jsonl")
    load = Load(system.way, str(system.project.folder), ledger, seed)
    slowest = 0.0
    moments = []
    try:
        with load.running():
            _answered(load)
            for _ in range(strikes):
                load.calm_for(chance.uniform(0.02, pause_seconds_max))
                ledger.struck(strike(chance))
                moments.append(datetime.now(UTC))
                slowest = max(slowest, _answered(load))
        counts = invariants.check(system, ledger, excuses)
        slowest_run = invariants.longest_to_an_end(system, moments)
        return Counted(strikes=strikes, slowest=slowest, slowest_run=slowest_run, counts=counts)
    finally:
        ledger.close()


def _answered(load: Load) -> float:
    """Wait for an acknowledgement from now on; returns after how many seconds it came."""
    begun = time.monotonic()
    load.wait(answer_seconds_max)
    return time.monotonic() - begun


def child(system: Embedded, chance: random.Random) -> str:
    """R1: a step's process."""
    children = system.below("runtime.child")
    if children:
        chosen = chance.choice(sorted(children, key=lambda one: one.pid))
        with suppress(psutil.NoSuchProcess):
            chosen.kill()
    return f"child, one of {len(children)}"


def nats_server(system: Embedded, chance: random.Random) -> str:
    """R5: the bus."""
    for one in system.below("nats-server"):
        with suppress(psutil.NoSuchProcess):
            one.kill()
    return "nats-server"


def service(system: Embedded, chance: random.Random) -> str:
    """R4: the process that decides, while its bus and its children live on."""
    system.kill(everything=False)
    system.start()
    return "service"


def everything(system: Embedded, chance: random.Random) -> str:
    """R7: the whole tree of processes."""
    system.kill(everything=True)
    system.start()
    return "everything"


def role(name: str, system: Cluster, chance: random.Random) -> str:
    """R1 to R4: the one process of a role."""
    system.kill(name)
    system.start(name)
    return name


def bus(system: Cluster, chance: random.Random) -> str:
    """R5: the bus of a cluster."""
    assert system.nats is not None
    system.nats.kill()
    system.nats.wait()
    system.start_nats()
    return "nats-server"


def all_roles(system: Cluster, chance: random.Random) -> str:
    """R7: every role and the bus, started again in an order that the seed draws."""
    assert system.nats is not None
    for name in system.processes:
        system.kill(name)
    system.nats.kill()
    system.nats.wait()
    order = [*ROLES, "nats"]
    chance.shuffle(order)
    for name in order:
        if name == "nats":
            system.start_nats()
        else:
            system.start(name)
    return f"everything, back as {order}"


def postmaster(postgres: PostgresServer, system: Cluster, chance: random.Random) -> str:
    """R6: the database, whole or one of its sessions."""
    pids: list[int] = []
    with suppress(psycopg.OperationalError):  # it is still recovering from the last strike
        pids = system.backends()
    if chance.random() < 0.5 and pids:
        strike(chance.choice(pids))
        system.revive()
        return f"a backend, one of {len(pids)}"
    postgres.stop(signal.SIGKILL)
    # Sessions of the dead server hold its memory until they notice.
    system.project.until(partial(starts, postgres), database_seconds_max)
    system.revive()
    return "postmaster"


def starts(postgres: PostgresServer) -> bool:
    """Whether the server could be started."""
    try:
        postgres.start()
    except Defect:
        return False
    return True


def on_embedded(strike: Callable[[Embedded, random.Random], str]) -> Session:
    """A session against `headwater up`."""

    def session(room: Room, seed: int, strikes: int) -> Counted:
        with embedded(room.folder) as system:
            return struck(system, partial(strike, system), seed, strikes)

    return session


def on_cluster(strike: Callable[[Cluster, random.Random], str]) -> Session:
    """A session against roles as processes."""

    def session(room: Room, seed: int, strikes: int) -> Counted:
        postgres = room.postgres()
        with cluster(room.folder, postgres, room.free_port()) as system:
            chosen = partial(postmaster, postgres) if strike is _database else strike
            return struck(system, partial(chosen, system), seed, strikes)

    return session


def _database(system: Cluster, chance: random.Random) -> str:
    """Stands for `postmaster`, which needs the server."""
    raise NotImplementedError


SESSIONS: dict[str, Session] = {
    "R1 worker (child)": on_embedded(child),
    "R1 worker (role)": on_cluster(partial(role, "steps")),
    "R2 relay": on_cluster(partial(role, "relay")),
    "R3 projection": on_cluster(partial(role, "projections")),
    "R3b policies": on_cluster(partial(role, "policies")),
    "R4 command handler (service)": on_embedded(service),
    "R4 command handler (role)": on_cluster(partial(role, "commands")),
    "R5 nats-server": on_embedded(nats_server),
    "R5 nats-server (cluster)": on_cluster(bus),
    "R6 PostgreSQL": on_cluster(_database),
    "R7 everything": on_embedded(everything),
    "R7 everything (cluster)": on_cluster(all_roles),
}
