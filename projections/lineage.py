"""Which data was made from which: datasets, steps, and the edges between them, run by run."""

import hashlib
from collections.abc import Sequence
from typing import get_args

from msgspec import Raw, Struct

from domain.data.dataset import DatasetVersion, OuterDataset
from domain.run.events import (
    ColumnsTraced,
    QuarantineSettled,
    RunPlanned,
    RunStarted,
    StepFailed,
    StepReused,
    StepSucceeded,
)
from projections.ports import Change, Column, Put, Row, Table, Value
from projections.projection import AnyHandler, Fact, Handler, Projection
from projections.quarantine import QUARANTINES, FailedStep, failed, set_apart, settled

NAMESPACE = "headwater"
"""Of all datasets that steps make; outer ones have their own, such as `file`."""

RUNS = Table(
    name="lineage_runs",
    columns=(
        Column("run"),
        Column("pipeline"),
        Column("revision", "integer"),
        Column("recorded_at"),
        Column("position", "integer"),
    ),
    key=("run",),
)

STEPS = Table(
    name="lineage_steps",
    columns=(
        Column("run"),
        Column("step"),
        Column("kind"),
        Column("reused_from"),
        Column("columns"),
        Column("recorded_at"),
        Column("position", "integer"),
    ),
    key=("run", "step"),
)
"""Jobs in OpenLineage's words. `position` is that of the outcome, null before; `columns` is the
hash of the step's column edges, or of their first part."""

DATASETS = Table(
    name="lineage_datasets",
    columns=(
        Column("namespace"),
        Column("name"),
        Column("fingerprint"),
        Column("rows", "integer"),
        Column("bytes", "integer"),
        Column("kept", "integer"),
        Column("run"),
        Column("step"),
        Column("recorded_at"),
        Column("position", "integer"),
    ),
    key=("namespace", "name"),
)
"""The latest version of each dataset; run and step are null for one that is only read."""

EDGES = Table(
    name="lineage_edges",
    columns=(
        Column("run"),
        Column("step"),
        Column("direction"),
        Column("namespace"),
        Column("name"),
        Column("fingerprint"),
        Column("rows", "integer"),
        Column("bytes", "integer"),
        Column("position", "integer"),
    ),
    key=("run", "step", "direction", "namespace", "name"),
    indexes=(("namespace", "name", "direction", "position"),),
)
"""What a step of a run read (`in`), made (`out`), or passed on as it was (`same`).

Each row names one dataset version; the `out` rows of a dataset are its history.
"""

TRACES = Table(
    name="lineage_traces",
    columns=(
        Column("run"),
        Column("step"),
        Column("part", "integer"),
        Column("columns"),
        Column("position", "integer"),
    ),
    key=("run", "step", "part"),
)
"""Column edges of a step that has too many for one event: the parts behind the first."""

COLUMNS = Table(
    name="lineage_columns",
    columns=(Column("columns"), Column("edges"), Column("run")),
    key=("columns",),
)
"""Sets of column edges by content: most runs of a revision share theirs. `run` was the latest."""


class _Started(Struct, frozen=True, gc=False):
    pipeline: str
    revision: int


def _started(fact: Fact[_Started]) -> Sequence[Change]:
    values: dict[str, Value] = {
        "pipeline": fact.data.pipeline,
        "revision": fact.data.revision,
        "recorded_at": fact.meta.recorded_at,
        "position": fact.position,
    }
    return (Put("lineage_runs", (fact.id,), values),)


class _Step(Struct, frozen=True, gc=False):
    id: str
    kind: str


class _Planned(Struct, frozen=True, gc=False):
    steps: tuple[_Step, ...]


def _planned(fact: Fact[_Planned]) -> Sequence[Change]:
    return [
        Put("lineage_steps", (fact.id, step.id), {"kind": step.kind}) for step in fact.data.steps
    ]


class _Input(Struct, frozen=True, gc=False):
    dataset: str
    fingerprint: str
    rows_in: int | None = None


class _Outcome(Struct, frozen=True, gc=False):
    inputs: tuple[_Input, ...] = ()
    output: DatasetVersion | None = None
    quarantine: DatasetVersion | None = None
    rows_in: int | None = None
    rows_out: int | None = None
    source: OuterDataset | None = None
    mended: OuterDataset | None = None
    destination: OuterDataset | None = None


class _Done(Struct, frozen=True, gc=False):
    step: str
    outcome: _Outcome
    from_run: str | None = None


def _done(fact: Fact[_Done]) -> Sequence[Change]:
    step, outcome = fact.data.step, fact.data.outcome
    place: dict[str, Value] = {
        "reused_from": fact.data.from_run,
        "recorded_at": fact.meta.recorded_at,
        "position": fact.position,
    }
    changes: list[Change] = [Put("lineage_steps", (fact.id, step), place)]
    outside = outcome.source.name if outcome.source is not None else None
    for entry in outcome.inputs:
        if entry.dataset == outside:
            continue  # an ingest's ledger speaks of its source, whose own edge follows
        key = (fact.id, step, "in", NAMESPACE, entry.dataset)
        changes.append(_edge(key, entry.fingerprint, entry.rows_in, None, fact.position))
    if outcome.source is not None:
        changes += _outer(fact, outcome.source, "in", outcome.rows_in)
    if outcome.mended is not None:
        changes += _outer(fact, outcome.mended, "in", None)
    if outcome.output is not None:
        changes += _output(fact, outcome.output)
    if outcome.quarantine is not None:
        changes += _made(fact, outcome.quarantine)
        values: dict[str, Value] = {
            "rows_in": outcome.rows_in,
            "failed": 0,
            "reused_from": fact.data.from_run,
        }
        changes.append(set_apart(fact, step, outcome.quarantine, values))
    if outcome.destination is not None:
        changes += _outer(fact, outcome.destination, "out", outcome.rows_out)
    return changes


def _output(fact: Fact[_Done], output: DatasetVersion) -> list[Change]:
    name = output.dataset
    # A step that changes nothing points at its input's dataset, and did not make it.
    if name.rpartition(".")[2] == fact.data.step:
        return _made(fact, output)
    key = (fact.id, fact.data.step, "same", NAMESPACE, name)
    return [_edge(key, output.fingerprint, output.rows, output.bytes, fact.position)]


def _made(fact: Fact[_Done], output: DatasetVersion) -> list[Change]:
    run, step, name = fact.id, fact.data.step, output.dataset
    key = (run, step, "out", NAMESPACE, name)
    edge = _edge(key, output.fingerprint, output.rows, output.bytes, fact.position)
    latest: dict[str, Value] = {
        "fingerprint": output.fingerprint,
        "rows": output.rows,
        "bytes": output.bytes,
        "kept": int(output.kept),
        "run": run,
        "step": step,
        "recorded_at": fact.meta.recorded_at,
        "position": fact.position,
    }
    return [edge, Put("lineage_datasets", (NAMESPACE, name), latest)]


def _outer(
    fact: Fact[_Done], dataset: OuterDataset, direction: str, rows: int | None
) -> list[Change]:
    key = (fact.id, fact.data.step, direction, dataset.namespace, dataset.name)
    latest: dict[str, Value] = {
        "fingerprint": dataset.fingerprint,
        "rows": rows,
        "bytes": dataset.bytes,
        "recorded_at": fact.meta.recorded_at,
        "position": fact.position,
    }
    if direction == "out":
        latest["run"] = fact.id
        latest["step"] = fact.data.step
    return [
        _edge(key, dataset.fingerprint, rows, dataset.bytes, fact.position),
        Put("lineage_datasets", (dataset.namespace, dataset.name), latest),
    ]


def _edge(
    key: tuple[str, ...],
    fingerprint: str,
    rows: int | None,
    size: int | None,
    position: int,
) -> Put:
    return Put(
        "lineage_edges",
        key,
        {"fingerprint": fingerprint, "rows": rows, "bytes": size, "position": position},
    )


class _Traced(Struct, frozen=True, gc=False):
    step: str
    part: int
    edges: Raw


def _traced(fact: Fact[_Traced]) -> Sequence[Change]:
    event = fact.data
    edges = bytes(event.edges)
    columns = hashlib.blake2b(edges, digest_size=16).hexdigest()
    trace = Put("lineage_steps", (fact.id, event.step), {"columns": columns})
    if event.part > 1:
        values: dict[str, Value] = {"columns": columns, "position": fact.position}
        trace = Put("lineage_traces", (fact.id, event.step, event.part), values)
    return (
        trace,
        Put("lineage_columns", (columns,), {"edges": edges.decode(), "run": fact.id}),
    )


_SUCCESSES: tuple[type[StepSucceeded], ...] = get_args(StepSucceeded)

_HANDLERS: tuple[AnyHandler, ...] = (
    Handler(RunStarted, _started, _Started),
    Handler(RunPlanned, _planned, _Planned),
    *(Handler(kind, _done, _Done) for kind in _SUCCESSES),
    Handler(StepReused, _done, _Done),
    Handler(StepFailed, failed, FailedStep),
    Handler(QuarantineSettled, settled),
    Handler(ColumnsTraced, _traced, _Traced),
)


def _stream_of_run(row: Row) -> str | None:
    return f"run/{row['run']}" if row.get("run") else None


LINEAGE = Projection(
    name="lineage",
    version=2,
    tables=dict.fromkeys(
        (RUNS, STEPS, DATASETS, EDGES, TRACES, COLUMNS, QUARANTINES), _stream_of_run
    ),
    handlers=_HANDLERS,
)
"""What `lineage`, `datasets` and `quarantine` read."""
