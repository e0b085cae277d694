"""Worlds under faults, each from its seed."""

import anyio
import trio
from trio.testing import MockClock

from tests.simulation.invariants import check
from tests.simulation.world import Outcome, live


def happen(seed: int) -> Outcome:
    """A world on virtual time, the same for the same seed."""
    # Trio shuffles tasks that are ready at the same moment; the seed shall decide that too.
    trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]  # trio's own tests do
    trio._core._run._r.seed(seed)
    clock = MockClock(autojump_threshold=0)
    return anyio.run(live, seed, backend="trio", backend_options={"clock": clock})


def test_every_promise_is_kept(seed: int) -> None:
    """No lost or double effect, no gap, views equal to a refold, and every run ends."""
    check(happen(seed))


def test_worlds_have_reuse_in_them() -> None:
    """Within a run that has work, too, so that the promises about it are put to the test."""
    records = [record for seed in range(20) for record in happen(seed).records]
    found = [one for one in records if one.tag == "run.step_reused.v1" and b'"lease"' in one.state]
    assert len(found) > 20


def test_the_same_seed_gives_the_same_world() -> None:
    """Byte for byte, so that a failing seed can be looked at again."""
    first, second = happen(1), happen(1)
    assert len(first.records) > 10
    assert first.digest == second.digest
