"""What the write side needs from the world. Each docstring is the contract that adapters keep."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from msgspec import Struct

from domain.envelope import EventEnvelope
from domain.ids import Position, StreamId, Version
from domain.pipeline.events import Definition
from domain.record import Recorded
from domain.run.events import PlannedStep

Envelope = EventEnvelope[Any]


class Clock(Protocol):
    """Time, ids and waiting; virtual in the simulation."""

    def now(self) -> datetime:
        """The time in UTC, to the microsecond."""
        ...

    def monotonic(self) -> float:
        """Seconds from some fixed moment, never going back."""
        ...

    def new_id(self) -> UUID:
        """A UUIDv7; later ones sort behind earlier ones of the same process."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        ...


class EventStore(Protocol):
    """Streams of events: the truth."""

    async def load(self, stream: StreamId, after: Version = 0) -> Sequence[Envelope]:
        """Events of a stream behind version `after`, in order, with their positions.

        An unknown stream has none. Raises `Malformed`, `Unavailable`.
        """
        ...

    async def append(
        self, stream: StreamId, expected: Version, envelopes: Sequence[Envelope]
    ) -> Sequence[Position]:
        """Append all of `envelopes` (versions expected+1 …) or none; returns their positions.

        Returns only after the events are synced to disk. Appends of many streams may share one
        transaction; one caller's conflict never fails another's. Raises `Conflict` where the
        stream is not at `expected`, `TooLarge`, `StorageFull`, `Unavailable`; after the last two
        the outcome is unknown until the stream is loaded again.
        """
        ...


class EventLog(Protocol):
    """All events in the order of their positions."""

    @property
    def store_id(self) -> UUID:
        """Made once with the store; another one after it was replaced or started anew."""
        ...

    async def read(self, after: Position, limit: int) -> Sequence[Recorded]:
        """At most `limit` events behind `after`, in order. Never shows an event before all events
        with smaller positions are visible."""
        ...

    async def head(self) -> Position:
        """Position of the newest event, 0 in an empty store."""
        ...

    async def event_id_at(self, position: Position) -> UUID | None:
        """The id of the event at `position`, or None if there is none."""
        ...

    async def wait(self, after: Position, seconds: float) -> Position:
        """Return the head as soon as it lies behind `after`, or after `seconds` in any case.

        Appends of this process wake it at once; those of other processes within `seconds`.
        """
        ...


class Carried(Struct, frozen=True):
    """The newest message on the bus that names an event."""

    sequence: int
    position: Position
    event_id: UUID
    epoch: str


class EventPublisher(Protocol):
    """The sending end of the bus's window on the events."""

    async def tail(self) -> tuple[int, Carried | None]:
        """The stream's last sequence, and its newest message that is an event of ours."""
        ...

    async def publish(self, events: Sequence[Recorded], epoch: str, sequence: int) -> int:
        """Publish in order behind `sequence`, each with the id `<epoch>:<position>`; returns the
        new last sequence. Raises `Conflict` where the stream has moved (another relay writes, or
        it was wiped), `Unavailable`."""
        ...

    async def purge(self) -> int:
        """Empty the window; returns its last sequence."""
        ...


class Task(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Notice that an attempt of a step can be claimed."""

    run: UUID
    step: str
    attempt: int
    engine: str = "duckdb"
    traceparent: str | None = None
    """The run's trace."""
    correlation_id: UUID | None = None


class TaskQueue(Protocol):
    """Where dispatch puts tasks."""

    async def ensure(self, task: Task) -> bool:
        """Make sure that the queue holds the task, waiting or in work; True if it was added."""
        ...


class TaskDelivery(Protocol):
    """A task handed to one worker. Handed to another one when it is not kept alive."""

    @property
    def task(self) -> Task:
        """What is to be done."""
        ...

    async def keep_alive(self) -> None:
        """Say that the work goes on (at least every 3 s; the task is lost after 10 s)."""
        ...

    async def finish(self) -> None:
        """Take the task out of the queue."""
        ...

    async def give_back(self, seconds: float) -> None:
        """Let another worker have it after `seconds`."""
        ...


class TaskSource(Protocol):
    """Where a step worker gets tasks from."""

    async def next(self, limit: int, seconds: float) -> Sequence[TaskDelivery]:
        """Up to `limit` tasks; none after `seconds` without any. Raises `Unavailable`."""
        ...


class OpenStep(Struct, frozen=True, kw_only=True):
    """A step that somebody should be working on."""

    task: Task
    due: datetime | None
    in_work: bool


class OpenSteps(Protocol):
    """The dispatch policy's own view of what is open."""

    async def open(self, after: tuple[str, str] | None, limit: int) -> Sequence[OpenStep]:
        """Steps scheduled or in work, ordered by (run, step), behind the key `after`."""
        ...


class Bound(Struct, frozen=True, kw_only=True):
    """A definition that was checked against its data: names, types, SQL."""

    definition: Definition
    plan: tuple[PlannedStep, ...]
    parallel: int
    warnings: tuple[str, ...] = ()


class Binder(Protocol):
    """Checks a definition before anything runs."""

    async def bind(
        self, spec: Mapping[str, Any], files: Mapping[str, str], root: str
    ) -> tuple[str, Bound]:
        """The pipeline's name, and the definition with sniffed types pinned.

        Raises `Rejection` with code `invalid_pipeline` and details
        `{"problems": [{"path", "message", "hint"}]}`, all problems at once where possible.
        """
        ...


class CommandContext(Struct, frozen=True, gc=False, kw_only=True):
    """What came with a command besides its payload."""

    principal: str
    traceparent: str | None = None
    correlation_id: UUID | None = None
    """Taken where the payload names none."""
    causation_id: UUID | None = None
    """The message that caused this command, where one did."""


class LeaseState(Struct, frozen=True):
    """What a worker should know of the lease it holds."""

    open: bool
    """False once another claim, a report or the run's end has closed it."""
    cancelling: bool
    """The run shall stop; the worker ends its step and reports `cancelled`."""


class Leases(Protocol):
    """Whether a worker's lease still counts."""

    async def lease_state(self, run: UUID, step: str, attempt: int, lease: int) -> LeaseState:
        """As of now. Raises `Unavailable`, `TimedOut`."""
        ...


class Definitions(Protocol):
    """Definitions of all revisions that ever were."""

    async def definition(self, pipeline: str, revision: int) -> Definition:
        """Raises `NotFound`, `Unavailable`, `TimedOut`."""
        ...


class Hands(Protocol):
    """Workers in the process of the handlers, who may begin with a run as soon as it is stored."""

    def offer(self) -> str:
        """The name of a worker that keeps a place free until `give`; empty where none is free."""
        ...

    def foretell(self, work: Mapping[str, Any], cause: UUID) -> None:
        """The `StepWork` that will be given if what the command `cause` has decided is stored. The
        worker may begin with it; it is of a kind that changes nothing outside."""
        ...

    def give(self, work: Mapping[str, Any] | None, cause: UUID) -> None:
        """The `StepWork` that the worker has got by the command `cause`; None where nothing is to
        be done."""
        ...


class CommandSender(Protocol):
    """The way from a worker or a policy back to the command handlers."""

    async def send(
        self, command: str, payload: Mapping[str, Any] | Struct, context: CommandContext
    ) -> Mapping[str, Any]:
        """Send `run.report` and the like; returns the accepted reply. Raises `Rejection`,
        `Unavailable`, `TimedOut`."""
        ...
