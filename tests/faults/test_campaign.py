"""Size S of the campaign: one short session of each fault that a machine like CI's has time for.

`make faults` is size L. Both say the same of a session: a broken invariant, with the seed's folder.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.campaign.room import Room
from tests.faults.campaign.sessions import SESSIONS, SMALL
from tests.postgres import PostgresServer


@pytest.mark.parametrize("fault", SMALL)
def test_all_invariants_hold_after(
    fault: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    free_port: Callable[[], int],
) -> None:
    def postgres() -> PostgresServer:
        server: PostgresServer = request.getfixturevalue("postgres")
        return server

    room = Room(folder=tmp_path, postgres=postgres, free_port=free_port)
    counted = SESSIONS[fault](room, 1, SMALL[fault])
    if counted.skipped:
        pytest.skip(counted.skipped)
    assert counted.strikes == SMALL[fault]
