"""What carrying out a step needs from the world, inside a process of its own: none of it is
asynchronous."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from commands.steps.tally import Accountant
from domain.data.contract import Contract
from domain.data.dataset import DatasetVersion, OuterDataset
from domain.data.lineage import ColumnEdge
from domain.errors import Failure
from domain.pipeline.sinks import Sink
from domain.pipeline.sources import Source
from domain.pipeline.steps import Step
from domain.run.events import ParamValue, StepError, StepOutcome

SqlValue = str | int | float | bool | date | datetime | None


class StepBroken(Failure):
    """A step cannot go on. `error` is what its report will say."""

    def __init__(self, error: StepError, outcome: StepOutcome | None = None) -> None:
        super().__init__(error.message, hint=error.hint)
        self.error = error
        self.outcome = outcome


def broken(
    code: str, message: str, *, where: str = "", hint: str = "", retryable: bool = False
) -> StepBroken:
    """A `StepBroken` in one line."""
    return StepBroken(
        StepError(code=code, message=message, where=where, hint=hint, retryable=retryable)
    )


class Outline(Struct, frozen=True):
    """What a text of SQL says, as far as it matters for its result."""

    text: str
    """Without comments and layout, where the engine can tell them apart."""
    unsteady: tuple[str, ...] = ()
    """What in it gives another answer each time, such as `random()`."""


class Engine(Protocol):
    """SQL over the files of one step, in DuckDB's dialect. Nothing else can be read or written.

    Every method raises `StepBroken` with code `sql_error` (or `memory_exceeded`, `storage_full`).
    """

    def columns(self, query: str) -> dict[str, str]:
        """Name → type of a query's columns."""
        ...

    def params(self, query: str) -> frozenset[str]:
        """Names of the params a query asks for. Raises `StepBroken` for anything but one query."""
        ...

    def rows(
        self, statement: str, params: Mapping[str, SqlValue] | None = None
    ) -> Sequence[tuple[object, ...]]:
        """Execute one statement and return its rows."""
        ...

    def settled(self, query: str, params: Mapping[str, SqlValue]) -> str:
        """The query, sorted by all its columns where it leaves the order of its rows open."""
        ...

    def save(
        self,
        query: str,
        target: str,
        params: Mapping[str, SqlValue] | None = None,
        sink: Sink | None = None,
        *,
        large: bool = False,
    ) -> None:
        """Write a query's rows, in order, to one of the engine's outputs: as a Parquet file, or
        as a sink wants it. `large` says that many are expected: it changes the file, no row."""
        ...


class Engines(Protocol):
    """Opens engines."""

    @property
    def version(self) -> str:
        """Name and version; part of a step's fingerprint."""
        ...

    def outline(self, sql: str) -> Outline:
        """What a query or an expression says."""
        ...

    def open(
        self, views: Mapping[str, str], files: Sequence[str] = ()
    ) -> AbstractContextManager[Engine]:
        """An engine that sees each view's Parquet file under its name, and may touch `files`."""
        ...

    def share(self) -> AbstractContextManager[Engine]:
        """An engine that may touch everything: for statements without a word of a user's SQL."""
        ...


class Written(Struct, frozen=True, kw_only=True):
    """A file under its content's name, with what its own footer says."""

    fingerprint: str
    rows: int
    bytes: int


class Kept(Struct, frozen=True, kw_only=True):
    """The whole outcome of a step, kept under its key."""

    run: UUID
    step: str
    outcome: StepOutcome
    edges: tuple[ColumnEdge, ...] = ()


class Artifacts(Protocol):
    """Datasets under their content's hash, and outcomes under their keys. Raises `StepBroken`
    with code `storage_full` or `io_error`."""

    def path_of(self, version: DatasetVersion) -> str:
        """The file of a dataset version. Raises `StepBroken` with code `dataset_missing` where it
        is not there or is not what it should be, in bytes or in rows."""
        ...

    def lend(self, version: DatasetVersion) -> str:
        """The same file, under a name in the step's own room, until `reclaim`: nobody takes it away
        meanwhile."""
        ...

    def reclaim(self) -> None:
        """Take back all that was lent."""
        ...

    def scratch(self) -> str:
        """A path in the step's own room to write a new file to; not visible to anybody."""
        ...

    def admit(self, scratch: str) -> Written:
        """Move a file from its scratch path under its content's hash; synced on return."""
        ...

    def discard(self, scratch: str) -> None:
        """Remove what was written to a scratch path, if anything."""
        ...

    def find(self, key: str, of: UUID | None = None) -> Kept | None:
        """The outcome kept under `key`, of one run where only that one's counts; None where there
        is none, or its data is not whole."""
        ...

    def keep(self, key: str, kept: Kept, *, anew: bool = False) -> Kept:
        """Keep an outcome, synced on return, without ever replacing another: returns what is kept
        under the key, which is another's if that one was first. `anew` replaces the outcome of
        another run, so that what was asked for anew is what later runs reuse."""
        ...


class SourceRead(Struct, frozen=True, kw_only=True):
    """What reading a source showed."""

    source: OuterDataset
    records: int
    """Counted in the bytes, before anything was parsed."""
    rejected: int = 0
    """How many of them were set apart."""
    columns: tuple[str, ...]
    first: int = 1
    """The line, from 1, on which the first record begins."""
    jumps: int = 0
    """How many records do not begin on the line behind the record before, whatever that holds."""


class Mended(Struct, frozen=True, kw_only=True):
    """A file of mended rows as it was read: all columns are text."""

    file: OuterDataset
    columns: tuple[str, ...]
    has_nulls: bool
    """Whether an empty text is told from no value, which CSV cannot do."""


class SourceFiles(Struct, frozen=True, kw_only=True):
    """Where what is read of a source is written to, as Parquet files."""

    rows: str
    """The records that fit what was declared of them."""
    rejects: str
    """The others as `commands.steps.quarantine` has them, with file and physical line; not made
    where there are none."""
    jumps: str
    """The jumps of `domain.data.rowmap`; not made where there are none."""


class Sources(Protocol):
    """Reads what lies outside into Parquet files."""

    def mended(self, path: str, target: str) -> Mended:
        """Read a file of mended rows, CSV or JSON lines, into the file `target`, with its records
        numbered in the column LINE of quarantines and nothing else changed. Raises `StepBroken`."""
        ...

    def known(self, path: str) -> OuterDataset | None:
        """What a source at `path` holds now, by its hash, where that is known without reading its
        records: it is the file that was read before, or one of the same size, hashed anew."""
        ...

    def read(self, name: str, source: Source, path: str, files: SourceFiles) -> SourceRead:
        """Read all of a source at `path` into these files. Raises `StepBroken` where the source as
        a whole is not as it should be, or its types were not declared and a record does not fit
        them."""
        ...


class Mark(Struct, frozen=True, kw_only=True):
    """Left beside a destination: who wrote what it holds now."""

    pipeline: str
    step: str
    run: UUID
    run_time: datetime
    key: str
    rows: int
    fingerprint: str = ""
    bytes: int = 0
    confirmed: datetime | None = None
    """When the latest run began that found its own rows there already."""


class Draft(Protocol):
    """A destination's next content, not visible to anybody yet."""

    @property
    def path(self) -> str:
        """Where to write it to."""
        ...

    @property
    def destination(self) -> OuterDataset:
        """The destination, with its content's hash and size once published."""
        ...

    def unchanged(self, key: str, run_time: datetime) -> Mark | None:
        """The destination's mark, if it was written under `key` and was not touched since. From
        then on no run that began before `run_time` can replace it."""
        ...

    def publish(self, mark: Mark) -> Mark:
        """Replace the destination's content by the draft in one step, synced on return. Raises
        `StepBroken` with code `newer_content` where a later run has written."""
        ...


class Sinks(Protocol):
    """Destinations outside."""

    def seen(self, path: str) -> tuple[OuterDataset, Mark | None]:
        """The destination at `path` by its name, and its mark if it is as the mark says. Changes
        nothing."""
        ...

    def draft(self, path: str) -> AbstractContextManager[Draft]:
        """Begin a draft for the destination at `path`; it is gone afterwards unless published."""
        ...


class Functions(Protocol):
    """Calls a pipeline's own Python."""

    @property
    def version(self) -> str:
        """Of Python and of what makes tables; part of a step's fingerprint."""
        ...

    def call(
        self,
        function: str,
        inputs: Mapping[str, str],
        params: Mapping[str, ParamValue],
        target: str,
    ) -> None:
        """Call `module:function` with the tables of the input files and write what it returns to
        the Parquet file `target`. Raises `StepBroken` with code `python_error` or
        `python_result`."""
        ...


class Tracer(Protocol):
    """Tells which column comes from which."""

    def trace(
        self, step: Step, schemas: Mapping[str, Mapping[str, str]], sql: str
    ) -> tuple[ColumnEdge, ...]:
        """Column edges of a step whose inputs have these columns (input's name → column →
        type); none where they cannot be told. `sql` is the text of a transform's query."""
        ...


class ContractReader(Protocol):
    """Reads contracts."""

    def __call__(self, file: str, table: str, text: str) -> Contract:
        """The contract for one table of a file with this text; `table` may be empty where it has
        one. Raises `domain.pipeline.contracts.InvalidContract` with every mistake."""
        ...


class Stopwatch(Protocol):
    """Seconds, to say how long something took."""

    def __call__(self) -> float:
        """Seconds from some fixed moment, never going back."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbench:
    """Everything that a step works with."""

    engines: Engines
    artifacts: Artifacts
    sources: Sources
    sinks: Sinks
    functions: Functions
    tracer: Tracer
    contracts: ContractReader
    accountant: Accountant
    stopwatch: Stopwatch
    timezone: str = "UTC"
