"""Children that outlived their parent: found by record, recognised beyond doubt, and ended.

A pid alone names nobody: it is given again after its process has ended. A process is recognised by
its pid together with the moment it was started.
"""

import os
import signal
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct


class Identity(Struct, frozen=True, kw_only=True):
    """One process, for ever."""

    pid: int
    started: float
    """Of the kernel: ticks since boot (Linux), or Unix time."""
    boot: str = ""


class Child(Struct, frozen=True, kw_only=True):
    """A recorded child."""

    process: Identity
    parent: Identity
    what: str


class Roster:
    """One file for each child, named by its pid."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, pid: int, what: str) -> None:
        """Record a child of this process. Raises `OSError`."""
        process = identify(pid)
        child = Child(process=process, parent=identify(os.getpid()), what=what)
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self._path / f".{pid}.new"
        beside.write_bytes(msgspec.json.encode(child))
        beside.replace(self._path / str(pid))

    def remove(self, pid: int) -> None:
        """A child has ended."""
        with suppress(OSError):
            (self._path / str(pid)).unlink(missing_ok=True)

    def children(self) -> tuple[Child, ...]:
        """Everybody on record, alive or not."""
        found = []
        with suppress(FileNotFoundError):
            for file in sorted(self._path.iterdir()):
                with suppress(OSError, msgspec.MsgspecError):
                    found.append(msgspec.json.decode(file.read_bytes(), type=Child))
        return tuple(found)

    def end_orphans(self) -> tuple[Child, ...]:
        """Kill recorded children whose parent is dead; returns those that were still alive."""
        ended = []
        for child in self.children():
            if is_alive(child.parent):
                continue
            if is_alive(child.process):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(child.process.pid, signal.SIGKILL)
                    ended.append(child)
            self.remove(child.process.pid)
        return tuple(ended)


def identify(pid: int) -> Identity:
    """The process that has this pid now; `started` is -1 where there is none."""
    return Identity(pid=pid, started=_started(pid), boot=_boot())


def is_alive(process: Identity) -> bool:
    """Whether this very process still runs. One that has ended and was not waited for does not."""
    return process.started >= 0 and process == identify(process.pid)


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _started(pid: int) -> float:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return _started_elsewhere(pid)
    except OSError:
        return -1.0
    fields = stat.rpartition(")")[2].split()  # the name before it may hold anything
    return -1.0 if fields[0] in "ZX" else float(fields[19])


def _started_elsewhere(pid: int) -> float:
    if Path("/proc/self/stat").exists():
        return -1.0
    import psutil

    try:
        process = psutil.Process(pid)
        gone = process.status() == psutil.STATUS_ZOMBIE
        return -1.0 if gone else float(process.create_time())
    except psutil.Error:
        return -1.0
