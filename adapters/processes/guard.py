"""Watches work in children: its memory, and the size of its log."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import anyio
import psutil
from anyio import to_thread

from adapters.processes.child import Child

_PERIOD_SECONDS = 0.05
_WHOLE_GROUP_EVERY = 10
"""Every so many looks the child's own children are counted too, which costs more."""

log_bytes_max = 16 * 2**20
"""What an attempt may print; the rest is cut off."""

_CUT = b"\n[the log ends here: it reached its limit of 16 MiB]\n"


class Guard:
    """Watches one piece of work, and kills a child that takes more memory than it may."""

    def __init__(self, child: Child, memory_bytes: int, log: Path | None) -> None:
        self._child = child
        self._memory_bytes = memory_bytes
        self._log = log
        self._cut = False
        self._ended = False
        self._turn = Lock()
        """Looks are taken in threads of their own: the last one may still be on its way."""
        self._looks = 0
        self.exceeded: int | None = None
        """What it had when it was killed for it."""

    async def look(self) -> None:
        """Once; to be called again and again."""
        self._looks += 1
        whole = self._looks % _WHOLE_GROUP_EVERY == 0
        taken = await to_thread.run_sync(self._look, whole)
        if taken > self._memory_bytes and self.exceeded is None:
            self.exceeded = taken
            self._child.kill()

    def finish(self) -> None:
        """Cut the log for the last time."""
        with self._turn:
            self._ended = True
            if self._log is not None and (_is_long(self._log) or self._cut):
                _cut(self._log)
                with open(self._log, "ab") as file:
                    file.write(_CUT)

    def _look(self, whole: bool) -> int:
        with self._turn:
            if self._log is not None and not self._ended and _is_long(self._log):
                # The child appends: what it writes next follows the cut.
                self._cut = True
                _cut(self._log)
        return resident_bytes(self._child.pid, whole)


def resident_bytes(pid: int, whole: bool) -> int:
    """Memory that a process has, with its descendants' if `whole`; 0 where it is gone."""
    try:
        process = psutil.Process(pid)
        total = int(process.memory_info().rss)
        for descendant in process.children(recursive=True) if whole else ():
            try:
                total += int(descendant.memory_info().rss)
            except psutil.NoSuchProcess:
                continue
    except psutil.Error:
        return 0
    return total


def _is_long(log: Path) -> bool:
    try:
        return log.stat().st_size > log_bytes_max
    except FileNotFoundError:
        return False


def _cut(log: Path) -> None:
    os.truncate(log, log_bytes_max)


class Watch:
    """Looks at all work of a pool, one task for all of it: what takes a moment costs none."""

    def __init__(self) -> None:
        self._guards: set[Guard] = set()
        self._begun = anyio.Event()

    @contextmanager
    def over(self, guard: Guard) -> Iterator[None]:
        """Work for the time of the block."""
        self._guards.add(guard)
        self._begun.set()
        try:
            yield
        finally:
            self._guards.discard(guard)

    async def run(self) -> None:
        """Look, for ever."""
        while True:
            if not self._guards:
                self._begun = anyio.Event()
                await self._begun.wait()
            await anyio.sleep(_PERIOD_SECONDS)
            for guard in tuple(self._guards):
                await guard.look()
