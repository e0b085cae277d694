"""What a sweep spares: what open runs have made, and what they put back."""

import os
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.datasets.artifacts import FileArtifacts
from commands.steps.ports import Kept
from domain.data.dataset import DatasetVersion
from domain.data.rowmap import RowMap
from domain.run.events import StepOutcome
from runtime.datadir import DataDir
from runtime.wiring.collection import Sweep, collect

pytestmark = pytest.mark.anyio
OLD, NEW, AGAIN = UUID(int=1), UUID(int=2), UUID(int=3)


class Place:
    """A data directory in which a step has set rows apart, after some had been put back."""

    def __init__(self, folder: Path) -> None:
        self.folder = DataDir(folder)
        self.artifacts = FileArtifacts(self.folder.datasets, self.folder.keys, folder / "tmp")
        self.versions = {
            name: self._made(name, rows)
            for rows, name in enumerate(("output", "quarantine", "patched", "jumps", "other"), 1)
        }
        outcome = StepOutcome(
            key="k",
            output=self.versions["output"],
            quarantine=self.versions["quarantine"],
            patched=self.versions["patched"],
            row_map=RowMap(jumps=self.versions["jumps"]),
        )
        self.artifacts.keep("k", Kept(run=OLD, step="valid", outcome=outcome))
        for path in folder.rglob("*.*"):
            os.utime(path, (1, 1))

    def _made(self, name: str, rows: int) -> DatasetVersion:
        scratch = self.artifacts.scratch()
        pq.write_table(pa.table({"n": list(range(rows))}), scratch)
        written = self.artifacts.admit(scratch)
        return DatasetVersion(
            dataset=f"p.{name}", fingerprint=written.fingerprint, rows=rows, bytes=written.bytes
        )

    async def gone(self, *runs: dict[str, Any], bytes_max: int = 0) -> list[str]:
        """What a sweep drops while these runs are open, in its order."""

        async def ask(query: str, asked: dict[str, Any]) -> dict[str, Any]:
            if query == "monitoring.runs":
                return {"items": [*runs], "next": None}
            made = {
                "id": "valid",
                "output": {"fingerprint": self.versions["output"].fingerprint},
                "quarantine": {"fingerprint": self.versions["quarantine"].fingerprint},
            }
            open_ = {"id": "valid", "output": None}
            of = {str(NEW): str(OLD), str(AGAIN): str(NEW)}.get(asked["run"])
            steps = [made] if asked["run"] == str(OLD) else [open_]
            return {**run(UUID(asked["run"]), of), "steps": steps, "steps_next": None}

        told = await collect(ask, self.folder, Sweep(bytes_max=bytes_max, dry_run=True))
        names = {one.fingerprint: name for name, one in self.versions.items()}
        return [names[item["fingerprint"]] for item in told["items"]]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def run(number: UUID, of: UUID | str | None = None) -> dict[str, Any]:
    return {"run": str(number), "retry_of": str(of) if of else None}


async def test_what_an_open_run_has_made_stays_with_all_that_belongs_to_it(place: Place) -> None:
    assert sorted(await place.gone()) == sorted(place.versions)
    assert await place.gone(run(OLD)) == ["other"]


async def test_of_a_cache_nothing_is_needed(place: Place) -> None:
    told = await collect(None, place.folder, Sweep(bytes_max=0))
    assert len(told["items"]) == len(place.versions)
    assert told["bytes_after"] == 0
    assert not list(place.folder.datasets.rglob("*.parquet"))


async def test_what_an_open_run_puts_back_stays(place: Place) -> None:
    assert await place.gone(run(NEW)) == await place.gone()
    assert await place.gone(run(NEW, of=OLD)) == ["other"]
    assert await place.gone(run(AGAIN, of=NEW)) == ["other"]


async def test_what_rows_are_put_back_into_goes_last_as_they_do(place: Place) -> None:
    assert {*(await place.gone())[-2:]} == {"quarantine", "patched"}
