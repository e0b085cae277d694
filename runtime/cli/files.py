"""Pipeline files on the command line."""

from pathlib import Path
from typing import Any

from runtime.session import PipelineFile

SUFFIXES = (".yaml", ".yml", ".json", ".toml")


def is_file_name(text: str) -> bool:
    """Whether `text` means a file, and not the name of a pipeline."""
    return text.endswith(SUFFIXES) or "/" in text or Path(text).is_file()


def sendable(file: PipelineFile) -> dict[str, Any]:
    """The payload with which a file is registered."""
    return {"spec": file.spec, "files": dict(file.files), "root": file.root}
