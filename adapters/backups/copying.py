"""Copies of files that are on the disk when a function returns, with their hash."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, ENOSPC
from pathlib import Path

from domain.errors import StorageFull, Unavailable

_BLOCK_BYTES = 1 << 20


def copied(source: Path, target: Path) -> tuple[str, int]:
    """SHA-256 and size of a new file with the content of `source`. Raises `OSError`."""
    digest = hashlib.sha256()
    size = 0
    with source.open("rb") as reading, target.open("xb") as writing:
        while block := reading.read(_BLOCK_BYTES):
            digest.update(block)
            writing.write(block)
            size += len(block)
        writing.flush()
        os.fsync(writing.fileno())
    return digest.hexdigest(), size


@contextmanager
def translated(place: Path) -> Iterator[None]:
    """Raise what the file system says in our words."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in (ENOSPC, EDQUOT):
            raise StorageFull(f"no space left for {place}", hint="free some space") from error
        raise Unavailable(f"{error.filename or place} cannot be used: {reason}") from error
