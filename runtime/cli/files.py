"""Pipeline files on the command line."""

from pathlib import Path
from typing import Any

from anyio import to_thread

from domain.errors import Malformed, NotFound, Rejection
from runtime.session import Document, PipelineFile, Session
from runtime.settings import Settings

SUFFIXES = (".yaml", ".yml", ".json", ".toml")


def is_file_name(text: str) -> bool:
    """Whether `text` means a file, and not the name of a pipeline."""
    return text.endswith(SUFFIXES) or "/" in text or Path(text).is_file()


def sendable(file: PipelineFile) -> dict[str, Any]:
    """The payload with which a file is registered."""
    return {"spec": dict(file.spec), "files": dict(file.files), "root": file.root}


async def read_file(path: Path, settings: Settings) -> PipelineFile:
    """A pipeline file. Raises `Rejection` with every mistake, `Malformed` where there is none."""
    from runtime.wiring.files import read_pipeline

    try:
        return await to_thread.run_sync(read_pipeline, path, settings)
    except NotFound as error:
        raise Malformed(error.message, hint=error.hint) from error


async def register(
    session: Session, file: PipelineFile, more: dict[str, Any] | None = None
) -> Document:
    """Send a file. Raises `Rejection`, whose problems say where in the file they stand."""
    try:
        return await session.command("pipeline.register", {**sendable(file), **(more or {})})
    except Rejection as rejection:
        raise file.placed(rejection) from rejection
