"""What read models on PostgreSQL do beyond their contract: several processes, and any text."""

from copy import copy

import anyio
import pytest

from adapters.postgres import Database
from adapters.readmodels.postgres import PostgresReadModels
from domain.errors import Conflict
from projections.monitoring import MONITORING
from projections.ports import Put
from projections.replay import replay, verify
from tests.contracts.read_models import one_by_one, rows_of
from tests.contracts.test_read_models import TABLE, at
from tests.projections.histories import all_kinds, runs
from tests.projections.support import ListLog, Stage

pytestmark = pytest.mark.anyio

EVENTS = all_kinds().records


async def test_two_processes_begin_a_view_at_once(database: Database) -> None:
    async with (
        PostgresReadModels.open(database) as first,
        PostgresReadModels.open(database) as second,
    ):
        for version in range(10):
            view = copy(MONITORING)
            view.version = 100 + version
            stages = [Stage(view, ListLog(EVENTS), models) for models in (first, second)]
            async with anyio.create_task_group() as group:
                for stage in stages:
                    group.start_soon(stage.worker.start)
            for stage in stages:
                assert (stage.worker.halted, stage.worker.position) == (None, len(EVENTS))
            assert (await verify(ListLog(EVENTS), second, [view])).ok


async def test_two_processes_keep_one_view(database: Database) -> None:
    events = list(runs(40))
    async with (
        PostgresReadModels.open(database) as first,
        PostgresReadModels.open(database) as second,
    ):
        log = ListLog(events[:100])
        stages = [Stage(MONITORING, log, models) for models in (first, second)]
        for stage in stages:
            await stage.worker.start()

        async def follow(stage: Stage) -> None:
            for start in range(100, len(events), 30):
                stage.carry(*events[start : start + 30])
                await stage.worker.step(0)

        log.records = events
        async with anyio.create_task_group() as group:
            for stage in stages:
                group.start_soon(follow, stage)
            for _ in range(3):
                await replay(log, first, MONITORING)
        for stage in stages:
            await stage.worker.catch_up()
            assert (stage.worker.halted, stage.worker.position) == (None, len(events))
        assert (await verify(log, second, [MONITORING])).ok


async def test_a_text_with_a_null_character_is_kept_without_it(database: Database) -> None:
    async with PostgresReadModels.open(database) as models:
        await models.create("some", 1, [TABLE])
        odd = Put("some_rows", ("a\0b", 1), {"text": "\0\u2028\U0001f600'\"\\", "n": 1})
        await models.apply_once("some", None, one_by_one([odd]), at(1))
        assert await rows_of(models, "some_rows") == [
            ("a\ufffdb", 1, "\ufffd\u2028\U0001f600'\"\\", 1)
        ]
        async with models.beside("some", 1, [TABLE]) as shadow:
            await shadow.pin()
            await shadow.apply(one_by_one([odd]))
            assert await shadow.differences(10) == []


async def test_a_view_moved_by_another_process_is_a_conflict(database: Database) -> None:
    async with (
        PostgresReadModels.open(database) as first,
        PostgresReadModels.open(database) as second,
    ):
        await first.create("some", 1, [TABLE])
        assert await second.checkpoint("some", 1) is None
        changes = one_by_one([Put("some_rows", ("x", 1), {"n": 1})])
        await first.apply_once("some", None, changes, at(1))
        with pytest.raises(Conflict):
            await second.apply_once("some", None, changes, at(1))
        await second.apply_once("some", at(1), changes, at(2))
        assert await first.checkpoint("some", 1) == at(2)
