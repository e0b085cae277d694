"""The artifact store in files: what the disk shows of it; tests/contracts has what it promises."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from uuid import UUID, uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.datasets.artifacts import FileArtifacts
from adapters.disk import io_translated
from commands.steps.ports import Kept, StepBroken
from domain.data.dataset import DatasetVersion
from domain.run.events import StepOutcome


def store(folder: Path) -> FileArtifacts:
    return FileArtifacts(folder / "datasets", folder / "keys", folder / "datasets" / "tmp" / "1")


def admitted(artifacts: FileArtifacts, rows: int) -> DatasetVersion:
    scratch = artifacts.scratch()
    pq.write_table(pa.table({"n": list(range(rows))}), scratch)
    written = artifacts.admit(scratch)
    assert not Path(scratch).exists()
    return DatasetVersion(
        dataset="p.s", fingerprint=written.fingerprint, rows=written.rows, bytes=written.bytes
    )


def kept(run: UUID, output: DatasetVersion | None = None) -> Kept:
    return Kept(run=run, step="s", outcome=StepOutcome(key="k", output=output))


def test_what_is_there_is_not_written_again_and_what_is_damaged_is(tmp_path: Path) -> None:
    artifacts = store(tmp_path)
    path = Path(artifacts.path_of(admitted(artifacts, 5)))
    whole, written = path.read_bytes(), path.stat().st_ino
    admitted(artifacts, 5)
    assert path.stat().st_ino == written
    path.write_bytes(whole[:9] + bytes([whole[9] ^ 1]) + whole[10:])
    admitted(artifacts, 5)
    assert path.stat().st_ino != written
    assert path.read_bytes() == whole


def test_what_is_lent_stays_readable_until_it_is_taken_back(tmp_path: Path) -> None:
    artifacts = store(tmp_path)
    version = admitted(artifacts, 5)
    lent = Path(artifacts.lend(version))
    assert artifacts.lend(version) == str(lent)
    assert lent.parent == Path(artifacts.scratch()).parent
    Path(artifacts.path_of(version)).unlink()
    assert pq.read_table(lent).num_rows == 5
    artifacts.reclaim()
    assert os.listdir(lent.parent) == []
    with pytest.raises(StepBroken, match="not there any more"):
        artifacts.lend(version)


def test_what_a_dead_step_was_lent_does_not_stand_in_the_way(tmp_path: Path) -> None:
    version = admitted(store(tmp_path), 5)
    store(tmp_path).lend(version)
    assert pq.read_table(store(tmp_path).lend(version)).num_rows == 5


def test_where_files_cannot_be_linked_they_are_pointed_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_paths: object) -> None:
        raise OSError(errno.EPERM, "no such links here")

    artifacts = store(tmp_path)
    version = admitted(artifacts, 5)
    monkeypatch.setattr(os, "link", refuse)
    lent = artifacts.lend(version)
    assert pq.read_table(lent).num_rows == 5
    artifacts.reclaim()
    assert Path(artifacts.path_of(version)).exists()


def test_of_many_at_once_one_is_first_and_all_agree(tmp_path: Path) -> None:
    artifacts = store(tmp_path)
    output = admitted(artifacts, 1)
    together = Barrier(8)

    def keep(_number: int) -> Kept:
        mine = kept(uuid4(), output)
        together.wait()
        return artifacts.keep("k", mine)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(keep, range(8)))
    assert len({one.run for one in found}) == 1
    assert os.listdir(tmp_path / "keys") == ["k.json"]


def test_many_that_want_an_outcome_anew_at_once_are_all_kept(tmp_path: Path) -> None:
    artifacts = store(tmp_path)
    output = admitted(artifacts, 1)
    together = Barrier(8)

    def keep(_number: int) -> bool:
        together.wait()
        mine = [kept(uuid4(), output) for _ in range(200)]
        return all(artifacts.keep("k", one, anew=True) == one for one in mine)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(keep, range(8)))
    assert os.listdir(tmp_path / "keys") == ["k.json"]


@pytest.mark.parametrize("damage", ["gone", "cut", "other", "key"])
def test_an_outcome_without_whole_data_is_a_miss_and_makes_room(
    tmp_path: Path, damage: str
) -> None:
    artifacts = store(tmp_path)
    first = kept(uuid4(), admitted(artifacts, 1000))
    artifacts.keep("k", first)
    assert first.outcome.output is not None
    path = Path(artifacts.path_of(first.outcome.output))
    match damage:
        case "gone":
            path.unlink()
        case "cut":
            path.write_bytes(path.read_bytes()[:-8])
        case "other":
            path.write_bytes(b"x" * path.stat().st_size)
        case "key":
            (tmp_path / "keys" / "k.json").write_bytes(b'{"run": ')
    assert artifacts.find("k") is None
    if damage != "key":
        with pytest.raises(StepBroken, match="not there any more, or is damaged"):
            artifacts.path_of(first.outcome.output)
    second = kept(uuid4(), admitted(artifacts, 3))
    assert artifacts.keep("k", second) == second
    assert artifacts.find("k") == second


def test_a_damaged_file_is_mended_by_the_same_content(tmp_path: Path) -> None:
    artifacts = store(tmp_path)
    version = admitted(artifacts, 10)
    path = Path(artifacts.path_of(version))
    path.write_bytes(path.read_bytes()[:-3])
    assert admitted(artifacts, 10) == version
    assert artifacts.path_of(version)


@pytest.mark.parametrize("known", [True, False], ids=["used before", "first used"])
def test_one_flipped_bit_is_noticed(tmp_path: Path, known: bool) -> None:
    artifacts = store(tmp_path)
    version = admitted(artifacts, 1_000)
    artifacts.keep("k", kept(uuid4(), version))
    path = Path(artifacts.path_of(version))
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    looking = artifacts if known else store(tmp_path)
    with pytest.raises(StepBroken, match="or is damaged"):
        looking.path_of(version)
    assert looking.find("k") is None
    assert admitted(looking, 1_000) == version
    assert looking.find("k") is not None


def test_a_full_disk_is_told_as_one(tmp_path: Path) -> None:
    with pytest.raises(StepBroken) as stopped, io_translated("datasets"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert stopped.value.error.code == "storage_full"
    assert stopped.value.error.retryable
    with pytest.raises(StepBroken) as stopped, io_translated("datasets"):
        raise PermissionError(errno.EACCES, "Permission denied")
    assert stopped.value.error.code == "io_error"
