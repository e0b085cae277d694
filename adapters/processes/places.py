"""Where a step process writes."""

import socket
from pathlib import Path

from commands.steps.work import StepWork


def scratch_of(data: Path, pid: int) -> Path:
    """The folder in which one process writes what nobody else may see. The data directory may be
    shared by several machines."""
    return data / "datasets" / "tmp" / _process_name(pid)


def output_of(data: Path, pid: int) -> Path:
    """The file of what one process prints, until it is known to be a step's log."""
    return data / "logs" / "tmp" / _process_name(pid)


def _process_name(pid: int) -> str:
    return f"{socket.gethostname()}.{pid}"


def maker_of(place: Path) -> int | None:
    """The process of this machine whose folder or file it is; None for another machine's."""
    host, _, pid = place.name.rpartition(".")
    return int(pid) if host == socket.gethostname() and pid.isdecimal() else None


def log_name(work: StepWork) -> str:
    """The log of an attempt, relative to the log folder."""
    return f"{work.run}/{work.step}.{work.attempt}.{work.lease}.log"
