"""The guard of a piece of work: how its log ends."""

import sys
from asyncio.subprocess import PIPE, create_subprocess_exec
from pathlib import Path

import pytest

from adapters.processes.child import Child
from adapters.processes.guard import Guard, log_bytes_max

pytestmark = pytest.mark.anyio


async def test_a_look_that_comes_too_late_leaves_the_end_of_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * (log_bytes_max + 10))
    process = await create_subprocess_exec(
        sys.executable, "-c", "import sys; sys.stdin.read()", stdin=PIPE, stdout=PIPE
    )
    guard = Guard(Child(process, born=0.0), 2**30, log)
    await guard.look()
    guard.finish()
    await guard.look()
    await process.communicate(b"")
    assert log.read_bytes().endswith(b"[the log ends here: it reached its limit of 16 MiB]\n")
