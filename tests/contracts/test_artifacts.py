"""The artifact store: content under its hash, outcomes kept once, nothing half-written seen.

On the data directory alone, and on a bucket of a real server, with one data directory and with one
for each store that is opened, as workers on several machines have.
"""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from threading import Barrier
from uuid import UUID, uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.datasets.cached import open_artifacts
from commands.steps.ports import Artifacts, Kept, StepBroken
from domain.data.dataset import DatasetVersion
from domain.data.rowmap import RowMap
from domain.run.events import StepOutcome

Open = Callable[[], Artifacts]
"""One more store that shares with the others what was done."""


@pytest.fixture(params=["files", "bucket", "apart"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    bucket = "" if request.param == "files" else request.getfixturevalue("s3").place()
    numbers = count(1)

    def opened() -> Artifacts:
        number = next(numbers)
        data = tmp_path / (f"data{number}" if request.param == "apart" else "data")
        return open_artifacts(data, data / "datasets" / "tmp" / str(number), bucket)

    return opened


def admitted(artifacts: Artifacts, rows: int) -> DatasetVersion:
    scratch = artifacts.scratch()
    pq.write_table(pa.table({"n": list(range(rows))}), scratch)
    written = artifacts.admit(scratch)
    assert not Path(scratch).exists()
    return DatasetVersion(
        dataset="p.s", fingerprint=written.fingerprint, rows=written.rows, bytes=written.bytes
    )


def kept(run: UUID, *versions: DatasetVersion) -> Kept:
    output, quarantine, gaps = (*versions, None, None, None)[:3]
    outcome = StepOutcome(
        key="k", output=output, quarantine=quarantine, row_map=RowMap(gaps=gaps) if gaps else None
    )
    return Kept(run=run, step="s", outcome=outcome)


def test_a_file_is_found_under_the_hash_of_its_bytes(opened: Open) -> None:
    artifacts = opened()
    version = admitted(artifacts, 5)
    for one in (artifacts, opened()):
        path = Path(one.path_of(version))
        assert path.name == f"{version.fingerprint}.parquet"
        assert hashlib.sha256(path.read_bytes()).hexdigest() == version.fingerprint
        assert (version.rows, version.bytes) == (5, path.stat().st_size)
        assert admitted(one, 5) == version


def test_what_nobody_has_made_is_missing(opened: Open) -> None:
    version = DatasetVersion(dataset="p.s", fingerprint="0" * 64, rows=1, bytes=1)
    for ask in (opened().path_of, opened().lend):
        with pytest.raises(StepBroken) as stopped:
            ask(version)
        error = stopped.value.error
        assert (error.code, error.retryable) == ("dataset_missing", False)


def test_what_is_lent_stays_readable_until_it_is_taken_back(opened: Open) -> None:
    version = admitted(opened(), 5)
    artifacts = opened()
    lent = Path(artifacts.lend(version))
    assert artifacts.lend(version) == str(lent)
    assert lent.parent == Path(artifacts.scratch()).parent
    Path(artifacts.path_of(version)).unlink()
    assert pq.read_table(lent).num_rows == 5
    artifacts.reclaim()
    assert os.listdir(lent.parent) == []


def test_what_is_discarded_is_gone_and_nothing_may_be(opened: Open) -> None:
    artifacts = opened()
    scratch = Path(artifacts.scratch())
    artifacts.discard(str(scratch))
    scratch.write_bytes(b"half")
    artifacts.discard(str(scratch))
    assert not scratch.exists()


def test_the_first_outcome_stays(opened: Open) -> None:
    one, other = opened(), opened()
    first, second = kept(uuid4(), admitted(one, 1)), kept(uuid4(), admitted(other, 2))
    assert one.find("k") is None
    assert one.keep("k", first) == first
    assert other.keep("k", second) == first
    assert other.keep("k", first) == first
    assert opened().find("k") == first


def test_an_outcome_wanted_anew_takes_the_place_of_another_run_s(opened: Open) -> None:
    one, other = opened(), opened()
    first, second = kept(uuid4(), admitted(one, 1)), kept(uuid4(), admitted(other, 2))
    one.keep("k", first)
    assert other.keep("k", second, anew=True) == second
    again = kept(second.run, admitted(one, 3))
    assert one.keep("k", again, anew=True) == second
    assert opened().find("k") == second


def test_an_outcome_has_its_quarantine_and_its_row_maps(opened: Open) -> None:
    artifacts = opened()
    versions = [admitted(artifacts, rows) for rows in (1, 2, 3)]
    artifacts.keep("k", kept(uuid4(), *versions))
    other = opened()
    found = other.find("k")
    assert found is not None
    assert list(found.outcome.made) == versions
    assert [pq.read_table(other.lend(one)).num_rows for one in found.outcome.made] == [1, 2, 3]


def test_of_many_at_once_one_is_first_and_all_agree(opened: Open) -> None:
    output = admitted(opened(), 1)
    together = Barrier(8)

    def keep(artifacts: Artifacts) -> Kept:
        mine = kept(uuid4(), output)
        together.wait()
        return artifacts.keep("k", mine)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(keep, [opened() for _ in range(8)]))
    assert len({one.run for one in found}) == 1
    assert opened().find("k") == found[0]


def test_many_that_want_an_outcome_anew_at_once_are_all_kept(opened: Open) -> None:
    output = admitted(opened(), 1)
    together = Barrier(4)

    def keep(artifacts: Artifacts) -> bool:
        together.wait()
        mine = [kept(uuid4(), output) for _ in range(10)]
        return all(artifacts.keep("k", one, anew=True) == one for one in mine)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(keep, [opened() for _ in range(4)]))


def test_an_outcome_whose_data_was_never_there_is_a_miss_and_makes_room(opened: Open) -> None:
    nowhere = DatasetVersion(dataset="p.s", fingerprint="0" * 64, rows=1, bytes=1)
    artifacts = opened()
    artifacts.keep("k", kept(uuid4(), nowhere))
    assert opened().find("k") is None
    second = kept(uuid4(), admitted(artifacts, 3))
    assert artifacts.keep("k", second) == second
    assert opened().find("k") == second
