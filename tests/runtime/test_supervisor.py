"""The supervisor: start, ready, drain, stop; restarts with backoff and a limit; nothing hidden."""

from collections.abc import Awaitable, Callable

import anyio
import pytest
from anyio.abc import TaskStatus

from domain.errors import Rejection, TimedOut, Unavailable
from runtime.health import health_of
from runtime.supervisor import Part, Signals, SupervisorLimits, open_supervisor, told

QUICK = SupervisorLimits(
    backoff_seconds_min=0.001, backoff_seconds_max=0.004, restarts_max=3, drain_seconds_max=0.2
)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The supervisor owns the simulation's tasks, too."""
    return str(request.param)


pytestmark = pytest.mark.anyio


class ScriptedPart(Part):
    """A part whose lives are written by the test, the last one again and again."""

    def __init__(self, *lives: Callable[[Signals], Awaitable[None]], name: str = "part") -> None:
        self._lives = list(lives)
        self._name = name
        self.begun = 0

    @property
    def name(self) -> str:
        return self._name

    async def run(self, signals: Signals) -> None:
        self.begun += 1
        life = self._lives.pop(0) if len(self._lives) > 1 else self._lives[0]
        await life(signals)


async def good(signals: Signals) -> None:
    """Becomes ready and waits for the end."""
    signals.ready()
    while not signals.is_draining:
        with signals.interruptible():
            await anyio.sleep_forever()


async def crash(signals: Signals) -> None:
    """A mistake of ours."""
    raise ZeroDivisionError("oops")


async def fail(signals: Signals) -> None:
    """The world refuses."""
    raise Unavailable("no server")


async def test_a_part_is_ready_when_start_returns_and_stopped_at_the_end() -> None:
    part = ScriptedPart(good)
    async with open_supervisor(QUICK) as supervisor:
        await supervisor.start(part)
        assert [one.state for one in supervisor.report()] == ["ready"]
        assert health_of(supervisor).healthy
    assert [one.state for one in supervisor.report()] == ["stopped"]


async def test_stopping_twice_is_fine() -> None:
    async with open_supervisor(QUICK) as supervisor:
        await supervisor.start(ScriptedPart(good))
        await supervisor.stop()
        await supervisor.stop()


async def test_the_last_started_is_stopped_first() -> None:
    ended: list[str] = []

    def named(name: str) -> ScriptedPart:
        async def life(signals: Signals) -> None:
            await good(signals)
            ended.append(name)

        return ScriptedPart(life, name=name)

    async with open_supervisor(QUICK) as supervisor:
        for name in ("store", "relay", "steps"):
            await supervisor.start(named(name))
    assert ended == ["steps", "relay", "store"]


async def test_a_failure_of_the_world_is_tried_again_and_again() -> None:
    part = ScriptedPart(*[fail] * 20, good)
    async with open_supervisor(QUICK) as supervisor:
        await supervisor.start(part)
        (report,) = supervisor.report()
        assert (report.state, report.restarts, report.reason) == ("ready", 20, "no server")
        assert supervisor.crashes == ()


async def test_a_few_crashes_are_survived_and_shown() -> None:
    async with open_supervisor(QUICK) as supervisor:
        await supervisor.start(ScriptedPart(crash, crash, good))
        assert supervisor.crashes == ("part: ZeroDivisionError: oops",) * 2
        assert health_of(supervisor).crashes


async def test_a_part_that_crashes_too_often_is_given_up() -> None:
    async with open_supervisor(QUICK) as supervisor:
        with pytest.raises(Unavailable, match="part cannot start: ZeroDivisionError: oops"):
            await supervisor.start(ScriptedPart(crash))
        assert await supervisor.failed() == "part: ZeroDivisionError: oops"
        assert not health_of(supervisor).healthy
        assert supervisor.report()[0].restarts == 3


async def test_a_part_that_ends_by_itself_is_begun_again() -> None:
    async def early(signals: Signals) -> None:
        """Nothing to do."""

    part = ScriptedPart(early, good)
    async with open_supervisor(QUICK) as supervisor:
        await supervisor.start(part)
        assert part.begun == 2


async def test_a_part_that_is_never_ready_is_told() -> None:
    limits = SupervisorLimits(start_seconds_max=0.01, drain_seconds_max=0.01)

    async def slow(signals: Signals) -> None:
        await anyio.sleep_forever()

    async with open_supervisor(limits) as supervisor:
        with pytest.raises(TimedOut):
            await supervisor.start(ScriptedPart(slow))


async def test_what_to_do_is_told_with_the_reason() -> None:
    async def damaged(signals: Signals) -> None:
        raise Unavailable("the file is damaged", hint="delete it")

    limits = SupervisorLimits(start_seconds_max=0.01, drain_seconds_max=0.01)
    async with open_supervisor(limits) as supervisor:
        with pytest.raises(TimedOut, match=r"ready: the file is damaged \(delete it\)"):
            await supervisor.start(ScriptedPart(damaged))


async def test_a_part_that_does_not_drain_is_cancelled() -> None:
    cancelled = []

    async def stubborn(signals: Signals) -> None:
        signals.ready()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.append(True)

    limits = SupervisorLimits(drain_seconds_max=0.01)
    async with open_supervisor(limits) as supervisor:
        await supervisor.start(ScriptedPart(stubborn))
    assert cancelled == [True]


async def test_draining_waits_for_what_was_begun() -> None:
    done = []

    async def working(signals: Signals) -> None:
        await good(signals)
        await anyio.lowlevel.checkpoint()
        done.append(True)

    async with open_supervisor(QUICK) as supervisor:
        await supervisor.start(ScriptedPart(working))
    assert done == [True]


async def test_a_halted_part_is_not_healthy_until_it_goes_on() -> None:
    async with anyio.create_task_group() as tasks, open_supervisor(QUICK) as supervisor:
        mended = anyio.Event()

        async def halting(signals: Signals) -> None:
            signals.halt("cannot read event 7")
            await mended.wait()
            await good(signals)

        await supervisor.start(ScriptedPart(halting))
        (report,) = supervisor.report()
        assert (report.state, report.reason) == ("halted", "cannot read event 7")
        assert not health_of(supervisor).healthy
        mended.set()
        await anyio.wait_all_tasks_blocked()
        assert health_of(supervisor).healthy
        tasks.cancel_scope.cancel()


async def test_a_crash_of_one_piece_of_work_is_shown_and_harms_nobody() -> None:
    async def divided() -> None:
        raise ZeroDivisionError("oops")

    async def guarding(signals: Signals) -> None:
        await signals.guard("step a", divided)
        await good(signals)

    async with open_supervisor(QUICK) as supervisor:
        supervisor.spawn("question", divided)
        await supervisor.start(ScriptedPart(guarding))
        await anyio.wait_all_tasks_blocked()
        assert sorted(supervisor.crashes) == [
            "question: ZeroDivisionError: oops",
            "step a: ZeroDivisionError: oops",
        ]
        assert supervisor.report()[0].state == "ready"


async def test_what_the_block_raises_comes_out_as_it_is() -> None:
    with pytest.raises(Rejection, match="no"):  # noqa: PT012  # the block is what is tested
        async with open_supervisor(QUICK) as supervisor:
            await supervisor.start(ScriptedPart(good))
            raise Rejection("no", "no")


async def test_groups_of_failures_are_failures() -> None:
    async def grouped(signals: Signals) -> None:
        async def inner(*, task_status: TaskStatus[None]) -> None:
            task_status.started()
            raise Unavailable("no server")

        async with anyio.create_task_group() as tasks:
            await tasks.start(inner)
            await anyio.sleep_forever()

    async with open_supervisor(QUICK) as supervisor:
        await supervisor.start(ScriptedPart(*[grouped] * 9, good))
        assert supervisor.crashes == ()


def test_reasons_are_one_line() -> None:
    group = ExceptionGroup("several", [ExceptionGroup("more", [Unavailable("no server")])])
    assert told(group) == "no server"
    assert told(KeyError("x")) == "KeyError: 'x'"
