"""Histories as the aggregates decide them: every event a view can meet, always the same ids."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from msgspec import Raw
from msgspec.structs import replace

from domain.catalog import CATALOG
from domain.data.dataset import DatasetVersion, OuterDataset
from domain.data.lineage import ColumnEdge
from domain.data.quality import CheckResult, RuleCount
from domain.decider import Decider, fold
from domain.envelope import EventEnvelope, Metadata
from domain.ids import StreamId, pipeline_stream, run_stream
from domain.pipeline.aggregate import PIPELINE
from domain.pipeline.commands import (
    PausePipeline,
    RegisterPipeline,
    ResumePipeline,
    RetirePipeline,
)
from domain.pipeline.events import Definition
from domain.record import Recorded, to_state
from domain.run.aggregate import RUN
from domain.run.commands import (
    CancelRun,
    ClaimStep,
    Failed,
    ReportStep,
    ReusedStep,
    StartRun,
    StepResult,
    Succeeded,
)
from domain.run.events import PlannedStep, Redo, StepError, StepOutcome
from domain.run.ledger import InputLedger
from domain.run.retry import RetryPolicy

EPOCH = datetime(2026, 3, 1, 12, tzinfo=UTC)
TRACE = "0af7651916cd43dd8448eb211c80319c"
COLUMNS = ("carrier", "month", "arr_delay", "dep_time", "arr_time", "origin", "tailnum", "flight")

WIDE = 900
"""Columns of a step whose edges do not fit into one event."""

PLAN = (
    PlannedStep(id="raw", kind="ingest"),
    PlannedStep(id="flown", kind="clean", inputs=("raw",), retry=RetryPolicy(attempts=2)),
    PlannedStep(id="delays", kind="transform", inputs=("flown",)),
    PlannedStep(id="checked", kind="check", inputs=("delays",)),
    PlannedStep(id="published", kind="store", inputs=("checked",)),
)


class History:
    """A growing log. Time moves a second with each command, ids count up."""

    def __init__(self) -> None:
        self.records: list[Recorded] = []
        self._states: dict[StreamId, Any] = {}
        self._versions: dict[StreamId, int] = {}
        self._ids = 0
        self._at = EPOCH

    def new_id(self) -> UUID:
        """Another id, in the order of the calls."""
        self._ids += 1
        return UUID(int=0x0195_0000_0000_7000_8000_0000_0000_0000 + (self._ids << 64) + self._ids)

    def send(self, stream: StreamId, command: Any, principal: str = "cli:ada") -> Sequence[Any]:
        """Decide a command and record its events, which are returned."""
        decider: Decider[Any, Any, Any] = PIPELINE if stream.category == "pipeline" else RUN
        self._at += timedelta(seconds=1)
        state = self._states.get(stream, decider.initial)
        events = decider.decide(state, command, self._at)
        self._states[stream] = fold(decider, state, events)
        meta = self._metadata(command, principal)
        for event in events:
            self._record(stream, event, meta)
        return events

    def _metadata(self, command: object, principal: str) -> Metadata:
        id_ = self.new_id()
        return Metadata(
            command_id=id_,
            command_type=type(command).__name__,
            payload_hash="0" * 64,
            correlation_id=id_,
            causation_id=id_,
            principal=principal,
            traceparent=f"00-{TRACE}-b7ad6b7169203331-01",
        )

    def _record(self, stream: StreamId, event: object, meta: Metadata) -> None:
        version = self._versions[stream] = self._versions.get(stream, 0) + 1
        tag = CATALOG.tag_of(event)
        envelope = EventEnvelope(
            event_id=self.new_id(),
            stream=stream,
            version=version,
            tag=tag,
            recorded_at=self._at,
            metadata=meta,
            data=event,
        )
        self.records.append(
            Recorded(
                position=len(self.records) + 1,
                previous=len(self.records),
                event_id=envelope.event_id,
                stream=stream,
                version=version,
                tag=tag,
                state=to_state(envelope),
            )
        )

    def register(self, pipeline: str, revision: str = "a", *, draft: bool = False) -> None:
        """Give a pipeline a definition."""
        spec = Raw(f'{{"pipeline":"{pipeline}","description":"about {pipeline}"}}'.encode())
        definition = Definition(bundle=revision * 64, spec=spec)
        command = RegisterPipeline(pipeline=pipeline, definition=definition, draft=draft)
        self.send(pipeline_stream(pipeline), command)

    def start(self, pipeline: str = "flights", **more: Any) -> StreamId:
        """Start a run of five steps."""
        stream = run_stream(self.new_id())
        start = StartRun(
            pipeline=pipeline,
            revision=1,
            bundle="a" * 64,
            draft=False,
            root="/data",
            params={"min_month": 1},
            plan=PLAN,
            parallel=8,
            **more,
        )
        self.send(stream, start)
        return stream

    def claim(self, run: StreamId, step: str, attempt: int = 1) -> None:
        """Let a worker claim a step."""
        self.send(run, ClaimStep(step=step, attempt=attempt, worker="worker:1"), "worker:1")

    def succeed(
        self, run: StreamId, step: str, traced: tuple[ColumnEdge, ...] | None = None
    ) -> None:
        """Report what a step of the plan does."""
        pipeline = self._states[run].facts.pipeline
        done = Succeeded(
            outcome=outcome(pipeline, step, run.id.hex[:8]),
            edges=edges(step) if traced is None else traced,
            log=f"{step}.log",
        )
        self.report(run, step, done)

    def report(self, run: StreamId, step: str, result: StepResult) -> None:
        """Report what came of a first attempt."""
        report = ReportStep(step=step, attempt=1, lease=1, outcome=result)
        self.send(run, report, "worker:1")

    def fail(
        self, run: StreamId, step: str, *, attempt: int = 1, lease: int = 1, retryable: bool = False
    ) -> None:
        """Report that a step did not succeed."""
        error = StepError(
            code="sql_error",
            message="no such column",
            where="flights.yaml:14",
            hint="did you mean arr_delay?",
            retryable=retryable,
        )
        report = ReportStep(
            step=step,
            attempt=attempt,
            lease=lease,
            outcome=Failed(error=error, log="x.log", outcome=StepOutcome(rows_in=3)),
        )
        self.send(run, report, "worker:1")

    def complete(self, pipeline: str = "flights") -> StreamId:
        """A run from start to end."""
        run = self.start(pipeline)
        for step in PLAN:
            self.claim(run, step.id)
            self.succeed(run, step.id)
        return run


def outcome(pipeline: str, step: str, mark: str) -> StepOutcome:
    """What each step of the plan proves."""
    versions = {
        "raw": ("raw", 336_776),
        "flown": ("flown", 327_346),
        "delays": ("delays", 185),
        "checked": ("delays", 185),
    }
    before = {"flown": "raw", "delays": "flown", "checked": "delays", "published": "checked"}
    inputs = _ledger(pipeline, versions[before[step]], mark) if step in before else ()
    output = None
    if step in versions:
        name, rows = versions[step]
        output = DatasetVersion(
            dataset=f"{pipeline}.{name}",
            fingerprint=_fingerprint(name, mark),
            rows=rows,
            bytes=rows * 100,
        )
    return StepOutcome(
        key=_fingerprint("key", step),
        inputs=inputs,
        output=output,
        rows_in=inputs[0].rows_in if inputs else 336_776,
        rows_out=output.rows if output else 185,
        ledger="unproven" if inputs else "none",
        counts=(RuleCount(rule="drop_nulls(dep_time)", rows=9_430),) if step == "flown" else (),
        checks=(CheckResult(name="months", rule="range(month)", passed=True, failing_rows=0),)
        if step == "checked"
        else (),
        source=OuterDataset(namespace="file", name="/data/flights.csv", fingerprint="5" * 64)
        if step == "raw"
        else None,
        destination=OuterDataset(namespace="file", name="/out/delays.parquet", bytes=18_500)
        if step == "published"
        else None,
        seconds=0.25,
        warnings=("3 rows are late",) if step == "delays" else (),
    )


def _ledger(pipeline: str, version: tuple[str, int], mark: str) -> tuple[InputLedger, ...]:
    name, rows = version
    return (
        InputLedger(
            dataset=f"{pipeline}.{name}",
            fingerprint=_fingerprint(name, mark),
            rows_in=rows,
            reached=rows,
            filtered=0,
        ),
    )


def _fingerprint(name: str, mark: str) -> str:
    return (name.encode().hex() + mark).ljust(64, "0")[:64]


def edges(step: str) -> tuple[ColumnEdge, ...]:
    """Where the columns of each step of the plan come from."""
    match step:
        case "raw":
            return tuple(ColumnEdge("flights", column, column) for column in COLUMNS)
        case "flown":
            return tuple(ColumnEdge("raw", column, column) for column in COLUMNS)
        case "delays":
            return (
                ColumnEdge("flown", "carrier", "airline"),
                ColumnEdge("flown", "month", "month"),
                ColumnEdge("flown", "arr_delay", "delay"),
                ColumnEdge("flown", "dep_time", "delay", "indirect"),
            )
        case "published":
            return tuple(
                ColumnEdge("checked", name, name) for name in ("airline", "month", "delay")
            )
        case _:
            return ()


def all_kinds() -> History:
    """Runs and pipelines in every state that they can be in, by every event there is."""
    history = History()
    history.register("flights")
    history.register("weather", "b", draft=True)
    for command in (PausePipeline(reason="broken source"), ResumePipeline()):
        history.send(pipeline_stream("flights"), command)
    first = history.complete()
    history.register("flights", "c")
    _failed(history)
    _retried(history, first.id)
    _wide(history)
    _put_back(history)
    _cancelled(history)
    history.complete("weather")
    history.send(pipeline_stream("weather"), RetirePipeline(reason="unused"))
    _open(history)
    return history


def _failed(history: History) -> None:
    run = history.start()
    history.claim(run, "raw")
    history.succeed(run, "raw")
    history.claim(run, "flown")
    history.fail(run, "flown", retryable=True)
    history.claim(run, "flown", 2)
    history.fail(run, "flown", attempt=2, lease=2, retryable=True)


def _retried(history: History, before: UUID) -> None:
    mark = before.hex[:8]
    reused = tuple(
        ReusedStep(step=step, from_run=before, outcome=outcome("flights", step, mark))
        for step in ("raw", "flown")
    )
    run = history.start(retry_of=before, retry_from="delays", reused=reused)
    for step in ("delays", "checked", "published"):
        history.claim(run, step)
        history.succeed(run, step)


def _wide(history: History) -> None:
    run = history.start("wide")
    history.claim(run, "raw")
    names = [f"a_column_with_the_number_{number}" for number in range(WIDE)]
    history.succeed(run, "raw", tuple(ColumnEdge("flights", name, name) for name in names))
    history.send(run, CancelRun())


def _cancelled(history: History) -> None:
    run = history.start()
    history.claim(run, "raw")
    history.send(run, CancelRun(reason="wrong file"))
    history.fail(run, "raw")
    history.send(history.start(), CancelRun())


def quarantine(pipeline: str, rows: int = 3) -> DatasetVersion:
    """Rows that the first step of the plan has set apart."""
    return DatasetVersion(
        dataset=f"{pipeline}.raw.quarantine",
        fingerprint=_fingerprint("apart", str(rows)),
        rows=rows,
        bytes=rows * 100,
    )


def _put_back(history: History) -> None:
    first, apart = history.start("orders"), quarantine("orders")
    history.claim(first, "raw")
    made = replace(outcome("orders", "raw", "1"), quarantine=apart, rows_quarantined=apart.rows)
    history.report(first, "raw", Succeeded(outcome=made))
    history.claim(first, "flown")
    history.fail(first, "flown")
    redo = Redo(run=first.id, step="raw", quarantine=apart, output=made.output, rows="mended.csv")
    again, left = history.start("orders", retry_of=first.id, redo=redo), quarantine("orders", 1)
    history.claim(again, "raw")
    mended = OuterDataset(namespace="file", name="/data/mended.csv", fingerprint="7" * 64)
    made = replace(made, quarantine=left, rows_quarantined=1, readmitted=2, mended=mended)
    history.report(again, "raw", Succeeded(outcome=made))
    history.claim(again, "flown")
    history.fail(again, "flown")
    third = history.start("orders")
    history.claim(third, "raw")
    error = StepError(code="too_many_quarantined", message="300 of 336,776 rows")
    counted = StepOutcome(rows_in=336_776, quarantine=quarantine("orders", 300))
    history.report(third, "raw", Failed(error=error, outcome=counted))


def _open(history: History) -> None:
    run = history.start()
    history.claim(run, "raw")
    history.succeed(run, "raw")
    history.claim(run, "flown")
    history.start()


def runs(count: int, *, at_once: int = 8) -> Iterator[Recorded]:
    """The log of `count` five-step runs, several of them at the same time."""
    history = History()
    history.register("flights")
    for first in range(0, count, at_once):
        started = [history.start() for _ in range(min(at_once, count - first))]
        for step in PLAN:
            for run in started:
                history.claim(run, step.id)
            for run in started:
                history.succeed(run, step.id)
    yield from history.records
