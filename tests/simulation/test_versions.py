"""Step workers beside a write side of another version, on virtual time."""

from collections.abc import Sequence
from uuid import uuid4

import anyio
import pytest
from trio.testing import MockClock

from adapters.memory.eventstore import MemoryEventStore
from commands import dispatcher
from commands.ports import Envelope
from commands.steps.work import StepWork
from domain.errors import Malformed
from domain.ids import StreamId, Version
from domain.run.commands import Succeeded
from domain.run.events import StepOutcome
from tests.simulation.shop import at_once, open_shop

pytestmark = pytest.mark.anyio


class NewerStore(MemoryEventStore):
    """What it holds may have been written by a version that is not known here."""

    is_newer = False

    async def load(self, stream: StreamId, after: Version = 0) -> Sequence[Envelope]:
        if self.is_newer:
            raise Malformed("no event is known by the tag 'x.y.v2'", hint="update Headwater")
        return await super().load(stream, after)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Time jumps as soon as everybody waits."""
    return "trio", {"clock": MockClock(autojump_threshold=0)}


async def test_an_outcome_waits_for_who_can_read_its_run() -> None:
    async def while_put_back(work: StepWork) -> Succeeded:
        shop.stage.actors.forget()
        store.is_newer = True
        return Succeeded(outcome=StepOutcome())

    store = NewerStore()
    async with open_shop(while_put_back, store=store) as shop:
        run = await shop.stage.started("a")
        await shop.put(run)
        await anyio.sleep(10)
        store.is_newer = False
        await anyio.sleep(10)
        assert await shop.tags(run) == [
            "run.step_started.v1",
            "run.data_processed.v1",
            "run.completed.v1",
        ]
        assert len(shop.runner.works) == 1


async def test_a_claim_that_another_version_has_read_otherwise_is_made_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dispatcher, "payload_hash", lambda _payload: uuid4().hex)
    async with open_shop(at_once) as shop:
        shop.sender.lose_after = ["run.claim"]
        run = await shop.stage.started("a")
        await shop.put(run)
        await anyio.sleep(5)
        assert [work.lease for work in shop.runner.works] == [2]
        assert (await shop.tags(run))[-1] == "run.completed.v1"
