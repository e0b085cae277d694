"""What files outside were found to hold, so that an unchanged one is not read again to know it.

    sources/<sha256 of the path>.json     the file's identity, and the hash of its bytes

A file is taken for the one that was read if its path, inode, size and times are the same, and these
times lay far enough back when it was read: a change so close behind a look that the clock of the
file system cannot tell them apart would go unseen. Losing what is remembered costs a read.
"""

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import msgspec
from msgspec import Struct

from adapters.disk import read_whole
from domain.data.dataset import OuterDataset

remembered_max = 10_000
"""Files that are remembered; beyond it, those looked at longest ago are forgotten."""

_settled_ns = 2_000_000_000
"""The coarsest clock that a file system in use has, in nanoseconds."""

_READ_BYTES = 1 << 20


class Identity(Struct, frozen=True):
    """What tells that a file is still the one that it was."""

    inode: int
    size: int
    modified_ns: int
    changed_ns: int
    """Of the file's entry: it moves, too, where somebody sets the time of modification back."""


class _Remembered(Struct, frozen=True, kw_only=True):
    path: str
    identity: Identity
    fingerprint: str
    is_settled: bool


class SourceMemory:
    """The hashes of files by what their folder says of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def known(self, path: str) -> OuterDataset | None:
        """What the file holds, if that is known, or if it is one of the same size as before and
        can be hashed while it does not change."""
        before = self._read(path)
        identity = identity_of(path)
        if before is None or identity is None or before.identity.size != identity.size:
            return None
        if before.identity == identity and before.is_settled:
            return _outer(path, before.fingerprint, identity)
        fingerprint = _hash(path)
        if fingerprint is None or identity_of(path) != identity:
            return None
        self.remember(path, identity, fingerprint)
        return _outer(path, fingerprint, identity)

    def remember(self, path: str, identity: Identity, fingerprint: str) -> None:
        """Keep a hash that was taken while the file had this identity."""
        newest = max(identity.modified_ns, identity.changed_ns)
        place = self._place(path)
        temporary = place.with_name(f".{place.name}.{uuid4().hex}")
        entry = _Remembered(
            path=path,
            identity=identity,
            fingerprint=fingerprint,
            is_settled=newest + _settled_ns < time.time_ns(),
        )
        if entry == self._read(path):
            return
        # It is a convenience: where it cannot be written, the file is read the next time.
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            is_new = not place.exists()
            temporary.write_bytes(msgspec.json.encode(entry))
            os.replace(temporary, place)
            if is_new:
                self._forget()

    def _read(self, path: str) -> _Remembered | None:
        try:
            found = msgspec.json.decode(read_whole(self._place(path)), type=_Remembered)
        except (OSError, msgspec.DecodeError):
            return None
        return found if found.path == path else None

    def _place(self, path: str) -> Path:
        return self._folder / f"{hashlib.sha256(os.fsencode(path)).hexdigest()}.json"

    def _forget(self) -> None:
        entries = list(os.scandir(self._folder))
        beyond = len(entries) - remembered_max
        if beyond > 0:
            for entry in sorted(entries, key=lambda one: one.stat().st_mtime_ns)[:beyond]:
                os.unlink(entry)


def identity_of(path: str) -> Identity | None:
    """None for a file that is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return Identity(found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _hash(path: str) -> str | None:
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(_READ_BYTES):
                digest.update(block)
    except OSError:
        return None
    return digest.hexdigest()


def _outer(path: str, fingerprint: str, identity: Identity) -> OuterDataset:
    return OuterDataset(namespace="file", name=path, fingerprint=fingerprint, bytes=identity.size)
