"""A command on a terminal of its own, as a person has it before them."""

import os
import pty
import re
import select
import signal
import subprocess
import time
from pathlib import Path

from tests.e2e.project import HEADWATER, environment

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Terminal:
    """`headwater ARGUMENTS…` on a terminal; what it shows is read as it comes."""

    def __init__(self, folder: Path, *arguments: str, columns: int = 80) -> None:
        self._master, follower = pty.openpty()
        kept = {k: v for k, v in environment().items() if k != "NO_COLOR"}
        size = {"COLUMNS": str(columns), "LINES": "40", "TERM": "xterm"}
        self.process = subprocess.Popen(
            [HEADWATER, *arguments],
            cwd=folder,
            env={**kept, **size},
            stdin=follower,
            stdout=follower,
            stderr=follower,
            start_new_session=True,
        )
        os.close(follower)
        self.raw = ""

    @property
    def text(self) -> str:
        """Everything shown so far, without colours and movements."""
        return _CONTROL.sub("", self.raw)

    def until(self, shown: str, seconds: float = 30) -> None:
        """Read until `shown` was on the screen."""
        end = time.monotonic() + seconds
        while shown not in self.text:
            assert self._read(end), f"never shown: {shown!r}\n{self.text}"

    def interrupt(self) -> None:
        """Ctrl-C: the terminal signals every process in its foreground."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self, seconds: float = 30) -> int:
        """Read to the end; the exit code."""
        end = time.monotonic() + seconds
        while self._read(end):
            pass
        os.close(self._master)
        return self.process.wait(max(0.1, end - time.monotonic()))

    def _read(self, end: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            return False
        try:
            piece = os.read(self._master, 65536)
        except OSError:  # the other side has gone
            return False
        self.raw += piece.decode("utf-8", "replace")
        return bool(piece)
