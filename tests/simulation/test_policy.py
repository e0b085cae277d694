"""The policy's rounds on virtual time, over a list of open steps and a list of what was put."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import anyio
import pytest
from trio.testing import MockClock

from commands.dispatch import DispatchPolicy, full_round_seconds, taken_seconds, waiting_max
from commands.ports import OpenStep, OpenSteps, Task, TaskQueue
from domain.errors import Unavailable
from runtime.supervisor import open_supervisor
from runtime.workers import PolicyPart
from tests.simulation.chance import VirtualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Time jumps as soon as everybody waits."""
    return "trio", {"clock": MockClock(autojump_threshold=0)}


class ListSteps(OpenSteps):
    """Open steps as the test says."""

    def __init__(self) -> None:
        self.steps: list[OpenStep] = []

    async def open(self, after: tuple[str, str] | None, limit: int) -> Sequence[OpenStep]:
        steps = sorted(self.steps, key=_key)
        return [step for step in steps if after is None or _key(step) > after][:limit]


class ListQueue(TaskQueue):
    """Remembers what was put, and refuses on request."""

    def __init__(self) -> None:
        self.put: list[str] = []
        self.refusals = 0
        self.meanwhile: Callable[[], None] | None = None

    async def ensure(self, task: Task) -> bool:
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            happens()
        if self.refusals:
            self.refusals -= 1
            raise Unavailable("the bus does not answer")
        self.put.append(task.step)
        return True


def _key(step: OpenStep) -> tuple[str, str]:
    return str(step.task.run), step.task.step


@asynccontextmanager
async def open_policy() -> AsyncIterator[tuple[ListSteps, ListQueue, PolicyPart]]:
    """A policy at work."""
    steps, queue, clock = ListSteps(), ListQueue(), VirtualClock(0)
    part = PolicyPart(DispatchPolicy(steps, queue, clock), clock)
    async with open_supervisor() as supervisor:
        await supervisor.start(part)
        yield steps, queue, part
    assert supervisor.crashes == ()


def open_step(
    step: str, due: float | None = None, *, in_work: bool = False, run: int = 1
) -> OpenStep:
    """A step that is due in so many virtual seconds."""
    moment = VirtualClock(0).now() + timedelta(seconds=due) if due is not None else None
    return OpenStep(task=Task(run=UUID(int=run), step=step, attempt=1), due=moment, in_work=in_work)


async def test_open_steps_are_put_once_when_the_view_moves() -> None:
    async with open_policy() as (steps, queue, part):
        steps.steps = [open_step("a"), open_step("b")]
        part.wake()
        await anyio.sleep(0.1)
        part.wake()
        await anyio.sleep(0.1)
        assert queue.put == ["a", "b"]


async def test_a_step_is_put_when_it_falls_due() -> None:
    async with open_policy() as (steps, queue, part):
        steps.steps = [open_step("a", due=7)]
        part.wake()
        await anyio.sleep(6.9)
        assert queue.put == []
        await anyio.sleep(0.2)
        assert queue.put == ["a"]


async def test_everything_is_put_again_now_and_then_and_after_a_reconnect() -> None:
    async with open_policy() as (steps, queue, part):
        steps.steps = [open_step("a", in_work=True)]
        part.wake()
        await anyio.sleep(full_round_seconds + 1)
        assert queue.put == ["a", "a"]
        part.reconnected()
        await anyio.sleep(0.1)
        assert queue.put == ["a", "a", "a"]


async def test_a_reconnect_during_a_full_round_is_not_forgotten() -> None:
    async with open_policy() as (steps, queue, part):
        steps.steps = [open_step("a"), open_step("b")]
        queue.meanwhile = part.reconnected
        part.reconnected()
        await anyio.sleep(0.1)
        assert queue.put == ["a", "b", "a", "b"]


async def test_a_queue_that_refuses_is_tried_again() -> None:
    async with open_policy() as (steps, queue, part):
        steps.steps = [open_step("a"), open_step("b")]
        queue.refusals = 3
        part.wake()
        await anyio.sleep(5)
        assert set(queue.put) == {"a", "b"}


async def test_many_open_steps_are_read_page_by_page() -> None:
    async with open_policy() as (steps, queue, part):
        steps.steps = [open_step("a", run=number) for number in range(1200)]
        part.wake()
        await anyio.sleep(0.1)
        assert len(queue.put) == 1200


async def test_few_tasks_of_a_run_wait_in_the_queue() -> None:
    async with open_policy() as (steps, queue, part):
        names = [f"s{number:02}" for number in range(40)]
        steps.steps = [*[open_step(name) for name in names], open_step("other", run=2)]
        part.wake()
        await anyio.sleep(0.1)
        assert queue.put == [*names[:waiting_max], "other"]
        steps.steps[:3] = [open_step("s00", in_work=True), open_step("s01", in_work=True)]
        part.wake()
        await anyio.sleep(0.1)
        assert queue.put[waiting_max + 1 :] == names[waiting_max : waiting_max + 3]


async def test_a_step_that_was_taken_is_put_only_if_it_takes_long() -> None:
    async with open_policy() as (steps, queue, part):
        steps.steps = [open_step("short", in_work=True), open_step("long", in_work=True)]
        part.wake()
        await anyio.sleep(taken_seconds - 0.1)
        steps.steps.pop(0)
        part.wake()
        assert queue.put == []
        await anyio.sleep(0.2)
        assert queue.put == ["long"]


async def test_after_a_start_all_that_is_in_work_is_put_at_once() -> None:
    steps, queue, clock = ListSteps(), ListQueue(), VirtualClock(0)
    steps.steps = [open_step("a", in_work=True)]
    async with open_supervisor() as supervisor:
        await supervisor.start(PolicyPart(DispatchPolicy(steps, queue, clock), clock))
        assert queue.put == ["a"]
