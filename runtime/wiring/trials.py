"""A pipeline's own tests, run in this process over a folder that is gone afterwards."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from adapters.datasets.artifacts import FileArtifacts
from adapters.datasets.files import FileSources
from adapters.datasets.memory import SourceMemory
from adapters.datasets.targets import FileSinks
from adapters.engines.binding.definition import bind
from adapters.engines.binding.schemas import step_columns
from adapters.engines.duckdb import DuckEngines
from adapters.engines.ledger.accountant import QueryAccountant
from adapters.engines.lineage.tracer import ColumnTracer
from adapters.engines.python import BundleFunctions
from adapters.pipelinefile.contracts import read_contract
from commands.ports import Bound
from commands.steps.case import Trial, try_case
from commands.steps.ports import Workbench
from domain.errors import Rejection
from domain.pipeline.spec import decode_spec
from runtime.session import Document, PipelineFile
from runtime.settings import Settings


def try_cases(file: PipelineFile, settings: Settings, only: str = "") -> list[Document]:
    """The verdict of each test of a file with `only` in its name. Raises `Rejection` where the
    file itself is wrong.

    What steps print goes to stderr: they run in this process, as under any test runner.
    """
    roots = (file.root, *settings.roots)
    try:
        bound = bind({**file.spec}, {**file.files}, file.root, roots, read_contract)
    except Rejection as rejection:
        raise file.placed(rejection) from rejection
    with _trial(bound, settings) as trial, redirect_stdout(sys.stderr):
        verdicts = [try_case(trial, case) for case in trial.spec.tests if only in case.name]
    return [msgspec.to_builtins(one) for one in verdicts]


@contextmanager
def _trial(bound: Bound, settings: Settings) -> Iterator[Trial]:
    definition = bound.definition
    spec = decode_spec(bytes(definition.spec))
    steps = [spec.step(planned.id) for planned in bound.plan]
    with TemporaryDirectory(prefix="headwater-test-") as name:
        folder = Path(name)
        room = folder / "datasets" / "tmp"
        engines = DuckEngines(str(room), os.cpu_count() or 1)
        try:
            yield Trial(
                spec=spec,
                steps=steps,
                files=definition.files,
                columns=step_columns(spec, steps, definition.files),
                root=definition.root,
                bench=Workbench(
                    engines=engines,
                    artifacts=FileArtifacts(folder / "datasets", folder / "keys", room),
                    sources=FileSources(engines, name, (name,), SourceMemory(folder / "sources")),
                    sinks=FileSinks(name, (name,)),
                    functions=BundleFunctions(folder / "bundle", definition.files, definition.root),
                    tracer=ColumnTracer(),
                    accountant=QueryAccountant(),
                    contracts=read_contract,
                    stopwatch=time.perf_counter,
                    timezone=settings.timezone,
                ),
            )
        finally:
            engines.close()
