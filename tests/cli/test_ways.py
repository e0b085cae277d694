"""The way to a data directory on which services come and go."""

from pathlib import Path

import anyio
import pytest

from runtime.cli.parsing import Command
from runtime.cli.sessions import Way
from runtime.datadir import DataDir
from runtime.session import Session

pytestmark = pytest.mark.anyio


async def test_a_service_that_stops_before_it_is_joined_makes_room(tmp_path: Path) -> None:
    held = DataDir(tmp_path).take("run")
    held.say(ready=False)
    came: list[Session] = []

    async def come() -> None:
        async with Way(Command(data=str(tmp_path))).writing() as session:
            came.append(session)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(come)
            await anyio.wait_all_tasks_blocked()
            assert not came
            held.close()
    assert len(came) == 1
