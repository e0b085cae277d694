"""Views that are written together belong to callers who may give up."""

import threading
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import anyio
import pytest

from adapters.readmodels.sqlite import SqliteReadModels
from projections.ports import Bulk, Checkpoint, Column, Table

pytestmark = pytest.mark.anyio

PLACE = Checkpoint(store_id=UUID(int=1), position=1, event_id=UUID(int=2), events=1, digest="d")


@pytest.fixture
async def models(tmp_path: Path) -> AsyncIterator[SqliteReadModels]:
    async with SqliteReadModels.open(tmp_path / "views.db") as opened:
        for name in ("first", "second"):
            table = Table(name=f"{name}_rows", columns=(Column("a"),), key=("a",))
            await opened.create(name, 1, [table])
        yield opened


async def move(models: SqliteReadModels, view: str) -> None:
    await models.apply_once(view, None, [Bulk("put", f"{view}_rows", (), [("x",)])], PLACE)


async def test_who_gives_up_takes_nobody_along(models: SqliteReadModels) -> None:
    gate = threading.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(models._writer.run, lambda _: gate.wait(10))
        giving_up = anyio.CancelScope()

        async def first() -> None:
            with giving_up:
                await move(models, "first")

        tasks.start_soon(first)
        tasks.start_soon(move, models, "second")
        await anyio.wait_all_tasks_blocked()
        giving_up.cancel()
        await anyio.wait_all_tasks_blocked()
        gate.set()
    assert await models.checkpoint("second", 1) == PLACE


async def test_who_gives_up_before_its_turn_has_done_nothing(models: SqliteReadModels) -> None:
    async with anyio.create_task_group() as tasks, models._turn:
        tasks.start_soon(move, models, "first")
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    await move(models, "second")
    assert await models.checkpoint("first", 1) is None
    assert await models.checkpoint("second", 1) == PLACE
