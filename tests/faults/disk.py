"""A disk whose power can be cut, on a folder of this machine."""

import ctypes.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_LOSSY = Path(__file__).with_name("lossy.py")

mount_seconds_max = 20.0


class Disk:
    """A mounted file system that forgets what was not synced."""

    def __init__(self, folder: Path) -> None:
        """`folder` is an empty one, for what is on the disk and where it is mounted."""
        self.root = folder / "disk"
        """Where programs see it."""
        self.backing = folder / "backing"
        self.backing.mkdir()
        self.root.mkdir()
        self._log = folder / "disk.log"
        self._process: subprocess.Popen[str] | None = None

    def mount(self) -> None:
        """Make it there."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(_LOSSY), str(self.backing), str(self.root)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                bufsize=1,
            )
        self._until(lambda: os.path.ismount(self.root))

    def cut(self) -> None:
        """The power goes and comes back; whoever had files open must be dead by now."""
        self.unmount()
        self.mount()

    def unmount(self) -> None:
        """The power goes."""
        assert self._process is not None
        self._until(lambda: _unmounted(self.root))
        self._process.communicate(timeout=mount_seconds_max)
        assert self._process.returncode == 0, self._log.read_text()
        self._process = None

    def settle(self) -> None:
        """All that was written is on the disk."""
        self._tell(settle=True)

    def fail(self, operation: str, name: str, error: str = "EIO", **rule: int) -> None:
        """Let an operation fail on files whose path matches; `after` so many, `times` times."""
        self._tell(fail=operation, name=name, error=error, **rule)

    def met(self, seconds: float, more: float) -> int:
        """Wait until something has failed, but no longer than `seconds`, and `more` after that;
        returns how often it has."""
        end = time.monotonic() + seconds
        while not (failed := int(self._tell()["failed"])) and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(more)
        return failed

    def heal(self) -> None:
        """Fail no more."""
        self._tell(heal=True)

    def remove(self) -> None:
        """Be gone, whatever still holds it."""
        if self._process is not None:
            subprocess.run(["umount", "-l", str(self.root)], check=False, capture_output=True)
            self._process.kill()
            self._process.communicate()

    def _tell(self, **order: object) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def _until(self, holds: Any) -> None:
        end = time.monotonic() + mount_seconds_max
        while not holds():
            assert self._process is not None
            code = self._process.poll()
            if code or time.monotonic() > end:
                raise AssertionError(f"the disk ended with {code}: {self._log.read_text()}")
            time.sleep(0.02)


def why_not() -> str:
    """Why no such disk can be had here; nothing where it can."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "no power can be cut here: there is no /dev/fuse"
    if ctypes.util.find_library("fuse3") is None or shutil.which("fusermount3") is None:
        return "no power can be cut here: libfuse 3 is missing (Debian: fuse3)"
    return ""


@contextmanager
def disk(folder: Path) -> Iterator[Disk]:
    """One that is mounted, and gone at the end."""
    made = Disk(folder)
    try:
        made.mount()
        yield made
    finally:
        made.remove()


def _unmounted(root: Path) -> bool:
    command = ["umount"] if os.geteuid() == 0 else ["fusermount3", "-u"]
    return subprocess.run([*command, str(root)], check=False, capture_output=True).returncode == 0
