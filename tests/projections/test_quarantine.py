"""Questions about rows that steps have set apart."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.projections.desk import Desk, open_desk

pytestmark = pytest.mark.anyio


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as opened:
        yield opened


async def test_quarantines_are_listed_with_what_became_of_them(desk: Desk) -> None:
    third, again, first = await desk.all("lineage.quarantines", 2)
    assert {one["pipeline"] for one in (first, again, third)} == {"orders"}
    assert (first["status"], first["settled_by"]) == ("settled", again["run"])
    assert (first["rows"], first["readmitted"], first["remaining"]) == (3, 2, 1)
    assert (again["status"], again["rows"], again["settled_by"]) == ("open", 1, None)
    assert (third["failed"], third["rows"], third["rows_in"]) == (True, 300, 336_776)
    assert first["dataset"] == "orders.raw.quarantine"


async def test_they_are_chosen_by_pipeline_run_and_status(desk: Desk) -> None:
    third, again, first = await desk.all("lineage.quarantines", 5)
    settled = await desk.all("lineage.quarantines", 5, status="settled")
    assert settled == [first]
    assert await desk.all("lineage.quarantines", 5, status="open") == [third, again]
    assert await desk.all("lineage.quarantines", 5, run=again["run"]) == [again]
    assert await desk.all("lineage.quarantines", 5, pipeline="flights") == []


async def test_a_run_tells_what_was_put_back(desk: Desk) -> None:
    _, again, _ = await desk.all("lineage.quarantines", 5)
    run = await desk.ask("monitoring.run", run=again["run"])
    raw = run["steps"][0]
    assert (raw["readmitted"], raw["mended"]["name"]) == (2, "/data/mended.csv")
    graph = await desk.ask("lineage.graph", dataset="orders.raw", direction="up", depth=1)
    assert "file:/data/mended.csv" in {edge["from"] for edge in graph["edges"]}
