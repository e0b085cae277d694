"""What steps print: nobody needs a file for nothing, and nothing that was printed is lost."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import anyio
import pytest

from adapters.processes.leftovers import discard_abandoned
from adapters.processes.places import log_name, output_of, scratch_of
from adapters.processes.pool import ChildPool
from commands.steps.work import ChildLost
from domain.run.commands import Failed, Succeeded
from tests.adapters.processes.conftest import Project, done, until

pytestmark = pytest.mark.anyio

PRINTING = textwrap.dedent(
    """
    import os, pathlib, signal, sys

    def says(raw):
        print("said")
        return raw

    def silent(raw):
        return raw

    def waits(raw):
        print("before", flush=True)
        while not pathlib.Path("go").exists():
            pass
        print("after")
        return raw

    def dies(raw):
        print("last words", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    def for_ever(raw):
        print("on and on", flush=True)
        while True:
            pass
    """
)


@pytest.fixture
def printing(project: Project) -> Project:
    project.files = {"steps.py": PRINTING}
    return project


async def test_a_step_that_prints_nothing_leaves_nothing(printing: Project) -> None:
    definition = printing.definition()
    async with ChildPool.open(printing.options()) as pool:
        for lease, step in enumerate(("raw", "silent", "says"), 1):
            work = printing.work(step, definition, lease)
            result = await done(pool, work, definition)
            assert isinstance(result, Succeeded), result
            if step == "raw":
                printing.raw = result.outcome.output
            if step == "says":
                assert (printing.data / "logs" / result.log).read_text() == "said\n"
            else:
                assert result.log == ""
                assert not (printing.data / "logs" / str(work.run)).exists()
        (child,) = pool.pids
        assert output_of(printing.data, child).read_bytes() == b""
    assert os.listdir(printing.data / "logs/tmp") == []


async def test_a_step_that_goes_on_can_be_read_along(printing: Project) -> None:
    definition = printing.definition()
    async with ChildPool.open(printing.options()) as pool:
        first = await done(pool, printing.work("raw", definition), definition)
        assert isinstance(first, Succeeded)
        printing.raw = first.outcome.output
        work = printing.work("waits", definition)
        log = printing.data / "logs" / log_name(work)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(done, pool, work, definition)
            await until(log)
            assert log.read_text() == "before\n"
            await anyio.Path("go").touch()
        assert log.read_text() == "before\nafter\n"
        again = await done(pool, printing.work("says", definition), definition)
        assert isinstance(again, Succeeded)
        assert (printing.data / "logs" / again.log).read_text() == "said\n"
        assert log.read_text() == "before\nafter\n"


async def test_the_last_words_of_a_process_are_kept(printing: Project) -> None:
    definition = printing.definition(timeout="1s")
    async with ChildPool.open(printing.options()) as pool:
        first = await done(pool, printing.work("raw", definition), definition)
        assert isinstance(first, Succeeded)
        printing.raw = first.outcome.output
        work = printing.work("dies", definition)
        with pytest.raises(ChildLost):
            await done(pool, work, definition)
        assert (printing.data / "logs" / log_name(work)).read_text() == "last words\n"
        ended = await done(pool, printing.work("for_ever", definition), definition)
        assert isinstance(ended, Failed)
        assert (printing.data / "logs" / ended.log).read_text() == "on and on\n"


NO_ROOM = """
import sys
from errno import ENOSPC
from pathlib import Path
from adapters.processes.output import Output
from commands.steps.ports import StepBroken

def full():
    raise OSError(ENOSPC, "no room")

folder = Path(sys.argv[1])
output = Output(folder / "tmp/all")
output.begin(folder / "run/first.log")
print("first")
output._open, opening = full, output._open
try:
    output.end()
except StepBroken as stopped:
    assert stopped.error.code == "storage_full"
else:
    raise AssertionError
output._open = opening
output.begin(folder / "run/second.log")
print("second")
assert output.end()
"""


def test_a_log_is_left_alone_where_there_is_no_room_for_the_next(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", NO_ROOM, str(tmp_path)], check=True)
    assert (tmp_path / "run/first.log").read_text() == "first\n"
    assert (tmp_path / "run/second.log").read_text() == "second\n"


def test_what_dead_processes_printed_for_nobody_is_removed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as gone:
        gone.send_signal(signal.SIGKILL)
    for pid in (gone.pid, os.getpid()):
        scratch_of(tmp_path, pid).mkdir(parents=True)
        output_of(tmp_path, pid).parent.mkdir(parents=True, exist_ok=True)
        output_of(tmp_path, pid).touch()
    discard_abandoned(tmp_path)
    for place_of in (output_of, scratch_of):
        assert not place_of(tmp_path, gone.pid).exists()
        assert place_of(tmp_path, os.getpid()).exists()
