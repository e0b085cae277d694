"""R11: cables are pulled, whole hosts or one way of one connection, once or again and again."""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from tests.faults.campaign.kills import struck
from tests.faults.campaign.room import Counted, Room, Session, stay
from tests.faults.campaign.spread import Spread
from tests.faults.campaign.systems import working
from tests.faults.hosts import Host, network, why_not
from tests.postgres import postgres_server

cut_seconds = (2.0, 20.0)
"""How long a cable is out; the seed draws it: shorter and longer than a lease and an election."""

flap_seconds = 0.5
flap_share = 0.25
"""Cables that come and go all that time."""


@contextmanager
def _alone(host: Host) -> Iterator[None]:
    host.pull()
    try:
        yield
    finally:
        host.plug()


@contextmanager
def _losing(host: Host, address: str) -> Iterator[None]:
    host.lose(address)
    try:
        yield
    finally:
        host.find(address)


Cut = Callable[[Spread, random.Random], AbstractContextManager[None]]

CUTS: Mapping[str, Cut] = {
    "the leader alone": lambda system, _: _alone(system.leader()),
    "a server alone": lambda system, chance: _alone(chance.choice(system.servers)),
    "a worker alone": lambda system, chance: _alone(chance.choice(system.workers)),
    "a worker does not reach the database": lambda system, chance: _losing(
        chance.choice(system.workers), system.here
    ),
    "a server does not reach another": lambda system, chance: _losing(
        *_two_servers(system, chance)
    ),
}


def _two_servers(system: Spread, chance: random.Random) -> tuple[Host, str]:
    one, other = chance.sample(system.servers, 2)
    return one, other.address


def session(room: Room, seed: int, strikes: int) -> Counted:
    """Three NATS servers and three workers on hosts of their own; the rest is on this machine."""
    reason = why_not()
    if reason:
        return Counted(strikes=0, skipped=reason)
    with network() as wire, postgres_server(room.free_port()) as postgres:
        system = Spread(room.folder, postgres, wire)
        with working(system):
            return struck(system, partial(_cut, system), seed, strikes)


def _cut(system: Spread, chance: random.Random) -> str:
    name = chance.choice(sorted(CUTS))
    seconds = chance.uniform(*cut_seconds)
    made = partial(CUTS[name], system, random.Random(chance.random()))
    flaps = round(seconds / flap_seconds / 2) if chance.random() < flap_share else 0
    if not flaps:
        with made():
            stay(seconds)
    for _ in range(flaps):
        with made():
            stay(flap_seconds)
        stay(flap_seconds)
    return f"{name}, for {seconds:.1f} s, {f'{flaps} times' if flaps else 'at once'}"


SESSIONS: dict[str, Session] = {"R11 partition (three servers, three workers)": session}
