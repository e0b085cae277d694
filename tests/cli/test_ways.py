"""The way to a data directory on which services come and go."""

import os
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from domain.errors import NotFound
from runtime.cli.parsing import Command
from runtime.cli.sessions import Way
from runtime.datadir import DataDir
from runtime.session import Session

pytestmark = pytest.mark.anyio


async def _come(data: Path, came: list[Session]) -> None:
    async with Way(Command(data=str(data))).writing() as session:
        came.append(session)


async def test_a_service_that_stops_before_it_is_joined_makes_room(tmp_path: Path) -> None:
    held = DataDir(tmp_path).take("run")
    held.say(ready=False)
    came: list[Session] = []
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_come, tmp_path, came)
            await anyio.wait_all_tasks_blocked()
            assert not came
            held.close()
    assert len(came) == 1


async def test_a_service_that_stops_while_it_is_joined_makes_room(tmp_path: Path) -> None:
    directory = DataDir(tmp_path)
    held = directory.take("run")
    held.say(ready=True)
    directory.nats.mkdir()
    way_in = directory.nats / "connection.json"
    os.mkfifo(way_in)  # whoever comes gets no further than this until the service has gone
    came: list[Session] = []
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_come, tmp_path, came)
            answer = await to_thread.run_sync(
                os.open, directory.nats / "connection.json", os.O_WRONLY
            )
            assert not came
            held.close()
            os.close(answer)
    assert len(came) == 1


async def test_a_service_that_stays_and_cannot_be_joined_is_an_error(tmp_path: Path) -> None:
    with DataDir(tmp_path).hold("run") as held:
        held.say(ready=True)
        with pytest.raises(NotFound, match="does not say where the service is"):
            async with Way(Command(data=str(tmp_path))).writing():
                pass
