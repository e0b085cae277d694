"""Dropping datasets: with the keys that lead to them, and never one that is being used."""

import os
from pathlib import Path
from uuid import UUID, uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.datasets.artifacts import FileArtifacts
from adapters.datasets.shelf import Shelf
from commands.steps.ports import Kept, StepBroken
from domain.data.dataset import DatasetVersion
from domain.run.events import StepOutcome


class Place:
    """Datasets and keys in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.artifacts = FileArtifacts(folder / "datasets", folder / "keys", folder / "tmp")
        self.shelf = Shelf(folder / "datasets", folder / "keys")

    def made(
        self, rows: int, key: str = "", quarantine: DatasetVersion | None = None
    ) -> DatasetVersion:
        scratch = self.artifacts.scratch()
        pq.write_table(pa.table({"n": list(range(rows))}), scratch)
        written = self.artifacts.admit(scratch)
        version = DatasetVersion(
            dataset="p.s", fingerprint=written.fingerprint, rows=rows, bytes=written.bytes
        )
        if key:
            outcome = StepOutcome(key=key, output=version, quarantine=quarantine)
            self.artifacts.keep(key, Kept(run=UUID(int=1), step="s", outcome=outcome))
        return version

    def age(self) -> None:
        """Long ago, all of it."""
        for path in self.folder.rglob("*"):
            os.utime(path, (1, 1))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_what_is_there_is_known_with_who_made_it(place: Place) -> None:
    apart = place.made(2)
    version = place.made(5, "k", quarantine=apart)
    there = {one.holding.fingerprint: one for one in place.shelf.all()}
    assert set(there) == {version.fingerprint, apart.fingerprint}
    assert there[version.fingerprint].holding.bytes == version.bytes
    assert [maker.step for maker in there[version.fingerprint].makers] == ["s"]
    assert not there[version.fingerprint].holding.is_quarantine
    assert there[apart.fingerprint].holding.is_quarantine
    assert place.shelf.bytes() == version.bytes + apart.bytes


def test_a_dataset_goes_with_its_keys(place: Place) -> None:
    version = place.made(5, "k")
    items = place.shelf.all()
    assert place.shelf.drop(items) == items
    assert place.artifacts.find("k") is None
    with pytest.raises(StepBroken):
        place.artifacts.path_of(version)
    assert not list(place.folder.rglob("*.json")) + list(place.folder.rglob("*parquet*"))
    assert place.shelf.drop(items) == []
    assert place.made(5, "k") == version
    assert place.artifacts.find("k") is not None


def test_a_quarantine_stays_known_as_one(place: Place) -> None:
    apart = place.made(2)
    version = place.made(5, "k", quarantine=apart)
    there = {one.holding.fingerprint: one for one in place.shelf.all()}
    place.shelf.drop([there[version.fingerprint]])
    assert place.artifacts.find("k") is None
    (left,) = place.shelf.all()
    assert (left.holding.fingerprint, left.holding.is_quarantine) == (apart.fingerprint, True)


@pytest.mark.parametrize("use", ["find", "path_of"])
def test_what_is_used_meanwhile_stays(place: Place, use: str) -> None:
    version = place.made(5, "k")
    place.age()
    items = place.shelf.all()
    if use == "find":
        assert place.artifacts.find("k") is not None
    else:
        place.artifacts.path_of(version)
    assert place.shelf.drop(items) == []
    assert place.artifacts.find("k") is not None
    place.artifacts.path_of(version)


def test_what_a_cut_off_drop_left_behind_goes(place: Place) -> None:
    version = place.made(5, "k")
    folder = place.folder / "datasets" / version.fingerprint[:2]
    (folder / f".{uuid4().hex}.parquet.dropped").write_text("rest")
    assert place.shelf.bytes() == version.bytes
    assert [path.suffix for path in folder.iterdir()] == [".parquet"]


def test_nothing_is_nothing(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "datasets", tmp_path / "keys")
    assert (shelf.bytes(), shelf.all()) == (0, [])
