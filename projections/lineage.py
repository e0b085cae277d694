"""Which data was made from which: datasets, steps, and the edges between them, run by run."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import TypeVar, get_args

import msgspec

from domain.data.dataset import DatasetVersion, OuterDataset
from domain.run.events import (
    ColumnsTraced,
    RunPlanned,
    RunStarted,
    StepOutcome,
    StepReused,
    StepSucceeded,
)
from projections.ports import Change, Column, Put, Row, Table, Value
from projections.projection import AnyHandler, Fact, Handler, Projection

E = TypeVar("E")

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
        Column("recorded_at"),
        Column("position", "integer"),
    ),
    key=("run", "step"),
)
"""Jobs in OpenLineage's words. `position` is that of the outcome, null before."""

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
        Column("recorded_at"),
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
"""Which set of column edges a step of a run had, by the set's hash."""

COLUMNS = Table(
    name="lineage_columns",
    columns=(Column("columns"), Column("edges"), Column("run")),
    key=("columns",),
)
"""Sets of column edges by content: most runs of a revision share theirs. `run` was the latest."""


def _started(fact: Fact[RunStarted]) -> Sequence[Change]:
    values: dict[str, Value] = {
        "pipeline": fact.data.pipeline,
        "revision": fact.data.revision,
        "recorded_at": fact.meta.recorded_at,
        "position": fact.position,
    }
    return (Put("lineage_runs", (fact.id,), values),)


def _planned(fact: Fact[RunPlanned]) -> Sequence[Change]:
    return [
        Put("lineage_steps", (fact.id, step.id), {"kind": step.kind}) for step in fact.data.steps
    ]


def _succeeded(fact: Fact[StepSucceeded]) -> Sequence[Change]:
    return _outcome(fact, fact.data.step, fact.data.outcome, None)


def _reused(fact: Fact[StepReused]) -> Sequence[Change]:
    return _outcome(fact, fact.data.step, fact.data.outcome, str(fact.data.from_run))


def _outcome(
    fact: Fact[E], step: str, outcome: StepOutcome, reused_from: str | None
) -> list[Change]:
    seen: dict[str, Value] = {"recorded_at": fact.meta.recorded_at, "position": fact.position}
    changes: list[Change] = [
        Put("lineage_steps", (fact.id, step), {"reused_from": reused_from, **seen})
    ]
    changes.extend(_inputs(fact.id, step, outcome, seen))
    changes.extend(_outputs(fact.id, step, outcome, seen))
    return changes


def _inputs(run: str, step: str, outcome: StepOutcome, seen: dict[str, Value]) -> Iterator[Change]:
    for entry in outcome.inputs:
        values = {"fingerprint": entry.fingerprint, "rows": entry.rows_in, "bytes": None, **seen}
        yield _edge((run, step, "in", NAMESPACE, entry.dataset), values)
    if outcome.source is not None:
        source = outcome.source
        values = {**_outer(source), "rows": outcome.rows_in, **seen}
        yield Put("lineage_datasets", (source.namespace, source.name), values)
        yield _edge((run, step, "in", source.namespace, source.name), values)


def _outputs(run: str, step: str, outcome: StepOutcome, seen: dict[str, Value]) -> Iterator[Change]:
    made: dict[str, Value] = {"run": run, "step": step}
    output, target = outcome.output, outcome.destination
    if output is not None:
        values = {**_version(output), **seen}
        # A step that changes nothing points at its input's dataset, and did not make it.
        own = output.dataset.rpartition(".")[2] == step
        yield _edge((run, step, "out" if own else "same", NAMESPACE, output.dataset), values)
        if own:
            latest = {**values, "kept": int(output.kept), **made}
            yield Put("lineage_datasets", (NAMESPACE, output.dataset), latest)
    if target is not None:
        values = {**_outer(target), "rows": outcome.rows_out, **seen}
        yield _edge((run, step, "out", target.namespace, target.name), values)
        yield Put("lineage_datasets", (target.namespace, target.name), {**values, **made})


def _version(version: DatasetVersion) -> dict[str, Value]:
    return {"fingerprint": version.fingerprint, "rows": version.rows, "bytes": version.bytes}


def _outer(dataset: OuterDataset) -> dict[str, Value]:
    return {"fingerprint": dataset.fingerprint, "bytes": dataset.bytes}


def _edge(key: tuple[str, str, str, str, str], values: dict[str, Value]) -> Put:
    return Put("lineage_edges", key, values)


_json = msgspec.json.Encoder()


def _traced(fact: Fact[ColumnsTraced]) -> Sequence[Change]:
    event = fact.data
    edges = _json.encode(event.edges)
    columns = hashlib.blake2b(edges, digest_size=16).hexdigest()
    trace: dict[str, Value] = {"columns": columns, "position": fact.position}
    return (
        Put("lineage_traces", (fact.id, event.step, event.part), trace),
        Put("lineage_columns", (columns,), {"edges": edges.decode(), "run": fact.id}),
    )


_SUCCESSES: tuple[type[StepSucceeded], ...] = get_args(StepSucceeded)

_HANDLERS: tuple[AnyHandler, ...] = (
    Handler(RunStarted, _started),
    Handler(RunPlanned, _planned),
    *(Handler(kind, _succeeded) for kind in _SUCCESSES),
    Handler(StepReused, _reused),
    Handler(ColumnsTraced, _traced),
)


def _stream_of_run(row: Row) -> str | None:
    return f"run/{row['run']}" if row.get("run") else None


LINEAGE = Projection(
    name="lineage",
    version=1,
    tables=dict.fromkeys((RUNS, STEPS, DATASETS, EDGES, TRACES, COLUMNS), _stream_of_run),
    handlers=_HANDLERS,
)
"""What `lineage` and `datasets` read."""
