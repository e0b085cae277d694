"""A workbench of real adapters over one folder, and a pipeline that is walked step by step."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pyarrow.parquet as pq

from adapters.datasets.artifacts import FileArtifacts
from adapters.datasets.files import FileSources
from adapters.datasets.memory import SourceMemory
from adapters.datasets.targets import FileSinks
from adapters.engines.duckdb import DuckEngines
from adapters.engines.ledger.accountant import QueryAccountant
from adapters.engines.lineage.tracer import ColumnTracer
from adapters.engines.python import BundleFunctions
from adapters.pipelinefile.contracts import read_contract
from commands.steps.ports import Workbench
from commands.steps.task import carry_out
from commands.steps.work import StepInput, StepWork
from domain.data.dataset import DatasetVersion
from domain.data.rowmap import Origin
from domain.pipeline.spec import PipelineSpec, decode_spec
from domain.pipeline.steps import kind_of, needs_of
from domain.run.commands import Failed, Reused, StepResult, Succeeded
from domain.run.events import ParamValue, Redo, StepError, StepOutcome
from domain.run.origin import origin_after

RUN_TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Bench:
    """Everything in one folder: `project/` for the user's files, `data/` for ours."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.data = folder / "data"
        self.project.mkdir(exist_ok=True)
        room = self.data / "datasets" / "tmp" / "0"
        self.engines = DuckEngines(str(room), 2)
        self.artifacts = FileArtifacts(self.data / "datasets", self.data / "keys", room)

    def workbench(self, files: Mapping[str, str]) -> Workbench:
        """What steps work with."""
        root = str(self.project)
        return Workbench(
            engines=self.engines,
            artifacts=self.artifacts,
            sources=FileSources(self.engines, root, [root], SourceMemory(self.data / "sources")),
            sinks=FileSinks(root, [root]),
            functions=BundleFunctions(self.data / "bundles" / "b", files),
            tracer=ColumnTracer(),
            contracts=read_contract,
            accountant=QueryAccountant(),
            stopwatch=time.perf_counter,
        )

    def write(self, name: str, content: str | bytes) -> Path:
        """A file of the project."""
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def rows(self, version: DatasetVersion | None) -> list[dict[str, object]]:
        """The rows of a dataset version."""
        assert version is not None
        found: list[dict[str, object]] = pq.read_table(self.artifacts.path_of(version)).to_pylist()
        return found


class Walk:
    """One run of a pipeline, a step at a time, without the machinery that a run has."""

    def __init__(
        self,
        bench: Bench,
        spec: dict[str, object],
        *,
        params: dict[str, ParamValue] | None = None,
        files: Mapping[str, str] | None = None,
    ) -> None:
        self.bench = bench
        self.spec: PipelineSpec = decode_spec({"pipeline": "walk", **spec})
        self.params = params or {}
        self.files = files or {}
        self.run: UUID = uuid4()
        self.run_time = RUN_TIME
        self.fresh = False
        self.redo: Redo | None = None
        self.done: dict[str, DatasetVersion] = {}
        self.origins: dict[str, Origin | None] = {}
        self.workbench = bench.workbench(self.files)

    def step(self, id_: str) -> StepResult:
        """Carry out one step with what those before it made."""
        inputs = tuple(
            StepInput(step=source, version=self.done[source], origin=self.origins[source])
            for source in needs_of(self.spec.step(id_))
        )
        work = StepWork(
            run=self.run,
            step=id_,
            attempt=1,
            lease=1,
            pipeline=self.spec.pipeline,
            revision=1,
            bundle="b",
            root=str(self.bench.project),
            params=self.params,
            run_time=self.run_time,
            inputs=inputs,
            fresh=self.fresh,
            redo=self.redo if self.redo and self.redo.step == id_ else None,
        )
        result = carry_out(work, self.spec, self.files, self.workbench)
        if isinstance(result, Succeeded | Reused) and result.outcome.output is not None:
            self.done[id_] = result.outcome.output
            step = self.spec.step(id_)
            before = next((self.origins[one] for one in needs_of(step)), None)
            self.origins[id_] = origin_after(kind_of(step), before, result.outcome)
        return result

    def outcome(self, id_: str) -> StepOutcome:
        """The outcome of a step that must succeed."""
        result = self.step(id_)
        assert isinstance(result, Succeeded | Reused), result
        return result.outcome

    def error(self, id_: str) -> StepError:
        """The error of a step that must fail."""
        result = self.step(id_)
        assert isinstance(result, Failed), result
        return result.error

    def all(self) -> dict[str, StepOutcome]:
        """Every step in the order of the file, each of which must succeed."""
        return {step.id: self.outcome(step.id) for step in self.spec.steps}
