"""Steps that are done right behind another one, by the same child."""

from pathlib import Path

import psutil
import pytest
from msgspec.structs import replace

from adapters.processes.pool import ChildPool
from commands.steps.work import ChildLost, StepAhead, StepWork
from domain.pipeline.events import Definition
from domain.run.commands import Failed, Succeeded
from tests.adapters.processes.conftest import Project, pid_in, until

pytestmark = pytest.mark.anyio

LONG = 60.0
"""Seconds, more than any of this takes."""


def with_ahead(project: Project, definition: Definition, *steps: str) -> StepWork:
    """The ingest, and steps that may be done behind it."""
    ahead = tuple(StepAhead(step=one, inputs=("raw",)) for one in steps)
    return replace(project.work("raw", definition), ahead=ahead)


async def test_steps_ahead_are_done_by_the_same_child_in_one_go(project: Project) -> None:
    definition = project.definition()
    async with ChildPool.open(project.options()) as pool:
        given = pool.begin(with_ahead(project, definition, "same", "pid"), definition, LONG)
        assert given.current == "raw"
        raw = await given.result()
        assert isinstance(raw, Succeeded)
        assert given.current == "same"
        same, made = await given.result(), await given.result()
        assert given.current == ""
        assert isinstance(same, Succeeded)
        assert raw.outcome.output is not None
        assert same.outcome.inputs[0].fingerprint == raw.outcome.output.fingerprint
        assert (pid_in(project, made),) == pool.pids
        assert (project.data / "logs" / same.log).read_text() == "loaded\n"
        await given.close()
        assert len(pool.pids) == 1


async def test_a_failure_ends_only_what_builds_on_it(project: Project) -> None:
    definition = project.definition()
    async with ChildPool.open(project.options()) as pool:
        work = with_ahead(project, definition, "raises", "pid", "same")
        ahead = (work.ahead[0], replace(work.ahead[1], inputs=("raises",)), work.ahead[2])
        given = pool.begin(replace(work, ahead=ahead), definition, LONG)
        assert isinstance(await given.result(), Succeeded)
        assert isinstance(await given.result(), Failed)
        assert given.current == "same"
        assert isinstance(await given.result(), Succeeded)
        assert given.current == ""


async def test_nothing_is_begun_ahead_when_its_time_is_over(project: Project) -> None:
    definition = project.definition()
    async with ChildPool.open(project.options()) as pool:
        given = pool.begin(with_ahead(project, definition, "same"), definition, 0.0)
        assert isinstance(await given.result(), Succeeded)
        assert given.current == ""


async def test_a_child_lost_ahead_takes_no_result_with_it(project: Project) -> None:
    definition = project.definition()
    async with ChildPool.open(project.options()) as pool:
        given = pool.begin(with_ahead(project, definition, "suicidal"), definition, LONG)
        assert isinstance(await given.result(), Succeeded)
        with pytest.raises(ChildLost):
            await given.result()


async def test_each_step_ahead_has_its_own_time(project: Project) -> None:
    definition = project.definition(timeout="1s")
    async with ChildPool.open(project.options()) as pool:
        given = pool.begin(with_ahead(project, definition, "for_ever", "same"), definition, LONG)
        assert isinstance(await given.result(), Succeeded)
        late = await given.result()
        assert isinstance(late, Failed)
        assert (late.error.code, given.current) == ("timeout", "")


async def test_closing_kills_what_is_done_ahead(project: Project) -> None:
    definition = project.definition()
    async with ChildPool.open(project.options()) as pool:
        given = pool.begin(with_ahead(project, definition, "for_ever"), definition, LONG)
        await given.result()
        (child,) = pool.pids
        await until(Path("started"))
        await given.close()
        assert not psutil.pid_exists(child)
