"""Size S of the campaign: one short session of each fault that a machine like CI's has time for.

`make faults` is size L. Both say the same of a session: a broken invariant, with the seed's folder.
"""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.campaign.ledger import Ledger
from tests.faults.campaign.load import Load, Way
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


def test_a_load_ends_with_a_failed_trial(tmp_path: Path, free_port: Callable[[], int]) -> None:
    nobody = Way(f"nats://127.0.0.1:{free_port()}")
    with closing(Ledger(tmp_path / "ledger.jsonl")) as ledger:
        load = Load(lambda: nobody, str(tmp_path), ledger, seed=1)
        with pytest.raises(AssertionError, match="on purpose"), load.running():
            raise AssertionError("on purpose")
    assert not load.broken
