"""Answers about what was made from what: a walk over the edges of the lineage view.

Going up, each dataset version leads to the step of the run that made it, and that step's inputs
to the steps of the same run that made them; outer data leads to the run that wrote it last before.
Going down, a dataset leads to the newest step of each kind that read it.
"""

from collections import deque
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from domain.data.lineage import ColumnEdge
from domain.errors import NotFound
from projections.datasets import DatasetKey, key_of, resolve
from projections.limits import consumers_max, depth_max, edges_max
from projections.lineage import NAMESPACE
from projections.ports import ReadModels, Row, Value
from projections.questions import Document, Question, Text, did_you_mean

_NEWEST = (1 << 63) - 1

Direction = Literal["up", "down", "both"]


class GraphQuestion(Question, frozen=True, kw_only=True):
    """Arguments of `lineage.graph`."""

    dataset: Text
    column: Text | None = None
    """Follow this column instead of the whole dataset."""
    direction: Direction = "both"
    depth: Annotated[int, Meta(ge=1, le=depth_max)] = depth_max
    limit: Annotated[int, Meta(ge=1, le=edges_max)] = edges_max
    """Edges in the answer."""


class StepKey(NamedTuple):
    """A step of a run."""

    run: str
    step: str

    @property
    def arguments(self) -> dict[str, Value]:
        """As a query takes it."""
        return {"run": self.run, "step": self.step}


class Stop(NamedTuple):
    """A dataset on the way, or a column of it, as it was up to a position."""

    key: DatasetKey
    column: str | None
    run: str | None
    before: int
    depth: int


class Graph:
    """Nodes and edges found so far."""

    def __init__(self, limit: int) -> None:
        self.nodes: dict[str, Document] = {}
        self.edges: dict[tuple[str | None, ...], Document] = {}
        self._limit = limit
        self.truncated = False

    def add_node(self, node: Document) -> None:
        """Keep what is told first: it is nearest to the question."""
        self.nodes.setdefault(node["id"], node)

    def add_edge(self, edge: Document) -> None:
        """Keep an edge, if there is room."""
        if len(self.edges) >= self._limit:
            self.truncated = True
            return
        self.edges.setdefault(tuple(edge.values()), edge)


async def graph(models: ReadModels, question: GraphQuestion) -> Document:
    """Nodes and edges around a dataset. Raises `NotFound`, `Rejection`."""
    key = await resolve(models, question.dataset)
    found = Graph(question.limit)
    walk = _Walk(models, found)
    rows = await models.query("lineage.dataset", {"namespace": key.namespace, "name": key.name})
    found.add_node(_dataset_node(rows[0]))
    start = Stop(key, question.column, None, _NEWEST, question.depth)
    if question.column is not None:
        await walk.check_column(start)
    if question.direction in ("up", "both"):
        await walk.go(start, up=True)
    if question.direction in ("down", "both"):
        await walk.go(start, up=False)
    return {
        "dataset": key.id,
        "column": question.column,
        "nodes": list(found.nodes.values()),
        "edges": list(found.edges.values()),
        "truncated": found.truncated,
    }


class _Walk:
    """Breadth first; each stop is visited once."""

    def __init__(self, models: ReadModels, found: Graph) -> None:
        self._facts = _Facts(models)
        self._found = found

    async def go(self, start: Stop, *, up: bool) -> None:
        """Add everything in one direction."""
        seen = {(start.key, start.column)}
        waiting = deque([start])
        while waiting and not self._found.truncated:
            stop = waiting.popleft()
            if stop.depth == 0:
                continue
            for further in await (self._above(stop) if up else self._below(stop)):
                if (further.key, further.column) not in seen:
                    seen.add((further.key, further.column))
                    waiting.append(further)

    async def _above(self, stop: Stop) -> list[Stop]:
        made = await self._facts.maker(stop)
        if made is None:
            return []
        maker, position = made
        if stop.column is not None:
            return await self._columns_above(stop, maker, position)
        step = await self._add_step(maker)
        self._found.add_edge(_edge(step, stop.key.id, maker))
        further = []
        for row in await self._facts.linked(maker, "in"):
            key = self._add_dataset(row)
            self._found.add_edge(_edge(key.id, step, maker))
            further.append(_next(stop, key, None, maker.run, position))
        return further

    async def _columns_above(self, stop: Stop, maker: StepKey, position: int) -> list[Stop]:
        further = []
        for edge in await self._facts.columns(maker):
            source = await self._facts.source(maker, edge)
            if edge.column == stop.column and source is not None:
                await self._add_columns(maker, source, edge, stop.key)
                further.append(_next(stop, source, edge.source_column, maker.run, position))
        return further

    async def _below(self, stop: Stop) -> list[Stop]:
        further = []
        for reader in await self._facts.readers(stop.key):
            if stop.column is not None:
                further += await self._columns_below(stop, reader)
                continue
            step = await self._add_step(reader)
            self._found.add_edge(_edge(stop.key.id, step, reader))
            for row in await self._facts.linked(reader, "out"):
                key = self._add_dataset(row)
                self._found.add_edge(_edge(step, key.id, reader))
                further.append(_next(stop, key, None, reader.run, _NEWEST))
        return further

    async def _columns_below(self, stop: Stop, reader: StepKey) -> list[Stop]:
        further = []
        made = await self._facts.linked(reader, "out")
        for edge in await self._facts.columns(reader):
            if edge.source_column != stop.column:
                continue
            if await self._facts.source(reader, edge) != stop.key:
                continue
            for row in made:
                key = self._add_dataset(row)
                await self._add_columns(reader, stop.key, edge, key)
                further.append(_next(stop, key, edge.column, reader.run, _NEWEST))
        return further

    async def check_column(self, stop: Stop) -> None:
        """Raises `NotFound` where the dataset's columns are known and this is none of them."""
        known: list[str] = []
        made = await self._facts.maker(stop)
        if made is not None:
            known += [edge.column for edge in await self._facts.columns(made[0])]
        for reader in await self._facts.readers(stop.key):
            for edge in await self._facts.columns(reader):
                if await self._facts.source(reader, edge) == stop.key:
                    known.append(edge.source_column)
        if known and stop.column not in known:
            names = ", ".join(dict.fromkeys(known))
            raise NotFound(
                f"dataset {stop.key.id} has no column {stop.column!r}",
                hint=did_you_mean(stop.column or "", known) or f"its columns are {names}",
            )

    async def _add_step(self, step: StepKey) -> str:
        node = await self._facts.step(step)
        self._found.add_node(node)
        return str(node["id"])

    def _add_dataset(self, row: Row) -> DatasetKey:
        self._found.add_node(_dataset_node(row))
        return key_of(row)

    async def _add_columns(
        self, step: StepKey, source: DatasetKey, edge: ColumnEdge, target: DatasetKey
    ) -> None:
        for row in await self._facts.linked(step, "in"):
            if key_of(row) == source:
                self._add_dataset(row)
        self._found.add_edge(
            {
                **_edge(source.id, target.id, step),
                "from_column": edge.source_column,
                "to_column": edge.column,
                "kind": edge.kind,
            }
        )


class _Facts:
    """What the view knows of steps and datasets, each asked for once."""

    def __init__(self, models: ReadModels) -> None:
        self._models = models
        self._links: dict[StepKey, Sequence[Row]] = {}
        self._columns: dict[StepKey, tuple[ColumnEdge, ...]] = {}

    async def maker(self, stop: Stop) -> tuple[StepKey, int] | None:
        """Who made a dataset, and at which position: in the same run, or last before."""
        place: dict[str, Value] = {"namespace": stop.key.namespace, "name": stop.key.name}
        rows: Sequence[Row] = ()
        if stop.run is not None:
            rows = await self._models.query("lineage.maker_in_run", {**place, "run": stop.run})
        if not rows:
            before = {**place, "before": stop.before}
            rows = await self._models.query("lineage.maker_before", before)
        for row in rows:
            return StepKey(str(row["run"]), str(row["step"])), int(row["position"] or 0)
        return None

    async def readers(self, key: DatasetKey) -> list[StepKey]:
        """Who read a dataset: of each step of each pipeline the newest time."""
        rows = await self._models.query(
            "lineage.readers",
            {"namespace": key.namespace, "name": key.name, "limit": consumers_max},
        )
        newest: dict[tuple[object, object], StepKey] = {}
        for row in rows:
            reader = StepKey(str(row["run"]), str(row["step"]))
            newest.setdefault((row["pipeline"], row["step"]), reader)
        return list(newest.values())

    async def linked(self, step: StepKey, direction: Literal["in", "out", "same"]) -> list[Row]:
        """The datasets on one side of a step, ours first."""
        if step not in self._links:
            rows = await self._models.query(
                "lineage.edges_of_step", {"run": step.run, "step": step.step}
            )
            self._links[step] = sorted(rows, key=lambda row: row["namespace"] != NAMESPACE)
        return [row for row in self._links[step] if row["direction"] == direction]

    async def columns(self, step: StepKey) -> tuple[ColumnEdge, ...]:
        """The column edges of a step; of one that was reused, those of the run it was done in."""
        if step not in self._columns:
            rows = await self._models.query("lineage.columns_of_step", step.arguments)
            edges = tuple(edge for row in rows for edge in _column_edges.decode(str(row["edges"])))
            origin = None if edges else (await self.step(step))["reused_from"]
            if origin is not None and origin != step.run:
                edges = await self.columns(StepKey(str(origin), step.step))
            self._columns[step] = edges
        return self._columns[step]

    async def source(self, step: StepKey, edge: ColumnEdge) -> DatasetKey | None:
        """The dataset that an edge comes from: the step's only input, or what the step that the
        edge names made or passed on in the same run."""
        inputs = await self.linked(step, "in")
        if len(inputs) == 1:
            return key_of(inputs[0])
        before = StepKey(step.run, edge.source)
        for row in (*await self.linked(before, "out"), *await self.linked(before, "same")):
            return key_of(row)
        outer = [key_of(row) for row in inputs if row["namespace"] != NAMESPACE]
        return outer[0] if len(outer) == 1 else None

    async def step(self, step: StepKey) -> Document:
        """The node of a step."""
        rows = await self._models.query("lineage.step", step.arguments)
        row: Row = rows[0] if rows else {}
        pipeline = row.get("pipeline") or step.run
        return {
            "id": f"{pipeline}/{step.step}",
            "kind": "step",
            "step_kind": row.get("kind"),
            "pipeline": row.get("pipeline"),
            "revision": row.get("revision"),
            "step": step.step,
            "run": step.run,
            "reused_from": row.get("reused_from"),
            "recorded_at": row.get("recorded_at"),
        }


_column_edges = msgspec.json.Decoder(tuple[ColumnEdge, ...])


def _next(stop: Stop, key: DatasetKey, column: str | None, run: str, before: int) -> Stop:
    return Stop(key, column, run, before, stop.depth - 1)


def _edge(source: str, target: str, step: StepKey) -> Document:
    return {
        "from": source,
        "to": target,
        "from_column": None,
        "to_column": None,
        "run": step.run,
        "step": step.step,
    }


def _dataset_node(row: Row) -> Document:
    key = key_of(row)
    return {
        "id": key.id,
        "kind": "dataset",
        "namespace": key.namespace,
        "name": key.name,
        "fingerprint": row["fingerprint"],
        "rows": row["rows"],
        "bytes": row["bytes"],
        "recorded_at": row["recorded_at"],
    }
