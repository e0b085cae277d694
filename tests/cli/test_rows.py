"""Rows are shown only of a file that is what was recorded of it."""

from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.datasets.artifacts import FileArtifacts, is_as_made
from domain.data.dataset import DatasetVersion
from domain.errors import Malformed, NotFound
from runtime.cli.parsing import Command
from runtime.cli.rows import kept
from runtime.cli.sessions import Way
from runtime.datadir import DataDir

pytestmark = pytest.mark.anyio


def made(folder: Path, name: str, numbers: list[int]) -> DatasetVersion:
    data = DataDir(folder)
    artifacts = FileArtifacts(data.datasets, data.keys, data.datasets / "tmp" / "1")
    scratch = artifacts.scratch()
    pq.write_table(pa.table({"n": numbers}), scratch)
    written = artifacts.admit(scratch)
    return DatasetVersion(
        dataset=name, fingerprint=written.fingerprint, rows=written.rows, bytes=written.bytes
    )


def swap(folder: Path, one: DatasetVersion, other: DatasetVersion) -> None:
    first, second = (DataDir(folder).dataset(each.fingerprint) for each in (one, other))
    bytes_ = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(bytes_)


async def test_rows_of_swapped_files_are_told_as_damaged(tmp_path: Path) -> None:
    way = Way(Command(data=str(tmp_path)))
    one, other = made(tmp_path, "p.a", [1, 2, 3]), made(tmp_path, "p.b", [7, 8, 9])
    assert (one.bytes, one.rows) == (other.bytes, other.rows)
    path = await kept(way, msgspec.to_builtins(one))
    assert path == DataDir(tmp_path).dataset(one.fingerprint)
    swap(tmp_path, one, other)
    for version in (one, other):
        with pytest.raises(Malformed, match=rf"the rows of {version.dataset} are damaged"):
            await kept(way, msgspec.to_builtins(version))
    # What is made again mends the file.
    made(tmp_path, "p.a", [1, 2, 3])
    assert await kept(way, msgspec.to_builtins(one)) == path
    path.unlink()
    with pytest.raises(NotFound, match="not kept on this machine"):
        await kept(way, msgspec.to_builtins(one))


def test_of_a_file_above_the_limit_size_and_rows_are_compared(tmp_path: Path) -> None:
    one, other = made(tmp_path, "p.a", [1, 2, 3]), made(tmp_path, "p.b", [7, 8, 9])
    more = made(tmp_path, "p.c", list(range(1000)))
    path = DataDir(tmp_path).dataset(one.fingerprint)
    swap(tmp_path, one, other)
    assert not is_as_made(path, one, hashed_max=one.bytes)
    assert is_as_made(path, one, hashed_max=one.bytes - 1)
    swap(tmp_path, one, more)
    assert not is_as_made(path, one, hashed_max=0)
