"""Work on a step as a worker sees it: it goes out as an assignment, and its result comes in."""

from datetime import datetime
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from domain.data.dataset import DatasetVersion
from domain.data.rowmap import Origin
from domain.pipeline.events import Definition
from domain.run.commands import DoneAhead, StepResult
from domain.run.events import ParamValue, Redo


class StepInput(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One input of a step: the output of a step before it."""

    step: str
    version: DatasetVersion
    origin: Origin | None = None
    """The file that its rows come from one by one."""


class StepAhead(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A step that its worker does right behind those before it."""

    step: str
    inputs: tuple[str, ...]
    """The steps whose outputs it works on, in the plan's order."""
    given: tuple[StepInput, ...] = ()
    """Those of them that are there already."""
    lease: int = 0
    """Its lease; 0 where it is done ahead of it."""
    fresh: bool = False
    redo: Redo | None = None
    traceparent: str | None = None


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
    fresh: bool = False
    """To be done anew, whatever earlier runs did."""
    redo: Redo | None = None
    """What the same step of an earlier run set apart, to be put back."""
    traceparent: str | None = None
    ahead: tuple[StepAhead, ...] = ()
    """What is to be done right behind it, or may be where there are no leases for it yet."""


class ChildLost(Exception):
    """The process that worked on a step died without a report; the step may be claimed again."""


class Assignment(Protocol):
    """A step that is being carried out, and behind it those of its `ahead` that have what they work
    on then."""

    @property
    def current(self) -> str:
        """The step whose result comes next; empty behind the last one."""
        ...

    async def result(self) -> StepResult:
        """What came of the current step; the next one is the current one then.

        What goes wrong in a step is a `Failed` (codes `timeout`, `memory_exceeded`,
        `python_error`, `sql_error`, `check_failed` …). Raises `ChildLost`.
        """
        ...

    def results_there(self) -> tuple[DoneAhead, ...]:
        """What came of the current step and those behind it, as far as nobody needs to wait."""
        ...

    async def close(self) -> None:
        """Kill what is still being done; returns when it is gone."""
        ...


class StepRunner(Protocol):
    """Carries out steps outside the event loop."""

    def begin(self, work: StepWork, definition: Definition, ahead_seconds: float) -> Assignment:
        """Have a step worked on, within its limits of time and memory. To be closed.

        For so long after it has begun further steps are begun ahead of their leases.
        """
        ...
