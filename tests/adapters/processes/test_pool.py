"""The pool: whatever a step does to its process, a report or `ChildLost` comes out, in time."""

import os
import signal
import sys
from pathlib import Path

import anyio
import psutil
import pytest
from anyio.lowlevel import checkpoint
from anyio.streams.buffered import BufferedByteReceiveStream
from msgspec.structs import replace

from adapters.processes.guard import log_bytes_max
from adapters.processes.places import scratch_of
from adapters.processes.pool import ChildPool
from commands.steps.work import ChildLost
from domain.errors import Rejection
from domain.pipeline.events import Definition
from domain.run.commands import Failed, StepResult, Succeeded
from tests.adapters.processes.conftest import FUNCTIONS, Project, done, pid_in, until

pytestmark = pytest.mark.anyio


async def ingest(pool: ChildPool, project: Project, definition: Definition) -> None:
    """Do the step that all others read."""
    result = await done(pool, project.work("raw", definition), definition)
    assert isinstance(result, Succeeded), result
    project.raw = result.outcome.output


async def test_a_step_runs_in_a_warm_child(project: Project) -> None:
    definition = project.definition()
    async with ChildPool.open(project.options(spare=True)) as pool:
        await ingest(pool, project, definition)
        result = await done(pool, project.work("same", definition), definition)
        assert isinstance(result, Succeeded)
        assert result.outcome.rows_out == 1
        assert len(pool.pids) == 1
        log = project.data / "logs" / result.log
        assert log.read_text() == "loaded\n"
        again = await done(pool, project.work("same", definition, lease=2), definition)
        assert isinstance(again, Succeeded)
        assert again.outcome == result.outcome
        assert again.log == ""
        children = pool.pids
    assert not any(psutil.pid_exists(pid) for pid in children)


async def test_one_child_is_ahead_of_what_is_needed(project: Project) -> None:
    definition = project.definition()
    born = [anyio.Event(), anyio.Event()]
    ahead = iter(born)
    options = project.options(size=2, spare=True)
    options = replace(options, on_born=lambda _pid: next(ahead).set())
    with anyio.fail_after(30):
        async with ChildPool.open(options) as pool:
            await born[0].wait()
            await anyio.wait_all_tasks_blocked()
            assert len(pool.pids) == 1
            await ingest(pool, project, definition)
            await born[1].wait()


async def test_no_more_children_than_allowed_whatever_comes_at_once(project: Project) -> None:
    definition = project.definition()
    async with ChildPool.open(project.options(size=2, spare=True)) as pool:
        await ingest(pool, project, definition)
        async with anyio.create_task_group() as tasks:
            for lease in range(1, 7):
                work = project.work("same", definition, lease=lease)
                tasks.start_soon(done, pool, work, definition)
                await checkpoint()
                assert len(pool.pids) <= 2
        assert len(pool.pids) == 2


async def test_a_child_with_python_of_one_bundle_never_runs_anothers(project: Project) -> None:
    first = project.definition()
    project.files = {"steps.py": FUNCTIONS.replace('n": [', 'n": [') + "\nX = 1\n"}
    second = project.definition()
    assert first.bundle != second.bundle
    async with ChildPool.open(project.options(size=1)) as pool:
        await ingest(pool, project, first)
        one = pid_in(project, await done(pool, project.work("pid", first), first))
        two = pid_in(project, await done(pool, project.work("pid", second), second))
        assert one != two
        # Whoever comes back finds its own child, as long as there are places.
        again = pid_in(project, await done(pool, project.work("pid", first, lease=2), first))
        assert again == one
        assert len(pool.pids) == 2


async def test_who_has_waited_longest_makes_room_for_another_bundle(project: Project) -> None:
    options = replace(project.options(size=1), kept_per_place=1)
    async with ChildPool.open(options) as pool:
        seen = set()
        for number in range(3):
            project.files = {"steps.py": f"{FUNCTIONS}\nX = {number}\n"}
            definition = project.definition()
            await ingest(pool, project, definition)
            seen.add(pid_in(project, await done(pool, project.work("pid", definition), definition)))
            assert len(pool.pids) == 1
        assert len(seen) == 3


CLASHING = ("adapters", "commands", "domain", "json", "runtime", "sqlglot")


async def test_modules_named_like_ours_are_the_step_s_own_and_disturb_nobody(
    project: Project,
) -> None:
    imports = "".join(f"from {name} import same\n" for name in CLASHING)
    same = "def same(raw):\n    return raw\n"
    project.files = {"steps.py": f"{imports}\ndef twice(raw):\n    return same(same(raw))\n"}
    project.files |= {f"{name}.py": same for name in CLASHING}
    definition = project.definition()
    async with ChildPool.open(project.options(size=1)) as pool:
        await ingest(pool, project, definition)
        (child,) = pool.pids
        twice = await done(pool, project.work("twice", definition), definition)
        assert isinstance(twice, Succeeded), twice
        # What the child loads only now is ours again.
        assert await pool.bind(project.plain(), project.files, str(project.root))
        assert pool.pids == (child,)


async def test_an_exception_is_reported_with_its_traceback_in_the_log(project: Project) -> None:
    definition = project.definition()
    async with ChildPool.open(project.options()) as pool:
        await ingest(pool, project, definition)
        result = await done(pool, project.work("raises", definition), definition)
    assert isinstance(result, Failed)
    assert (result.error.code, result.error.message) == ("python_error", "ValueError: bad day")
    assert result.error.where.startswith("steps.py:")
    text = (project.data / "logs" / result.log).read_text()
    assert text.rstrip().endswith("ValueError: bad day")
    assert "adapters" not in text


async def test_a_step_that_never_ends_is_ended(project: Project) -> None:
    definition = project.definition(timeout="6s")
    async with ChildPool.open(project.options()) as pool:
        await ingest(pool, project, definition)
        result = await done(pool, project.work("parent_of_one", definition), definition)
        assert isinstance(result, Failed)
        assert (result.error.code, result.error.retryable) == ("timeout", True)
        assert not pool.pids
        grandchild = int(await anyio.Path("grandchild").read_text())
        assert await gone(grandchild)
        after = await done(pool, project.work("same", definition), definition)
        assert isinstance(after, Succeeded)


async def gone(pid: int) -> bool:
    """Whether a process ends soon; one that nobody waits for counts as ended."""
    with anyio.move_on_after(10):
        while True:
            try:
                if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                    return True
            except psutil.NoSuchProcess:
                return True
            await anyio.lowlevel.checkpoint()
    return False


async def test_a_step_that_eats_memory_is_ended_with_the_figures(project: Project) -> None:
    definition = project.definition(memory="300MiB")
    async with ChildPool.open(project.options()) as pool:
        await ingest(pool, project, definition)
        result = await done(pool, project.work("hungry", definition), definition)
    assert isinstance(result, Failed)
    assert result.error.code == "memory_exceeded"
    assert "300 MiB are allowed" in result.error.message


@pytest.mark.parametrize("step", ["suicidal", "quits"])
async def test_a_child_that_dies_is_lost_and_the_pool_goes_on(project: Project, step: str) -> None:
    definition = project.definition()
    async with ChildPool.open(project.options()) as pool:
        await ingest(pool, project, definition)
        with pytest.raises(ChildLost):
            await done(pool, project.work(step, definition), definition)
        after = await done(pool, project.work("same", definition), definition)
        assert isinstance(after, Succeeded)


async def test_a_child_killed_from_outside_is_lost(project: Project) -> None:
    definition = project.definition()
    async with ChildPool.open(project.options()) as pool:
        await ingest(pool, project, definition)

        lost: list[ChildLost] = []

        async def work() -> None:
            try:
                await done(pool, project.work("for_ever", definition), definition)
            except ChildLost as error:
                lost.append(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            await until(Path("started"))
            os.kill(pool.pids[0], signal.SIGKILL)
        assert lost
        assert isinstance(await done(pool, project.work("same", definition), definition), Succeeded)


async def test_cancelling_kills_the_child(project: Project) -> None:
    definition = project.definition()
    async with ChildPool.open(project.options()) as pool:
        await ingest(pool, project, definition)
        (child,) = pool.pids
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(done, pool, project.work("for_ever", definition), definition)
            await until(Path("started"))
            tasks.cancel_scope.cancel()
        assert not psutil.pid_exists(child)
        assert not scratch_of(project.data, child).exists()
        assert isinstance(await done(pool, project.work("same", definition), definition), Succeeded)


async def test_a_log_is_bounded(project: Project) -> None:
    definition = project.definition()
    async with ChildPool.open(project.options()) as pool:
        await ingest(pool, project, definition)
        result = await done(pool, project.work("chatty", definition), definition)
    assert isinstance(result, Succeeded)
    path = project.data / "logs" / result.log
    assert path.stat().st_size < log_bytes_max + 100
    assert path.read_bytes().endswith(b"[the log ends here: it reached its limit of 16 MiB]\n")


async def test_binding(project: Project) -> None:
    async with ChildPool.open(project.options()) as pool:
        name, bound = await pool.bind(project.plain(), project.files, str(project.root))
        assert name == "habits"
        assert bound.plan[0].id == "raw"
        wrong = {**project.plain(), "steps": []}
        with pytest.raises(Rejection) as refusal:
            await pool.bind(wrong, project.files, str(project.root))
        assert refusal.value.code == "invalid_pipeline"
        assert refusal.value.details["problems"]


async def test_steps_share_the_pool(project: Project) -> None:
    definition = project.definition()
    async with ChildPool.open(project.options(size=2)) as pool:
        await ingest(pool, project, definition)
        results: list[StepResult] = []

        async def one(number: int) -> None:
            work = replace(project.work("same", definition), attempt=number)
            results.append(await done(pool, work, definition))

        async with anyio.create_task_group() as tasks:
            for number in range(1, 13):
                tasks.start_soon(one, number)
        assert all(isinstance(result, Succeeded) for result in results)
        assert len(results) == 12
        assert len(pool.pids) <= 2


async def test_what_dead_processes_left_is_removed(project: Project) -> None:
    ended = await anyio.run_process([sys.executable, "-c", "import os; print(os.getpid())"])
    left = scratch_of(project.data, int(ended.stdout))
    left.mkdir(parents=True)
    (left / "half.parquet").touch()
    async with ChildPool.open(project.options()):
        assert not left.exists()


PARENT = """
import sys
from pathlib import Path
import anyio
import msgspec
from adapters.processes.pool import ChildPool
from tests.adapters.processes.conftest import Project, done

async def main():
    project = Project(Path(sys.argv[1]))
    definition = project.definition()
    async with ChildPool.open(project.options(size=2)) as pool:
        raw = await done(pool, project.work("raw", definition), definition)
        project.raw = raw.outcome.output
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(done, pool, project.work("parent_of_one", definition), definition)
            tasks.start_soon(done, pool, project.work("same", definition), definition)
            while not Path("started").exists():
                await anyio.sleep(0.01)
            print(*pool.pids, Path("grandchild").read_text(), flush=True)
            await anyio.sleep_forever()

anyio.run(main)
"""


async def test_no_child_outlives_a_parent_that_is_killed(project: Project, tmp_path: Path) -> None:
    async with await anyio.open_process(
        [sys.executable, "-c", PARENT, str(tmp_path)], stderr=None
    ) as parent:
        assert parent.stdout is not None
        with anyio.fail_after(40):
            line = await BufferedByteReceiveStream(parent.stdout).receive_until(b"\n", 1000)
        parent.kill()
        await parent.wait()
    children = [int(word) for word in line.split()]
    assert len(children) >= 2
    for child in children:
        assert await gone(child), child
