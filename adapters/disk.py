"""Bytes that are on the disk when a function returns, and what the disk says when it cannot."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, ENOSPC
from pathlib import Path

from commands.steps.ports import broken

_READ_BYTES = 1 << 17


def hash_of(path: str | Path) -> tuple[str, int]:
    """SHA-256 and size of a file."""
    digest = hashlib.sha256()
    size = 0
    descriptor = os.open(path, os.O_RDONLY)
    try:
        while block := os.read(descriptor, _READ_BYTES):
            digest.update(block)
            size += len(block)
    finally:
        os.close(descriptor)
    return digest.hexdigest(), size


def hash_and_sync(path: str) -> tuple[str, int]:
    """SHA-256 and size of a file that is on the disk when this returns."""
    found = hash_of(path)
    sync(path)
    return found


def read_whole(path: str | Path) -> bytes:
    """A small file's content: a file object asks the system three times as often."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        content = os.read(descriptor, _READ_BYTES)
        while block := os.read(descriptor, _READ_BYTES):
            content += block
    finally:
        os.close(descriptor)
    return content


def write_new(path: str | Path, content: bytes | memoryview, *, synced: bool) -> None:
    """Make a new file; its content is on the disk when this returns if it is to be `synced`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        if synced:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync(path: str | Path) -> None:
    """Put a file's content, or a folder's entries, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def io_translated(where: str) -> Iterator[None]:
    """Raise what the file system says as `StepBroken`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in (ENOSPC, EDQUOT):
            raise broken(
                "storage_full",
                f"the disk is full: {reason}",
                where=where,
                hint="make room on the disk, or move the data directory",
                retryable=True,
            ) from error
        raise broken("io_error", reason, where=where, retryable=True) from error
