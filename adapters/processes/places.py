"""Where a step process writes."""

from pathlib import Path

from commands.steps.ports import StepWork


def scratch_of(data: Path, pid: int) -> Path:
    """The folder in which one process writes what nobody else may see."""
    return data / "datasets" / "tmp" / str(pid)


def log_name(work: StepWork) -> str:
    """The log of an attempt, relative to the log folder."""
    return f"{work.run}/{work.step}.{work.attempt}.{work.lease}.log"
