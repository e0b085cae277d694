"""What dead processes leave in the data directory: half-written files and spilled pages."""

import shutil
from contextlib import suppress
from pathlib import Path

import psutil

from adapters.processes.places import maker_of, scratch_of


def discard(data: Path, pid: int) -> None:
    """Remove what a process left."""
    shutil.rmtree(scratch_of(data, pid), ignore_errors=True)


def discard_abandoned(data: Path) -> None:
    """Remove what processes of this machine left that are gone."""
    with suppress(FileNotFoundError):
        for entry in (data / "datasets" / "tmp").iterdir():
            pid = maker_of(entry)
            if pid is not None and not psutil.pid_exists(pid):
                shutil.rmtree(entry, ignore_errors=True)
