"""Disks that cannot do everything, or stop doing it."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import nats
import nats.errors
import nats.js.errors
import pytest
from nats.aio.client import Client

from adapters.datasets.artifacts import FileArtifacts
from adapters.engines.duckdb import DuckEngines
from adapters.jetstream.server import NatsServer
from commands.steps.ports import StepBroken
from domain.data.dataset import DatasetVersion
from tests.faults.disk import Disk, disk, why_not


@pytest.fixture
def failing(tmp_path: Path) -> Iterator[Disk]:
    """A disk that fails when it is told to."""
    if reason := why_not():
        pytest.skip(reason)
    with disk(tmp_path) as mounted:
        yield mounted


def _stored(root: Path) -> tuple[FileArtifacts, DuckEngines, DatasetVersion]:
    """A dataset of one row, and an engine whose room is on the same disk."""
    room = root / "datasets/tmp/1"
    artifacts = FileArtifacts(root / "datasets", root / "keys", room)
    engines = DuckEngines(str(room), threads=1)
    target = artifacts.scratch()
    with engines.share() as engine:
        engine.save("select 1 as n", target)
    one = artifacts.admit(target)
    version = DatasetVersion(
        dataset="p.raw", fingerprint=one.fingerprint, rows=one.rows, bytes=one.bytes
    )
    return artifacts, engines, version


def test_without_hard_links_a_dataset_is_read_where_it_lies(failing: Disk) -> None:
    artifacts, engines, version = _stored(failing.root)
    failing.fail("create", "*/tmp/*", "EPERM")
    path = artifacts.lend(version)
    with engines.open({"raw": path}) as engine:
        assert engine.rows("select n from raw") == [(1,)]
    artifacts.reclaim()
    assert Path(artifacts.path_of(version)).exists()


def test_no_room_for_a_link_is_told(failing: Disk) -> None:
    artifacts, _, version = _stored(failing.root)
    failing.fail("create", "*/tmp/*", "ENOSPC")
    with pytest.raises(StepBroken) as stopped:
        artifacts.lend(version)
    assert stopped.value.error.code == "storage_full"
    assert stopped.value.error.retryable


def test_an_error_of_the_disk_is_none_of_the_query(failing: Disk) -> None:
    artifacts, engines, version = _stored(failing.root)
    path = artifacts.lend(version)
    failing.fail("read", "*/tmp/*", "EIO", times=100)
    with pytest.raises(StepBroken) as stopped, engines.open({"raw": path}) as engine:
        engine.rows("select n from raw")
    assert stopped.value.error.code == "io_error"
    assert stopped.value.error.retryable


@pytest.mark.anyio
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
async def test_a_bus_whose_disk_had_failed_stores_again(failing: Disk, error: str) -> None:
    async with NatsServer.start(failing.root / "nats") as server:
        client = await nats.connect(server.url, token=server.token, reconnect_time_wait=0.1)
        try:
            stream = client.jetstream(timeout=0.5)
            await stream.add_stream(name="S", subjects=["s"])
            await stream.publish("s", b"1")
            failing.fail("write", "*/jetstream/*", error, times=10**9)
            while await _publishes(client):
                pass
            failing.heal()
            with anyio.fail_after(30):
                while not await _publishes(client):
                    pass
            assert server.restarts >= 1
        finally:
            await client.close()


async def _publishes(client: Client) -> bool:
    try:
        await client.jetstream(timeout=0.5).publish("s", b"3")
    except (nats.errors.Error, nats.js.errors.Error, OSError):
        return False
    return True
