"""R10: messages that are lost, come twice, or late behind others."""

import random

from tests.faults.campaign.kills import struck
from tests.faults.campaign.proxy import Proxy
from tests.faults.campaign.room import Counted, Room, Session
from tests.faults.campaign.systems import cluster

messages = 50
"""Disturbed in one strike."""

messages_seconds_max = 60.0


def session(room: Room, seed: int, strikes: int) -> Counted:
    """Every connection of roles and clients leads through a proxy that does all three."""
    port, behind = room.free_port(), room.free_port()
    left = iter(range(strikes - 1, -1, -1))
    proxy = Proxy(port, behind, seed)
    with proxy.running(), cluster(room.folder, room.postgres(), port, behind) as system:

        def disturbed(_: random.Random) -> str:
            enough = proxy.total + messages
            system.project.until(lambda: proxy.total >= enough, messages_seconds_max)
            proxy.is_calm = next(left) == 0
            return str(dict(proxy.disturbed))

        counted = struck(system, disturbed, seed, strikes)
    counted.counts |= proxy.disturbed
    return counted


SESSIONS: dict[str, Session] = {"R10 messages lost, doubled, late (cluster)": session}
