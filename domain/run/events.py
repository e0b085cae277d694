"""The facts of a run, as stored. Fields may join with a default; none is renamed or removed.

Stored names (tags) are in `domain.catalog`. An event carries references and counts, never data,
secrets, log lines or progress.
"""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from domain.data.dataset import DatasetVersion, OuterDataset
from domain.data.lineage import ColumnEdge
from domain.data.quality import CheckResult, RuleCount
from domain.data.rowmap import RowMap
from domain.run.ledger import InputLedger, LedgerStatus
from domain.run.retry import RetryPolicy

ParamValue = str | int | float | bool | None


class PlannedStep(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step as the orchestrator sees it; what it does stands in the run's bundle."""

    id: str
    kind: str
    inputs: tuple[str, ...] = ()
    """Ids of the steps that must have succeeded before."""
    engine: str = "duckdb"
    retry: RetryPolicy = RetryPolicy()


class StepOutcome(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that a finished step proves: what it read and wrote, and what became of each row."""

    key: str = ""
    """Fingerprint of the step and its inputs' content, under which the outcome is kept."""
    inputs: tuple[InputLedger, ...] = ()
    output: DatasetVersion | None = None
    quarantine: DatasetVersion | None = None
    """The rows that were set apart, each with rule, reason, file and line; null without any."""
    rows_in: int | None = None
    rows_out: int | None = None
    rows_filtered: int | None = None
    rows_quarantined: int | None = None
    ledger: LedgerStatus = "none"
    counts: tuple[RuleCount, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    source: OuterDataset | None = None
    destination: OuterDataset | None = None
    seconds: float = 0.0
    """Time in the engine, hashing and syncing included, without any waiting."""
    warnings: tuple[str, ...] = ()
    written_by: UUID | None = None
    """The earlier run that wrote what the destination holds, where nothing had to be written."""
    readmitted: int | None = None
    """Rows of another run's quarantine that were put back; null where none was to be."""
    mended: OuterDataset | None = None
    """The file that the rows put back were read from."""
    patched: DatasetVersion | None = None
    """The step's input with these rows in the place of those that had been set apart."""
    row_map: RowMap | None = None
    """Where the output's rows stand in what was read; null where each stands where it stood in the
    step's input, or is made of others."""

    @property
    def made(self) -> tuple[DatasetVersion, ...]:
        """What it needs to be taken for done: rows, and where they stand."""
        maps = self.row_map.versions if self.row_map else ()
        return tuple(one for one in (self.output, self.quarantine, *maps) if one is not None)


class StepError(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why an attempt failed, in words for a person."""

    code: str
    message: str
    where: str = ""
    """File and line, or rule, or column."""
    hint: str = ""
    retryable: bool = False


class Redo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a step of an earlier run set apart, to be put back by the same step of this one."""

    run: UUID
    step: str
    quarantine: DatasetVersion
    output: DatasetVersion | None = None
    """What the step made of the other rows."""
    rows_in: int | None = None
    source: OuterDataset | None = None
    patched: DatasetVersion | None = None
    """The input of the step, where rows had been put back into it before."""
    row_map: RowMap | None = None
    """Where these other rows stand in the source."""
    rows: str = ""
    """File of mended rows; empty where they are tried again as they are."""


class RunStarted(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run begins, pinned to one revision. The seed document's PipelineStarted."""

    pipeline: str
    revision: int
    bundle: str
    draft: bool = False
    root: str = ""
    """Folder that the definition's relative paths start from."""
    params: dict[str, ParamValue] = {}
    run_time: datetime
    """The moment that `$run_time` stands for in all steps of the run (UTC)."""
    steps: int
    parallel: int
    retry_of: UUID | None = None
    retry_from: str | None = None
    no_cache: bool = False
    """Nothing is reused, but what a retry takes over from its run."""
    fresh: tuple[str, ...] = ()
    """Steps that are done anew, whatever was done before."""
    env: str = ""
    """The environment that the revision was made for; empty where none was chosen."""
    redo: Redo | None = None
    """The quarantine that this run puts back."""


class RunPlanned(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part of the plan: steps in an order in which each one follows its inputs."""

    part: int
    """1, 2 … `parts`."""
    parts: int
    steps: tuple[PlannedStep, ...]


class StepScheduled(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A step may be worked on, from `due` on if that is given."""

    step: str
    attempt: int
    engine: str = "duckdb"
    due: datetime | None = None


class StepStarted(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A worker's claim was accepted; only a report with this lease counts from now on."""

    step: str
    attempt: int
    lease: int
    worker: str
    crashes: int = 0
    """Processes that have died with this attempt, as their workers told."""


class _Succeeded(Struct, frozen=True, kw_only=True, omit_defaults=True):
    step: str
    attempt: int
    lease: int
    outcome: StepOutcome
    log: str = ""
    """The attempt's log file, relative to the log folder."""


class DataIngested(_Succeeded, frozen=True):
    """Rows were read from a source."""


class DataValidated(_Succeeded, frozen=True):
    """Rows were held against a contract."""


class DataCleaned(_Succeeded, frozen=True):
    """Cleaning rules were applied, each with its count."""


class DataProcessed(_Succeeded, frozen=True):
    """A transformation made a new dataset."""


class QualityChecked(_Succeeded, frozen=True):
    """A check step passed; failing checks are in a `StepFailed`."""


class DataStored(_Succeeded, frozen=True):
    """Rows were written to a destination."""


class DataIndexed(_Succeeded, frozen=True):
    """Rows were made searchable."""


class NotificationSent(_Succeeded, frozen=True):
    """Somebody was told."""


class ColumnsTraced(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part of a step's column edges."""

    step: str
    part: int
    parts: int
    edges: tuple[ColumnEdge, ...]


class StepReused(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An earlier run's outcome stands for this step."""

    step: str
    from_run: UUID
    outcome: StepOutcome
    attempt: int = 0
    lease: int = 0
    """The lease under which a worker found it; 0 where a retry takes it over at its start."""


class QuarantineSettled(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Rows that a step of an earlier run had set apart were put back by this run."""

    step: str
    of_run: UUID
    """The run that had set them apart; its own events stay as they are."""
    quarantine: DatasetVersion
    readmitted: int
    """Rows of it that are among this run's rows now."""
    remaining: int
    """Rows that this run's step has set apart."""


class StepFailed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An attempt ended without success. Unless it is final, a `StepScheduled` follows."""

    step: str
    attempt: int
    lease: int
    error: StepError
    final: bool = True
    """False where the retry policy gives another attempt."""
    outcome: StepOutcome | None = None
    """What could be counted all the same, such as the checks that did not pass."""
    log: str = ""
    """The attempt's log file, relative to the log folder."""


class StepSkipped(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A step will not be worked on, because one before it failed."""

    step: str
    because: str
    """The step that failed."""


class CancelRequested(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody wants the run to stop; workers end their steps."""

    reason: str = ""


class RunCancelled(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The run stopped on request; no lease is open any more."""

    reason: str = ""


class RunCompleted(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Every step succeeded."""


class RunFailed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Nothing is left to do and at least one step failed."""

    step: str
    """The first step that failed for good."""
    failed: int
    skipped: int
    error: StepError


StepSucceeded = (
    DataIngested
    | DataValidated
    | DataCleaned
    | DataProcessed
    | QualityChecked
    | DataStored
    | DataIndexed
    | NotificationSent
)

RunEvent = (
    RunStarted
    | RunPlanned
    | StepScheduled
    | StepStarted
    | StepSucceeded
    | ColumnsTraced
    | StepReused
    | QuarantineSettled
    | StepFailed
    | StepSkipped
    | CancelRequested
    | RunCancelled
    | RunCompleted
    | RunFailed
)

ENDS = ("run.completed", "run.failed", "run.cancelled")
"""Facts, without their version, that end a run: nothing follows them in its stream."""
