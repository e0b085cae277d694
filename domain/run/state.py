"""The phases of a run, and of a step in it."""

from datetime import datetime

from msgspec import Struct

from domain.data.dataset import DatasetVersion
from domain.data.rowmap import Origin
from domain.run.events import ParamValue, PlannedStep, Redo, StepError
from domain.run.plan import Plan
from domain.vector import Vector


class Waiting(Struct, frozen=True):
    """`open_inputs` steps before this one are not done yet."""

    open_inputs: int


class Scheduled(Struct, frozen=True):
    """Work may start."""

    attempt: int
    lease: int = 0
    """The last lease that was given; leases go on counting over attempts."""


class InWork(Struct, frozen=True):
    """A worker holds the lease."""

    attempt: int
    lease: int
    leases: int
    """Leases given for this attempt."""
    worker: str
    crashes: int = 0


class Done(Struct, frozen=True):
    """Succeeded or reused."""

    output: DatasetVersion | None
    origin: Origin | None = None
    """The file that its rows come from one by one."""


class Broken(Struct, frozen=True):
    """Failed for good, or ended by a cancel."""

    attempt: int
    lease: int


class Skipped(Struct, frozen=True):
    """Not worked on, because one before it failed."""


StepState = Waiting | Scheduled | InWork | Done | Broken | Skipped


class Unstarted(Struct, frozen=True):
    """No event yet."""


class Facts(Struct, frozen=True, kw_only=True):
    """What `run.started` pinned."""

    pipeline: str
    revision: int
    bundle: str
    root: str
    params: dict[str, ParamValue]
    run_time: datetime
    parallel: int
    no_cache: bool = False
    fresh: frozenset[str] = frozenset()
    redo: Redo | None = None


class Planning(Struct, frozen=True, kw_only=True):
    """The parts of the plan are being read; they all stand in one append."""

    facts: Facts
    steps: tuple[PlannedStep, ...] = ()


class Running(Struct, frozen=True, kw_only=True):
    """Steps are open. Counters stand in for questions that would need a look at every step."""

    facts: Facts
    plan: Plan
    steps: Vector[StepState]
    ready: Vector[int]
    """Places of steps as they became ready; those from `ready_head` to `ready_tail` wait."""
    ready_head: int = 0
    ready_tail: int = 0
    active: int = 0
    """Steps that are scheduled or in work."""
    offered: int = 0
    """Steps that wait for the first worker to claim them."""
    leases: int = 0
    """Steps in work."""
    unfinished: int
    failed: int = 0
    skipped: int = 0
    first_failed: str = ""
    first_error: StepError | None = None


class Cancelling(Struct, frozen=True, kw_only=True):
    """A stop was asked for; leases are still open."""

    running: Running
    reason: str


class Finished(Struct, frozen=True, kw_only=True):
    """Nothing changes any more."""

    status: str
    """`completed`, `failed` or `cancelled`."""
    facts: Facts


RunState = Unstarted | Planning | Running | Cancelling | Finished
