"""The composition root: the one place that names technologies and puts the parts together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from domain.errors import Unavailable
from runtime.datadir import DataDir, Held
from runtime.session import Document, PipelineFile, Rows, Service, Session
from runtime.settings import Settings


@asynccontextmanager
async def open_service(settings: Settings, held: Held) -> AsyncIterator[Service]:
    """Everything in this process, ready; drained and stopped at the end of the block."""
    raise Unavailable("not wired yet")
    yield


@asynccontextmanager
async def open_offline(settings: Settings, held: Held) -> AsyncIterator[Session]:
    """Straight on the files of a data directory that this process holds, views caught up."""
    raise Unavailable("not wired yet")
    yield


@asynccontextmanager
async def connect_client(settings: Settings, datadir: DataDir) -> AsyncIterator[Session]:
    """Over NATS to the service that holds the data directory, or to `settings.nats`."""
    raise Unavailable("not wired yet")
    yield


def read_pipeline(path: Path, settings: Settings) -> PipelineFile:
    """A pipeline file and what it names. Raises `Rejection` with code `invalid_pipeline`, whose
    problems have a `place` such as `flights.yaml:14 steps.flown.rules[1]`."""
    raise Unavailable("not wired yet")


async def bind_locally(file: PipelineFile, settings: Settings) -> Document:
    """Check a file against its data in this process: `{"pipeline", "steps", "warnings"}`.

    Raises like `read_pipeline`.
    """
    raise Unavailable("not wired yet")


def read_rows(path: Path, sql: str, limit: int) -> Rows:
    """At most `limit` rows of a Parquet file (`sql` sees it as `data`), with everything else on
    this machine out of reach. Raises `Malformed` for SQL that fails."""
    raise Unavailable("not wired yet")


def pipeline_schema() -> dict[str, Any]:
    """The JSON Schema of pipeline files."""
    raise Unavailable("not wired yet")
