"""The file that rows come from: followed through what keeps rows, lost where others are made."""

import pytest

from domain.data.dataset import DatasetVersion, OuterDataset
from domain.data.rowmap import Origin, RowMap
from domain.limits import row_maps_max
from domain.run.events import StepOutcome
from domain.run.origin import origin_after

FILE = OuterDataset(namespace="file", name="/data/in.csv")
FIRST = RowMap(first=2)
GAPS = RowMap(gaps=DatasetVersion(dataset="p.s.gaps", fingerprint="f" * 64, rows=1, bytes=9))
READ = Origin(source="/data/in.csv", maps=(FIRST,))


def test_an_ingest_begins() -> None:
    assert origin_after("ingest", None, StepOutcome(source=FILE, row_map=FIRST)) == READ
    assert origin_after("ingest", None, StepOutcome(source=FILE)) is None


@pytest.mark.parametrize("kind", ["validate", "clean"])
def test_rows_that_stay_or_go_are_followed(kind: str) -> None:
    whole = StepOutcome(rows_in=5, rows_out=5)
    fewer = StepOutcome(rows_in=5, rows_out=4, row_map=GAPS)
    assert origin_after(kind, READ, whole) == READ
    assert origin_after(kind, READ, fewer) == Origin(source="/data/in.csv", maps=(GAPS, FIRST))
    assert origin_after(kind, None, fewer) is None


def test_rows_that_were_left_out_unseen_end_it() -> None:
    assert origin_after("clean", READ, StepOutcome(rows_in=5, rows_out=4)) is None


@pytest.mark.parametrize("kind", ["transform", "check", "store"])
def test_other_rows_come_from_no_file(kind: str) -> None:
    assert origin_after(kind, READ, StepOutcome(rows_in=5, rows_out=5)) is None


def test_a_chain_has_an_end() -> None:
    origin: Origin | None = READ
    for _ in range(row_maps_max - 1):
        origin = origin_after("clean", origin, StepOutcome(rows_in=5, rows_out=4, row_map=GAPS))
    assert origin is not None
    assert len(origin.maps) == row_maps_max
    assert origin_after("clean", origin, StepOutcome(rows_in=5, rows_out=5)) == origin
    assert origin_after("clean", origin, StepOutcome(rows_in=5, rows_out=4, row_map=GAPS)) is None
