"""Views on PostgreSQL that have something to apply at the same time."""

from collections.abc import AsyncIterator

import anyio
import pytest

from adapters.postgres import Database
from adapters.readmodels.postgres import PostgresReadModels
from projections.ports import Bulk, Column, Table
from tests.contracts.read_models import rows_of
from tests.contracts.test_read_models import at

pytestmark = pytest.mark.anyio

NAMES = ("first", "second", "third")

PLACE = at(1)


@pytest.fixture
async def models(database: Database) -> AsyncIterator[PostgresReadModels]:
    async with PostgresReadModels.open(database) as opened:
        for name in NAMES:
            table = Table(name=f"{name}_rows", columns=(Column("a"),), key=("a",))
            await opened.create(name, 1, [table])
        yield opened


async def move(models: PostgresReadModels, view: str) -> None:
    await models.apply_once(view, None, [Bulk("put", f"{view}_rows", (), [("x",)])], PLACE)


async def moved(models: PostgresReadModels) -> list[str]:
    return [name for name in NAMES if await models.checkpoint(name, 1) == PLACE]


async def test_what_waits_shares_a_transaction(models: PostgresReadModels) -> None:
    async with anyio.create_task_group() as tasks:
        for name in NAMES:
            tasks.start_soon(move, models, name)
    assert await moved(models) == [*NAMES]
    async with models._writer.session() as session:
        count = "SELECT count(DISTINCT xmin::text) FROM view_checkpoints"
        assert await session.fetchval(count) == 1


async def test_a_view_that_another_process_moves_holds_up_no_other(
    models: PostgresReadModels, database: Database
) -> None:
    async with (
        PostgresReadModels.open(database) as other,
        other._writer.session() as session,
        anyio.create_task_group() as tasks,
    ):
        held = session.transaction()
        await held.start()
        await session.execute("SELECT 1 FROM view_checkpoints WHERE view = 'second' FOR UPDATE")
        tasks.start_soon(move, models, "second")
        async with anyio.create_task_group() as free:
            free.start_soon(move, models, "first")
            free.start_soon(move, models, "third")
        assert await moved(models) == ["first", "third"]
        await held.rollback()
    assert await moved(models) == [*NAMES]
    assert await rows_of(models, "second_rows") == [("x",)]


async def test_who_gives_up_takes_nobody_along(
    models: PostgresReadModels, database: Database
) -> None:
    giving_up = anyio.CancelScope()

    async def first() -> None:
        with giving_up:
            await move(models, "first")

    async with (
        PostgresReadModels.open(database) as other,
        other._writer.session() as session,
        anyio.create_task_group() as tasks,
    ):
        held = session.transaction()
        await held.start()
        await session.execute("LOCK TABLE first_rows")
        tasks.start_soon(first)
        tasks.start_soon(move, models, "second")
        tasks.start_soon(move, models, "third")
        while not await session.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await anyio.lowlevel.checkpoint()
        giving_up.cancel()
        await held.rollback()
    assert {"second", "third"} <= {*await moved(models)}


async def test_who_gives_up_before_its_turn_has_done_nothing(models: PostgresReadModels) -> None:
    async with anyio.create_task_group() as tasks, models._moves._turn:
        tasks.start_soon(move, models, "first")
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    await move(models, "second")
    assert await moved(models) == ["second"]
