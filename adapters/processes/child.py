"""One child as its parent sees it."""

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress

from adapters.processes.messages import (
    HEADER,
    Reply,
    Request,
    frame,
    frame_bytes_max,
    read_reply,
)
from commands.steps.work import ChildLost

_definitions_max = 16
"""Definitions that a child remembers; `runtime.child` holds as many."""


class Child:
    """A process that has one request in work at a time."""

    def __init__(self, process: Process, born: float) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("a child is started with both pipes")
        self._process = process
        self._requests = process.stdin
        self._replies = process.stdout
        self._known: OrderedDict[str, None] = OrderedDict()
        self.born = born
        self.idle_since = born
        self.bundle: str | None = None
        """The bundle whose Python it has loaded; it works for no other one."""
        self.resident_bytes = 0
        """At the end of its last step."""

    @property
    def pid(self) -> int:
        """Its process id; also that of the session and group it leads."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether the process is known to be gone."""
        return self._process.returncode is not None

    async def ask(self, request: Request) -> None:
        """Give it something to do. Raises `ChildLost`."""
        try:
            self._requests.write(frame(request))
            await self._requests.drain()
        except ConnectionError as error:
            raise ChildLost(f"step process {self.pid} died") from error

    async def answer(self) -> Reply:
        """Its next answer to what it was asked. Raises `ChildLost` where it dies before."""
        try:
            (size,) = HEADER.unpack(await self._replies.readexactly(HEADER.size))
            if size > frame_bytes_max:
                raise ChildLost(f"step process {self.pid} answers nonsense")
            return read_reply(await self._replies.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise ChildLost(f"step process {self.pid} died") from error

    def learns(self, bundle: str) -> bool:
        """Whether a definition is new to the child; it is told from now on."""
        new = bundle not in self._known
        self._known[bundle] = None
        self._known.move_to_end(bundle)
        if len(self._known) > _definitions_max:
            self._known.popitem(last=False)
        return new

    def kill(self) -> None:
        """End the process and everything in its group, now."""
        if self.has_ended:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    async def end(self, seconds: float = 0.0) -> None:
        """Kill it, after `seconds` that it has to go by itself, and wait until it is gone.

        Not to be cancelled.
        """
        self._requests.close()
        if seconds:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._process.wait()
        self.kill()
        await self._process.wait()


async def spawn(command: Sequence[str], fds: Sequence[int], now: float) -> Child:
    """Start a child in a session of its own, so that no terminal's Ctrl-C reaches it."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, start_new_session=True, pass_fds=fds
    )
    return Child(process, now)
