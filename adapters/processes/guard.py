"""Watches one piece of work in a child: its memory, and the size of its log."""

import os
from pathlib import Path

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
    """Kills a child that takes more memory than it may."""

    def __init__(self, child: Child, memory_bytes: int, log: Path | None) -> None:
        self._child = child
        self._memory_bytes = memory_bytes
        self._log = log
        self._cut = False
        self.exceeded: int | None = None
        """What it had when it was killed for it."""

    async def watch(self) -> None:
        """Look again and again; returns when the child was killed."""
        looks = 0
        while True:
            await anyio.sleep(_PERIOD_SECONDS)
            looks += 1
            whole = looks % _WHOLE_GROUP_EVERY == 0
            taken = await to_thread.run_sync(self._look, whole)
            if taken > self._memory_bytes:
                self.exceeded = taken
                self._child.kill()
                return

    def finish(self) -> None:
        """Cut the log for the last time."""
        if self._log is not None and (_is_long(self._log) or self._cut):
            _cut(self._log)
            with open(self._log, "ab") as file:
                file.write(_CUT)

    def _look(self, whole: bool) -> int:
        if self._log is not None and _is_long(self._log):
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
