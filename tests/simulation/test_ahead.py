"""Workers that go on before their reports are answered, on virtual time."""

from uuid import UUID

import anyio
import pytest
from msgspec.structs import replace
from trio.testing import MockClock

from commands.steps.work import ChildLost, StepWork
from domain.data.dataset import DatasetVersion
from domain.data.lineage import ColumnEdge
from domain.run.commands import Failed, Succeeded
from domain.run.events import StepError, StepOutcome
from runtime.workers.report import quick_seconds
from runtime.workers.step import StepLimits
from tests.simulation.shop import Shop, open_shop

pytestmark = pytest.mark.anyio

CHAIN = ("a", "b: a", "c: b", "d: c")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Time jumps as soon as everybody waits."""
    return "trio", {"clock": MockClock(autojump_threshold=0)}


def made(work: StepWork, *warnings: str) -> Succeeded:
    """A step's output."""
    version = DatasetVersion(
        dataset=f"flights.{work.step}", fingerprint=work.step * 64, rows=1, bytes=9
    )
    return Succeeded(outcome=StepOutcome(output=version, rows_out=1, warnings=warnings))


async def quick(work: StepWork) -> Succeeded:
    """A tenth of the time that a report takes here."""
    await anyio.sleep(0.01)
    return made(work)


async def endless(work: StepWork) -> Succeeded:
    """Work that only a cancel ends."""
    await anyio.sleep_forever()
    return made(work)


async def lost(work: StepWork) -> Succeeded:
    """Work whose process dies."""
    raise ChildLost


def steps(shop: Shop) -> list[str]:
    """What was worked on, in order."""
    return [work.step for work in shop.runner.works]


async def begun(shop: Shop, *plan: str) -> str:
    """A run whose first step is in the queue; every report takes its time."""
    shop.sender.seconds = {"run.report": 0.1}
    run = await shop.stage.started(*plan)
    await shop.put(run)
    return run


async def test_what_is_done_while_a_report_is_on_its_way_joins_the_next_one() -> None:
    async with open_shop(quick) as shop:
        run = await begun(shop, *CHAIN)
        await anyio.sleep(5)
        assert steps(shop) == ["a", "b", "c", "d"]
        assert shop.runner.works[2].inputs[0].version.dataset == "flights.b"
        assert shop.sender.sent == ["run.claim", "run.report", "run.report"]
        assert (await shop.tags(run))[-1] == "run.completed.v1"
        assert await shop.is_queue_empty()


async def test_a_report_whose_answer_is_lost_says_the_same_again() -> None:
    async with open_shop(quick) as shop:
        shop.sender.lose_after = ["run.report", "run.report"]
        run = await begun(shop, *CHAIN)
        await anyio.sleep(10)
        assert steps(shop) == ["a", "b", "c", "d"]
        assert (await shop.tags(run)).count("run.data_processed.v1") == 4


async def test_nothing_is_done_ahead_behind_long_work() -> None:
    async def long(work: StepWork) -> Succeeded:
        await anyio.sleep(StepLimits().stint_seconds + 1)
        return made(work)

    async with open_shop(long) as shop:
        await begun(shop, *CHAIN)
        await anyio.sleep(30)
        assert steps(shop) == ["a"]


async def test_a_step_that_fails_ahead_ends_what_is_done_ahead() -> None:
    async def failing(work: StepWork) -> Failed:
        return Failed(error=StepError(code="sql_error", message="no such column"))

    async with open_shop(quick, failing) as shop:
        run = await begun(shop, *CHAIN)
        await anyio.sleep(5)
        assert steps(shop) == ["a", "b"]
        assert (await shop.tags(run))[-1] == "run.failed.v1"


async def test_a_process_that_dies_ahead_costs_the_step_a_lease() -> None:
    async with open_shop(quick, lost, quick) as shop:
        run = await begun(shop, "a", "b: a")
        await anyio.sleep(5)
        assert [(work.step, work.lease) for work in shop.runner.works[::2]] == [("a", 1), ("b", 2)]
        assert (await shop.tags(run))[-1] == "run.completed.v1"


async def test_what_is_done_ahead_is_ended_where_the_run_is_to_stop() -> None:
    async with open_shop(quick, endless) as shop:
        run = await begun(shop, "a", "b: a")
        await anyio.sleep(0.05)
        await shop.stage.send("run.cancel", run=run)
        await anyio.sleep(5)
        assert shop.runner.cancelled == 1
        assert (await shop.tags(run))[-1] == "run.cancelled.v1"
        assert shop.part.busy == 0


async def test_work_begun_ahead_is_ended_when_its_own_lease_is_lost() -> None:
    async with open_shop(quick, endless) as shop:
        run = await begun(shop, "a", "b: a")
        await anyio.sleep(3)
        await shop.stage.claimed(run, "b")
        shop.part.nudge(UUID(run))
        await anyio.sleep(5)
        assert shop.runner.cancelled == 1
        assert shop.part.busy == 0


async def test_who_decides_may_know_nothing_of_work_ahead() -> None:
    async with open_shop(quick) as shop:
        shop.sender.drops = ("then", "next")
        run = await begun(shop, *CHAIN)
        await anyio.sleep(10)
        assert sorted(set(steps(shop))) == ["a", "b", "c", "d"]
        assert (await shop.tags(run)).count("run.data_processed.v1") == 4
        assert (await shop.tags(run))[-1] == "run.completed.v1"


async def test_outcomes_that_are_too_large_together_are_told_alone() -> None:
    edge = ColumnEdge(source="raw", source_column="n" * 50, column="n" * 50)

    async def wide(work: StepWork) -> Succeeded:
        await anyio.sleep(0.01)
        return replace(made(work), edges=(edge,) * 3_000)

    async with open_shop(quick, wide) as shop:
        run = await begun(shop, *CHAIN, "e: d")
        await anyio.sleep(5)
        tags = await shop.tags(run)
        assert tags.count("run.data_processed.v1") == 5, steps(shop)
        assert tags[-1] == "run.completed.v1"
        assert "run.step_failed.v1" not in tags


async def test_a_worker_that_is_stopped_goes_on_with_nothing() -> None:
    async with open_shop(quick, endless, drain=100.0) as shop:
        run = await begun(shop, "a", "b: a")
        await anyio.sleep(0.005)
    assert shop.runner.cancelled == 1
    assert "run.step_started.v1" not in (await shop.tags(run))[1:]


WIDE = ("a", *(f"w{number:02}: a" for number in range(40)))


async def widened(shop: Shop) -> str:
    """A run of which a worker has several steps in its hands, one of them in work."""
    run = await begun(shop, *WIDE)
    await anyio.sleep(0.5)
    return run


async def test_a_worker_takes_several_quick_steps_at_once() -> None:
    async with open_shop(quick) as shop:
        run = await widened(shop)
        await anyio.sleep(5)
        takes = StepLimits().takes_max
        assert len(steps(shop)) == len(set(steps(shop))) == 1 + takes
        assert shop.sender.sent.count("run.report") < takes
        assert (await shop.tags(run)).count("run.data_processed.v1") == 1 + takes
        assert shop.part.busy == 0


async def test_a_worker_takes_slow_steps_one_by_one() -> None:
    async def slow(work: StepWork) -> Succeeded:
        result = await quick(work)
        return replace(result, outcome=replace(result.outcome, seconds=quick_seconds + 0.01))

    async with open_shop(slow) as shop:
        run = await begun(shop, *WIDE)
        await anyio.sleep(0.05)
        begun_now = (await shop.tags(run)).count("run.step_started.v1")
        done_now = (await shop.tags(run)).count("run.data_processed.v1")
        assert begun_now - done_now <= 1


async def test_all_steps_in_a_workers_hands_end_with_a_cancelled_run() -> None:
    async with open_shop(quick, quick, endless) as shop:
        run = await widened(shop)
        await shop.stage.send("run.cancel", run=run)
        shop.part.nudge(UUID(run))
        await anyio.sleep(2)
        assert (await shop.tags(run))[-1] == "run.cancelled.v1"
        assert shop.part.busy == 0


async def test_steps_in_the_hands_of_a_dead_process_go_to_whoever_claims_them() -> None:
    async with open_shop(quick, quick, lost, quick) as shop:
        run = await widened(shop)
        await anyio.sleep(5)
        history = await shop.stage.history(f"run/{run}")
        held = {one.data.step for one in history if one.tag == "run.step_started.v1"}
        held -= {one.data.step for one in history if one.tag == "run.data_processed.v1"}
        for step in held:
            await shop.put(run, step)
        await anyio.sleep(5)
        history = await shop.stage.history(f"run/{run}")
        done = {one.data.step for one in history if one.tag == "run.data_processed.v1"}
        assert held <= done
