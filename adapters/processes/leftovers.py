"""What dead processes leave in the data directory: half-written files and spilled pages."""

import shutil
from contextlib import suppress
from pathlib import Path

import psutil

from adapters.processes.places import scratch_of


def discard(data: Path, pid: int) -> None:
    """Remove what a process left."""
    shutil.rmtree(scratch_of(data, pid), ignore_errors=True)


def discard_abandoned(data: Path) -> None:
    """Remove what processes left that are gone."""
    with suppress(FileNotFoundError):
        for entry in (data / "datasets" / "tmp").iterdir():
            if entry.name.isdecimal() and not psutil.pid_exists(int(entry.name)):
                shutil.rmtree(entry, ignore_errors=True)
