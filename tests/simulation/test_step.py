"""Step workers on virtual time, without faults but those of the test."""

from uuid import UUID, uuid4

import anyio
import pytest
from trio.testing import MockClock

from commands.steps.work import ChildLost, StepWork
from domain.run.commands import Succeeded
from domain.run.events import StepOutcome
from runtime.supervisor import SupervisorLimits, open_supervisor
from runtime.workers.step import StepLimits
from tests.commands.stage import open_stage, sketch
from tests.simulation.shop import ScriptedRunner, Shop, at_once, long, never, open_shop

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Time jumps as soon as everybody waits."""
    return "trio", {"clock": MockClock(autojump_threshold=0)}


async def test_claim_work_report_finish() -> None:
    async with open_shop(at_once) as shop:
        run = await shop.stage.started("a")
        await shop.put(run)
        await anyio.sleep(1)
        assert await shop.tags(run) == [
            "run.step_started.v1",
            "run.data_processed.v1",
            "run.completed.v1",
        ]
        assert await shop.is_queue_empty()


async def test_what_a_report_makes_ready_is_worked_on_without_a_task() -> None:
    async with open_shop(at_once) as shop:
        run = await shop.stage.started("a", "b: a", "c: b")
        await shop.put(run)
        await anyio.sleep(1)
        assert [(work.step, work.lease) for work in shop.runner.works] == [
            ("a", 1),
            ("b", 1),
            ("c", 1),
        ]
        assert (await shop.tags(run))[-1] == "run.completed.v1"
        assert shop.sender.sent == ["run.claim", "run.report", "run.report", "run.report"]


async def test_a_run_begins_in_the_hands_of_a_free_worker() -> None:
    async with open_shop(at_once) as shop:
        shop.stage.dispatcher.employ(shop.part)
        run = await shop.stage.started("a", "b: a")
        await anyio.sleep(1)
        assert [(work.step, work.lease) for work in shop.runner.works] == [("a", 1), ("b", 1)]
        assert (await shop.tags(run))[-1] == "run.completed.v1"
        assert shop.sender.sent == ["run.report", "run.report"]


async def test_a_start_that_comes_twice_is_worked_on_once() -> None:
    async with open_shop(at_once) as shop:
        shop.stage.dispatcher.employ(shop.part)
        await shop.stage.send("pipeline.register", spec=sketch("flights", "a"))
        start = {"pipeline": "flights", "command_id": str(uuid4())}
        replies = [await shop.stage.send("run.start", **start) for _ in range(2)]
        await anyio.sleep(1)
        assert replies[0] == replies[1]
        assert "work" not in replies[0]
        assert len(shop.runner.works) == 1


async def test_a_start_that_is_refused_takes_no_place() -> None:
    async with open_shop(at_once) as shop:
        shop.stage.dispatcher.employ(shop.part)
        for _ in range(9):
            refused = await shop.stage.send("run.start", pipeline="flights", run=str(UUID(int=1)))
            assert refused["code"] == "pipeline_not_found"
        await shop.stage.started("a")
        for _ in range(9):
            again = await shop.stage.send("run.start", pipeline="flights", fresh=["z"])
            assert again["code"] == "step_not_found"
        await anyio.sleep(1)
        assert shop.part.offer() == "w1"


async def test_a_long_chain_makes_room_for_what_waits_in_the_queue() -> None:
    async with open_shop(*[at_once] * 30) as shop:
        chain = ["s0", *[f"s{number}: s{number - 1}" for number in range(1, 12)]]
        run = await shop.stage.started(*chain)
        await shop.put(run, "s0")
        await anyio.sleep(1)
        takes = StepLimits().takes_max
        assert [work.step for work in shop.runner.works] == [f"s{n}" for n in range(takes + 1)]
        await shop.put(run, f"s{takes + 1}")
        await anyio.sleep(1)
        assert (await shop.tags(run))[-1] == "run.completed.v1"


async def test_nothing_is_taken_after_long_work() -> None:
    async with open_shop(long) as shop:
        run = await shop.stage.started("a", "b: a")
        await shop.put(run)
        await anyio.sleep(70)
        assert [work.step for work in shop.runner.works] == ["a"]


async def test_runs_beyond_the_places_of_a_worker_wait_for_the_queue() -> None:
    async with open_shop(long) as shop:
        shop.stage.dispatcher.employ(shop.part)
        runs = [await shop.stage.started("a")]
        for _ in range(9):
            runs.append(str((await shop.stage.send("run.start", pipeline="flights"))["run"]))
        await anyio.sleep(5)
        begun = [run for run in runs if "run.step_started.v1" in await shop.tags(run)]
        assert begun == runs[: 2 * StepLimits().steps_max]


async def test_a_worker_that_is_stopped_gets_no_new_runs() -> None:
    async with open_stage() as stage:
        shop = Shop(stage, ScriptedRunner(at_once))
        stage.dispatcher.employ(shop.part)
        async with open_supervisor() as supervisor:
            await supervisor.start(shop.part)
        run = await stage.started("a")
        assert await shop.tags(run) == []


async def test_taken_work_survives_an_answer_that_is_lost() -> None:
    async with open_shop(at_once) as shop:
        shop.sender.lose_after = ["run.report"]
        run = await shop.stage.started("a", "b: a")
        await shop.put(run)
        await anyio.sleep(1)
        assert [work.step for work in shop.runner.works] == ["a", "b"]
        assert (await shop.tags(run))[-1] == "run.completed.v1"


async def test_a_task_that_comes_for_taken_work_is_held_beside_it() -> None:
    async with open_shop(at_once, long) as shop:
        run = await shop.stage.started("a", "b: a")
        await shop.put(run)
        await anyio.sleep(5)
        await shop.put(run, step="b")
        await anyio.sleep(70)
        assert [(work.step, work.lease) for work in shop.runner.works] == [("a", 1), ("b", 1)]
        assert (await shop.tags(run))[-1] == "run.completed.v1"
        assert await shop.is_queue_empty()


async def test_a_worker_that_is_stopped_takes_nothing_more() -> None:
    async with open_shop(long) as shop:
        run = await shop.stage.started("a", "b: a")
        await shop.put(run)
        await anyio.sleep(5)
    assert [work.step for work in shop.runner.works] == ["a"]


async def test_a_task_that_is_no_longer_open_is_dropped() -> None:
    async with open_shop(at_once) as shop:
        run = await shop.stage.started("a")
        await shop.put(run, attempt=2)
        await shop.put(run, step="zzz")
        await shop.put(str(uuid4()))
        await anyio.sleep(1)
        assert await shop.is_queue_empty()
        assert shop.runner.works == []


async def test_long_work_is_kept_alive_and_done_once() -> None:
    async with open_shop(long) as shop:
        run = await shop.stage.started("a")
        await shop.put(run)
        await anyio.sleep(70)
        assert len(shop.runner.works) == 1
        assert (await shop.tags(run))[-1] == "run.completed.v1"


async def test_a_queue_that_is_away_ends_no_work() -> None:
    async with open_shop(long) as shop:
        run = await shop.stage.started("a")
        await shop.put(run)
        await anyio.sleep(5)
        shop.source.refusals = 40
        await anyio.sleep(90)
        assert shop.source.refusals == 0
        assert len(shop.runner.works) == 1
        assert (await shop.tags(run))[-1] == "run.completed.v1"


async def test_a_second_delivery_of_what_is_in_work_is_held_beside_it() -> None:
    async with open_shop(long) as shop:
        run = await shop.stage.started("a")
        await shop.put(run)
        await anyio.sleep(5)
        shop.bus.wipe()
        await shop.put(run)
        await anyio.sleep(60)
        assert len(shop.runner.works) == 1
        assert (await shop.tags(run))[-1] == "run.completed.v1"
        assert await shop.is_queue_empty()


async def test_a_lost_child_is_replaced_under_a_new_lease() -> None:
    async def lost(work: StepWork) -> Succeeded:
        raise ChildLost

    async with open_shop(lost, lost, at_once) as shop:
        run = await shop.stage.started("a")
        await shop.put(run)
        await anyio.sleep(1)
        assert [work.lease for work in shop.runner.works] == [1, 2, 3]
        assert (await shop.tags(run))[-1] == "run.completed.v1"


async def test_a_child_that_is_always_lost_ends_the_step() -> None:
    async def lost(work: StepWork) -> Succeeded:
        raise ChildLost

    async with open_shop(lost) as shop:
        run = await shop.stage.started("a")
        await shop.put(run)
        await anyio.sleep(1)
        assert len(shop.runner.works) == 3
        assert (await shop.tags(run))[-2:] == ["run.step_failed.v1", "run.failed.v1"]
        assert await shop.is_queue_empty()


async def test_a_cancelled_run_ends_its_work() -> None:
    async with open_shop(never) as shop:
        run = await shop.stage.started("a")
        await shop.put(run)
        await anyio.sleep(1)
        await shop.stage.send("run.cancel", run=run)
        shop.part.nudge(UUID(run))
        await anyio.sleep(0.1)
        assert shop.runner.cancelled == 1
        assert (await shop.tags(run))[-2:] == ["run.step_failed.v1", "run.cancelled.v1"]
        assert await shop.is_queue_empty()


async def test_a_cancel_is_seen_by_the_heartbeat_too() -> None:
    async with open_shop(never) as shop:
        run = await shop.stage.started("a")
        await shop.put(run)
        await anyio.sleep(1)
        await shop.stage.send("run.cancel", run=run)
        await anyio.sleep(3.1)
        assert (await shop.tags(run))[-1] == "run.cancelled.v1"


async def test_work_whose_lease_is_lost_is_ended_and_not_reported() -> None:
    async with open_shop(never) as shop:
        run = await shop.stage.started("a")
        await shop.put(run)
        await anyio.sleep(1)
        await shop.stage.claimed(run, "a")
        await anyio.sleep(3.1)
        assert shop.runner.cancelled == 1
        assert shop.part.busy == 0
        assert "run.report" not in shop.sender.sent


@pytest.mark.parametrize("command", ["run.claim", "run.report"])
@pytest.mark.parametrize("when", ["lose_before", "lose_after"])
async def test_lost_messages_are_sent_again(command: str, when: str) -> None:
    async with open_shop(at_once) as shop:
        getattr(shop.sender, when).append(command)
        run = await shop.stage.started("a")
        await shop.put(run)
        await anyio.sleep(5)
        assert await shop.tags(run) == [
            "run.step_started.v1",
            "run.data_processed.v1",
            "run.completed.v1",
        ]
        assert len(shop.runner.works) == 1


async def test_a_claim_that_nobody_answers_gives_the_task_back() -> None:
    async with open_shop(at_once) as shop:
        shop.sender.lose_before = ["run.claim"] * 3
        run = await shop.stage.started("a")
        await shop.put(run)
        await anyio.sleep(2)
        assert shop.part.busy == 0
        await anyio.sleep(10)
        assert (await shop.tags(run))[-1] == "run.completed.v1"


async def test_an_outcome_that_cannot_be_stored_fails_the_step() -> None:
    async def wordy(work: StepWork) -> Succeeded:
        return Succeeded(outcome=StepOutcome(warnings=("x" * 70_000,)))

    async with open_shop(wordy) as shop:
        run = await shop.stage.started("a")
        await shop.put(run)
        await anyio.sleep(1)
        history = await shop.stage.history(f"run/{run}")
        assert history[-2].data.error.code == "outcome_too_large"


async def test_a_mistake_in_one_step_leaves_the_others_alone() -> None:
    async def broken(work: StepWork) -> Succeeded:
        raise ZeroDivisionError

    async with open_stage() as stage:
        shop = Shop(stage, ScriptedRunner(broken, at_once))
        async with open_supervisor() as supervisor:
            await supervisor.start(shop.part)
            run = await stage.started("a", "b")
            await shop.put(run, "a")
            await anyio.sleep(0.001)
            await shop.put(run, "b")
            await anyio.sleep(1)
            assert "ZeroDivisionError" in supervisor.crashes[0]
            assert len(shop.runner.works) >= 2


async def test_draining_ends_what_was_begun_and_takes_nothing_new() -> None:
    async with open_stage() as stage:
        shop = Shop(stage, ScriptedRunner(long))
        async with open_supervisor(SupervisorLimits(drain_seconds_max=100)) as supervisor:
            await supervisor.start(shop.part)
            run = await stage.started("a", "b")
            await shop.put(run, "a")
            await anyio.sleep(1)
        assert (await shop.tags(run))[-1] == "run.data_processed.v1"


async def test_what_cannot_end_in_time_is_handed_back() -> None:
    async with open_stage() as stage:
        shop = Shop(stage, ScriptedRunner(never))
        async with open_supervisor(SupervisorLimits(drain_seconds_max=2)) as supervisor:
            await supervisor.start(shop.part)
            run = await stage.started("a")
            await shop.put(run, "a")
            await anyio.sleep(1)
        assert shop.runner.cancelled == 1
        assert len(await shop.bus.source().next(9, 0)) == 1


async def test_no_more_steps_at_once_than_allowed() -> None:
    async with open_shop(long, drain=0.0) as shop:
        run = await shop.stage.started(*[f"s{number}" for number in range(6)])
        for number in range(6):
            await shop.put(run, f"s{number}")
        await anyio.sleep(5)
        assert shop.part.busy == 4
