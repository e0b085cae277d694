"""What dead processes leave in the data directory: half-written files and spilled pages."""

import shutil
from contextlib import suppress
from pathlib import Path

import psutil

from adapters.processes.places import maker_of, output_of, scratch_of


def discard(data: Path, pid: int) -> None:
    """Remove what a process left."""
    shutil.rmtree(scratch_of(data, pid), ignore_errors=True)
    output_of(data, pid).unlink(missing_ok=True)


def discard_abandoned(data: Path) -> None:
    """Remove what processes of this machine left that are gone."""
    for folder in (scratch_of(data, 0).parent, output_of(data, 0).parent):
        with suppress(FileNotFoundError):
            for entry in folder.iterdir():
                pid = maker_of(entry)
                if pid is not None and not psutil.pid_exists(pid):
                    discard(data, pid)
