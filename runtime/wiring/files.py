"""What can be said of files without a service."""

from pathlib import Path
from typing import Any

from anyio import to_thread

from domain.data.dataset import DatasetVersion
from domain.errors import Malformed, Rejection
from runtime.session import Document, PipelineFile, Rows
from runtime.settings import Settings, Sourced


def read_pipeline(path: Path, sourced: Sourced) -> PipelineFile:
    """A pipeline file, over its project's defaults, and what it names. Raises `Rejection` with code
    `invalid_pipeline`; its problems have a `place` such as `flights.yaml:14 steps.flown.rules[1]`.
    """
    from adapters.pipelinefile.reading import read_pipeline as read  # not for --help

    roots = (*sourced.settings.roots, str(sourced.project.home))
    return read(path, roots, sourced.project.defaults)


async def bind_locally(file: PipelineFile, settings: Settings) -> Document:
    """Check a file against its data in this process: `{"pipeline", "steps", "warnings"}`.

    Raises like `read_pipeline`.
    """
    from adapters.engines.binding.definition import bind  # the engine is slow to import
    from adapters.pipelinefile.contracts import read_contract

    roots = (file.root, *settings.roots)
    try:
        bound = await to_thread.run_sync(
            bind, {**file.spec}, {**file.files}, file.root, roots, read_contract
        )
    except Rejection as rejection:
        raise file.placed(rejection) from rejection
    return {
        "pipeline": file.pipeline,
        "steps": [{"id": step.id, "kind": step.kind, "inputs": step.inputs} for step in bound.plan],
        "warnings": list(bound.warnings),
    }


def read_rows(path: Path, sql: str, limit: int) -> Rows:
    """At most `limit` rows of a Parquet file (`sql` sees it as `data`), with everything else on
    this machine out of reach. Raises `Malformed` for SQL that fails."""
    from adapters.engines.preview import read_preview  # the engine is slow to import

    found = read_preview(path, sql, limit)
    return Rows(columns=found.columns, types=found.types, rows=found.rows, more=found.more)


def hold_content(path: Path, version: DatasetVersion) -> None:
    """Raise `Malformed` where a dataset's file is not what was recorded of it."""
    from adapters.datasets.artifacts import is_as_made  # Parquet is slow to import

    if not is_as_made(path, version):
        raise Malformed(
            f"the rows of {version.dataset} are damaged: {path} is not what was written there",
            hint="make them again: headwater run FILE --fresh STEP",
        )


def nats_server(settings: Settings) -> str:
    """The nats-server that would be run. Raises `Unavailable`."""
    from adapters.jetstream.server import find_binary

    return find_binary(settings.nats_server or None)


def pipeline_schema() -> dict[str, Any]:
    """The JSON Schema of pipeline files."""
    from adapters.pipelinefile.schema import json_schema  # not for --help

    return json_schema()
