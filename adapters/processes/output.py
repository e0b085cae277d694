"""What a step process prints: most steps print nothing, and have no log.

    logs/tmp/<host>.<pid>                      all that the process prints
    logs/<run>/<step>.<attempt>.<lease>.log    the same file, once there is something in it

A step that goes on has its log after a moment, so that others can read along, and so that it is
there whatever happens to the process; one that is done has it at once.
"""

import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from adapters.disk import io_translated

named_after_seconds = 0.1
"""Until what a step has printed can be read by others."""


class Output:
    """Standard output and error of this process."""

    def __init__(self, file: Path) -> None:
        """Both go to `file` from now on. Raises `StepBroken`."""
        self._file = file
        self._log: Path | None = None
        """Of the step in work."""
        self._is_named = False
        self._is_log = False
        """Whether what is written to is a log already, and not to be touched."""
        self._turn = threading.Lock()
        self._at_work = threading.Event()
        with io_translated(str(file)):
            file.parent.mkdir(parents=True, exist_ok=True)
            self._open()
        threading.Thread(target=self._look, name="output", daemon=True).start()

    def begin(self, log: Path) -> None:
        """What is printed from now on belongs to `log`. Raises `StepBroken`."""
        with io_translated(str(log)):
            if self._is_log:
                self._open()
            elif os.fstat(1).st_size > 0:
                os.ftruncate(1, 0)  # by nobody's step
        self._log = log
        self._at_work.set()

    def end(self) -> bool:
        """End the log; returns whether there is one. Raises `StepBroken`."""
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        with self._turn:
            log, self._log = self._log, None
            if log is None or (os.fstat(1).st_size == 0 and not self._is_named):
                return False
            with io_translated(str(log)):
                if self._is_named:
                    os.unlink(self._file)
                else:
                    _move(self._file, log)
                self._is_named, self._is_log = False, True
                self._open()
        return True

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        descriptor = os.open(self._file, flags, 0o600)
        for standard in (1, 2):
            os.dup2(descriptor, standard)
        os.close(descriptor)
        self._is_log = False

    def _look(self) -> None:
        """Name the log of a step that goes on, for as long as there is work."""
        while self._at_work.wait():
            seen = self._log
            time.sleep(named_after_seconds)
            with self._turn:
                if self._log is None:
                    self._at_work.clear()
                elif self._log == seen and not self._is_named and os.fstat(1).st_size > 0:
                    with suppress(OSError):  # no links here: it is moved when the step is done
                        self._log.parent.mkdir(parents=True, exist_ok=True)
                        os.link(self._file, self._log)
                        self._is_named = True


def _move(file: Path, log: Path) -> None:
    """Make a file a log."""
    try:
        os.replace(file, log)
    except FileNotFoundError:
        log.parent.mkdir(parents=True, exist_ok=True)
        os.replace(file, log)


def rescue(file: Path, log: Path) -> None:
    """Keep what a process had printed for a step in which it died, unless it is kept."""
    with suppress(OSError):
        if file.stat().st_size > 0 and not log.exists():
            _move(file, log)
