"""What carrying out a step needs from the world."""

from datetime import datetime
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from domain.data.dataset import DatasetVersion
from domain.pipeline.events import Definition
from domain.run.commands import Failed, Succeeded
from domain.run.events import ParamValue


class StepInput(Struct, frozen=True, kw_only=True):
    """One input of a step: the output of a step before it."""

    step: str
    version: DatasetVersion


class StepWork(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An accepted claim: all that a worker needs besides the definition."""

    run: UUID
    step: str
    attempt: int
    lease: int
    pipeline: str
    revision: int
    bundle: str
    root: str
    params: dict[str, ParamValue]
    run_time: datetime
    inputs: tuple[StepInput, ...] = ()
    traceparent: str | None = None


class ChildLost(Exception):
    """The process that worked on a step died without a report; the step may be claimed again."""


class StepRunner(Protocol):
    """Carries out one step outside the event loop."""

    async def run(self, work: StepWork, definition: Definition) -> Succeeded | Failed:
        """Work on a step to its end, within its limits of time and memory.

        What goes wrong in the step comes back as `Failed` (codes `timeout`, `memory_exceeded`,
        `python_error`, `sql_error`, `check_failed` …). Cancelling the call kills the work.
        Raises `ChildLost`.
        """
        ...
