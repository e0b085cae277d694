"""Sealing that dies on the way: each event is in the table or in a segment, and never in both."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from adapters.eventstore.sqlite import SqliteEventStore
from domain.record import Recorded
from tests.contracts.sealing import SqliteGround, filled, report_of
from tests.e2e.project import Project
from tests.faults.deaths import die

pytestmark = pytest.mark.anyio


async def events_of(path: Path) -> Sequence[Recorded]:
    async with SqliteEventStore.open(path) as store:
        return await store.read(0, 10_000)


async def test_a_death_anywhere_loses_and_doubles_nothing(repository: Path, tmp_path: Path) -> None:
    project, path = Project(tmp_path), tmp_path / ".headwater/events.db"
    path.parent.mkdir()
    (path.parent / "lock").touch()
    await filled(SqliteGround(path))
    before, live = await events_of(path), await SqliteGround(path).live()
    change, sealed = 1, []
    while die(repository, project, change, "retain", "--before", "0s"):
        assert await events_of(path) == before
        report = await report_of(SqliteGround(path))
        assert (report.ok, report.events) == (True, len(before))
        sealed.append(await SqliteGround(path).live() < live)
        change += 1
    assert sealed.count(False) > 10
    assert await SqliteGround(path).live() < live
    assert project.json("retain", "--before", "0s")["runs"] == 0
    assert await events_of(path) == before
    assert not list((path.parent / "segments").glob(".*.partial"))
