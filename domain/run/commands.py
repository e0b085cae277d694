"""What can be asked of a run, with everything a decision needs given as values."""

from uuid import UUID

from msgspec import Struct

from domain.data.lineage import ColumnEdge
from domain.run.events import ParamValue, PlannedStep, Redo, StepError, StepOutcome


class ReusedStep(Struct, frozen=True, kw_only=True):
    """A step whose outcome is taken over from an earlier run."""

    step: str
    from_run: UUID
    outcome: StepOutcome


class StartRun(Struct, frozen=True, kw_only=True):
    """Begin a run of one revision."""

    pipeline: str
    revision: int
    bundle: str
    draft: bool
    root: str
    params: dict[str, ParamValue]
    plan: tuple[PlannedStep, ...]
    """In an order in which each step follows its inputs."""
    parallel: int
    retry_of: UUID | None = None
    retry_from: str | None = None
    reused: tuple[ReusedStep, ...] = ()
    no_cache: bool = False
    """Nothing that was done before is to be reused."""
    fresh: tuple[str, ...] = ()
    """Steps to be done anew, whatever was done before."""
    env: str = ""
    """The environment that the revision was made for."""
    redo: Redo | None = None
    """The quarantine to be put back."""
    take: str = ""
    """A worker that begins at once with the first step that is ready for its engine."""
    engine: str = "duckdb"
    """That worker's."""


class ClaimStep(Struct, frozen=True, kw_only=True):
    """A worker asks for the lease of an attempt before it works on it."""

    step: str
    attempt: int
    worker: str
    crashed: bool = False
    """Whether the process that this worker had given the step to has died with it."""


class Succeeded(Struct, frozen=True, kw_only=True, tag="succeeded", tag_field="status"):
    """The step did its work."""

    outcome: StepOutcome
    edges: tuple[ColumnEdge, ...] = ()
    log: str = ""


class Reused(Struct, frozen=True, kw_only=True, tag="reused", tag_field="status"):
    """The step has nothing to do: an earlier run did the same work on the same content."""

    from_run: UUID
    outcome: StepOutcome
    edges: tuple[ColumnEdge, ...] = ()


class Failed(Struct, frozen=True, kw_only=True, tag="failed", tag_field="status"):
    """The step did not do its work. Code `cancelled` answers a request to cancel."""

    error: StepError
    outcome: StepOutcome | None = None
    log: str = ""


StepResult = Succeeded | Reused | Failed
"""What may come of a lease."""


class DoneAhead(Struct, frozen=True, kw_only=True):
    """What came of a step that a worker did before its lease was stored."""

    step: str
    outcome: StepResult


class ReportStep(Struct, frozen=True, kw_only=True):
    """What came of a lease."""

    step: str
    attempt: int
    lease: int
    outcome: StepResult
    take: str = ""
    """The worker, where it wants to go on with a step that this one makes ready."""
    takes: int = 1
    """How many of them at most, to be done one after the other."""
    then: tuple[DoneAhead, ...] = ()
    """What came of the next steps in its hands, and of those that it did ahead: each is ready by
    what stands before it."""
    next: str = ""
    """The step that it does now, of the same kind; nothing else is taken then."""


class CancelRun(Struct, frozen=True, kw_only=True):
    """Stop the run; finished steps stay as they are."""

    reason: str = ""


RunCommand = StartRun | ClaimStep | ReportStep | CancelRun
