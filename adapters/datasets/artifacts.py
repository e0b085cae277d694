"""Datasets as Parquet files under their content's hash, and outcomes of steps under their keys.

    datasets/<2 hex>/<sha256>.parquet     written once, never changed
    datasets/tmp/<pid>/…                  being written by one process; nobody else looks at it
    keys/<fingerprint>.json               the whole outcome of a step, created once, never replaced

Data is synced, file and folder, before a key names it or a report does. Keys are not: one that a
power cut takes, or leaves without its content, costs the work that it would have saved.
"""

import os
import time
from contextlib import suppress
from errno import EMLINK, ENOSYS, ENOTSUP, EPERM, EXDEV
from pathlib import Path
from typing import TypeVar
from uuid import UUID, uuid4

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from adapters.disk import hash_of, io_translated, read_whole, sync, write_new
from commands.steps.ports import Artifacts, Kept, Written, broken
from domain.data.dataset import DatasetVersion

hashed_bytes_max = 256 * 1024 * 1024
"""A dataset up to this size is hashed before a process uses it for the first time, or shows its
rows: that takes 0.2 s. Larger ones are held by their size and their footer."""

_compared_bytes_max = 1024 * 1024
"""A dataset up to this size is not written again where it is there already: to see that its bytes
are the same costs less than to sync them."""

_NO_LINKS = frozenset((EPERM, ENOTSUP, ENOSYS, EXDEV, EMLINK))
"""What file systems say that have no hard links, or not here."""

_looked_at_max = 1_024
"""Datasets of which it is remembered how their files were left."""

Mark = tuple[int, int, int]
"""A file: where it is, how large it is and when it was written."""

T = TypeVar("T")


class FileArtifacts(Artifacts):
    """The artifact store in the data directory."""

    def __init__(self, datasets: Path, keys: Path, scratch: Path) -> None:
        self._datasets = datasets
        self._keys = keys
        self._scratch = scratch
        self._lent: set[Path] = set()
        self._has_room = False
        self._looked_at: dict[str, tuple[Mark, int]] = {}
        """A dataset's fingerprint → its file as it was found whole, and how many rows it has."""
        self._on_disk: dict[str, Mark] = {}
        """A dataset's fingerprint → its file as this process put it on the disk. Nobody has touched
        one that is still like that."""

    def path_of(self, version: DatasetVersion) -> str:
        path = self.place(version.fingerprint)
        if not self._is_whole(path, version):
            raise broken(
                "dataset_missing",
                f"the data of {version.dataset} is not there any more, or is damaged: {path}",
                hint="run the step that makes it again: headwater retry RUN --from STEP",
            )
        return str(path)

    def lend(self, version: DatasetVersion) -> str:
        place, lent = self.path_of(version), self._scratch / f"{version.fingerprint}.parquet"
        with io_translated(str(lent)):
            self._make_room()
            if lent not in self._lent:
                try:
                    os.link(place, lent)
                except FileExistsError:
                    os.unlink(lent)
                    os.link(place, lent)
                except OSError as error:
                    if error.errno not in _NO_LINKS:
                        raise
                    # The file can be taken away then, as long as the step has not opened it.
                    return place
                self._lent.add(lent)
        return str(lent)

    def reclaim(self) -> None:
        while self._lent:
            self.discard(str(self._lent.pop()))

    def scratch(self) -> str:
        with io_translated(str(self._scratch)):
            self._make_room()
        return str(self._scratch / f"{uuid4().hex}.parquet")

    def admit(self, scratch: str) -> Written:
        with io_translated(scratch):
            fingerprint, size = hash_of(scratch)
            known = self._looked_at.get(fingerprint)
            rows = known[1] if known else rows_in(scratch)
        mark = self.hold(scratch, fingerprint, size)
        _keep_last(self._looked_at, fingerprint, (mark, rows))
        return Written(fingerprint=fingerprint, rows=rows, bytes=size)

    def hold(self, scratch: str, fingerprint: str, size: int) -> Mark:
        """Move a file whose hash is known; synced on return, and as it is then."""
        place = self.place(fingerprint)
        with io_translated(scratch):
            _use(place)
            mark = self._on_disk.get(fingerprint)
            if mark is not None and mark == _mark_if_there(place):
                os.unlink(scratch)
            else:
                if size <= _compared_bytes_max and _holds(place, fingerprint):
                    os.unlink(scratch)
                else:
                    self._move(scratch, place)
                sync(place.parent)
                mark = _mark(place)
                _keep_last(self._on_disk, fingerprint, mark)
        return mark

    def discard(self, scratch: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(scratch)

    def find(self, key: str, of: UUID | None = None) -> Kept | None:
        path = self._keys / f"{key}.json"
        kept = _read(path)
        if kept is None or (of is not None and kept.run != of):
            return None
        _touch(path)
        for version in kept.outcome.made:
            if not self._is_whole(self.place(version.fingerprint), version):
                return None
        return kept

    def keep(self, key: str, kept: Kept, *, anew: bool = False) -> Kept:
        path = self._keys / f"{key}.json"
        temporary = self._keys / f".{key}.{uuid4().hex}"
        content = msgspec.json.encode(kept)
        with io_translated(str(path)):
            try:
                self._write_key(temporary, content)
                if anew and (first := _read(path)) and not _is_same_step(first, kept):
                    self.discard(str(path))
                first = self._link(temporary, path, key)
                if first is not None and anew and not _is_same_step(first, kept):
                    os.replace(temporary, path)
                    first = None
            finally:
                self.discard(str(temporary))
        return first or kept

    def _write_key(self, temporary: Path, content: bytes) -> None:
        try:
            write_new(temporary, content, synced=False)
        except FileNotFoundError:  # the first one of all
            self._keys.mkdir(parents=True, exist_ok=True)
            write_new(temporary, content, synced=False)

    def _move(self, scratch: str, place: Path) -> None:
        sync(scratch)
        if not place.parent.is_dir():
            place.parent.mkdir(parents=True, exist_ok=True)
            sync(self._datasets)
        os.replace(scratch, place)  # the same bytes, or what should have been there
        _use(place)

    def _link(self, temporary: Path, path: Path, key: str) -> Kept | None:
        """Name the outcome; returns the one that was named before."""
        try:
            os.link(temporary, path)
        except FileExistsError:
            if (first := self.find(key)) is not None:
                return first
            os.replace(temporary, path)
        return None

    def _is_whole(self, path: Path, version: DatasetVersion) -> bool:
        """Whether a dataset that is used from now on is as recorded: that is looked at once, and
        again where the file was written since."""
        _use(path)
        mark = _mark_if_there(path)
        if mark is None:
            return False
        found = mark, version.rows
        if self._looked_at.get(version.fingerprint) == found:
            return True
        if not is_as_made(path, version):
            return False
        _keep_last(self._looked_at, version.fingerprint, found)
        return True

    def _make_room(self) -> None:
        if not self._has_room:
            self._scratch.mkdir(parents=True, exist_ok=True)
            self._has_room = True

    def place(self, fingerprint: str) -> Path:
        """Where a dataset lies, if it is there."""
        return self._datasets / f"{fingerprint[:2]}/{fingerprint}.parquet"


def _keep_last(known: dict[str, T], fingerprint: str, found: T) -> None:
    known[fingerprint] = found
    if len(known) > _looked_at_max:
        del known[next(iter(known))]


def _read(path: Path) -> Kept | None:
    try:
        return msgspec.json.decode(read_whole(path), type=Kept)
    except (OSError, msgspec.DecodeError):
        return None


def _is_same_step(one: Kept, other: Kept) -> bool:
    return (one.run, one.step) == (other.run, other.step)


def _touch(path: Path) -> None:
    """Say that a key was used, before anybody looks at it: it is not dropped behind that."""
    with suppress(OSError):
        os.utime(path)


def _use(path: Path) -> None:
    """The same of a dataset. The time when it was written stays: it tells whether it was since."""
    with suppress(OSError):
        found = os.stat(path)
        used = max(time.time_ns(), found.st_atime_ns)
        try:
            os.utime(path, ns=(used, found.st_mtime_ns))
        except PermissionError:  # somebody else's: as if it was written, so it is hashed once more
            os.utime(path)


def _mark(path: Path) -> Mark:
    found = os.stat(path)
    return found.st_ino, found.st_size, found.st_mtime_ns


def _mark_if_there(path: Path) -> Mark | None:
    with suppress(OSError):
        return _mark(path)
    return None


def _is_whole(path: Path, version: DatasetVersion) -> bool:
    """Size and footer as recorded."""
    try:
        return path.stat().st_size == version.bytes and rows_in(str(path)) == version.rows
    except (OSError, pa.ArrowInvalid):
        return False


def is_as_made(path: Path, version: DatasetVersion, hashed_max: int = hashed_bytes_max) -> bool:
    """Whether a file is what was recorded of it: its size, its rows and, up to `hashed_max` bytes,
    the hash of all of it."""
    if not _is_whole(path, version):
        return False
    if version.bytes > hashed_max:
        return True
    return _holds(path, version.fingerprint)


def _holds(path: Path, fingerprint: str) -> bool:
    try:
        return hash_of(path)[0] == fingerprint
    except OSError:
        return False


def rows_in(path: str) -> int:
    """The number of rows that a Parquet file's footer tells."""
    with pa.OSFile(path, "rb") as file:
        return int(pq.read_metadata(file).num_rows)
