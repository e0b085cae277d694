"""Pipeline files on the command line."""

from pathlib import Path
from typing import Any

from anyio import to_thread

from domain.errors import Malformed, NotFound, Rejection
from runtime.project import Project
from runtime.session import Document, PipelineFile, Session
from runtime.settings import Sourced

SUFFIXES = (".yaml", ".yml", ".json", ".toml")


def is_file_name(text: str) -> bool:
    """Whether `text` means a file, and not the name of a pipeline."""
    return text.endswith(SUFFIXES) or "/" in text or Path(text).is_file()


def sendable(file: PipelineFile, project: Project) -> dict[str, Any]:
    """The payload with which a file of a project is registered."""
    return {
        "spec": dict(file.spec),
        "files": dict(file.files),
        "root": file.root,
        "project": project.owner,
        "env": project.env,
    }


async def read_file(path: Path, sourced: Sourced) -> PipelineFile:
    """A pipeline file, over the defaults of its project. Raises `Rejection` with every mistake,
    `Malformed` where there is no file."""
    from runtime.wiring.files import read_pipeline

    try:
        return await to_thread.run_sync(read_pipeline, path, sourced)
    except NotFound as error:
        raise Malformed(error.message, hint=error.hint) from error


async def register(
    session: Session, file: PipelineFile, project: Project, more: dict[str, Any]
) -> Document:
    """Send a file. Raises `Rejection`, whose problems say where in the file they stand."""
    try:
        return await session.command("pipeline.register", {**sendable(file, project), **more})
    except Rejection as rejection:
        raise file.placed(rejection) from rejection
