"""Files outside as destinations: a whole new content, or the old one.

    out/flights.parquet                          the destination
    out/.flights.parquet.headwater.json          its mark: who wrote what it holds, under which key
    out/.flights.parquet.<hex>.headwater-draft   being written, locked by its writer

A destination is replaced by a rename, under a lock on its folder. Drafts whose writer is gone are
found by their free lock, and removed.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import msgspec
from msgspec.structs import replace

from adapters.datasets.files import inside
from adapters.disk import hash_and_sync, io_translated, sync, write_new
from commands.steps.ports import Draft, Mark, Sinks, broken
from domain.data.dataset import OuterDataset

_DRAFT = ".headwater-draft"


class FileSinks(Sinks):
    """Writes files below the allowed folders."""

    def __init__(self, root: str, roots: Sequence[str]) -> None:
        self._root = root
        self._roots = roots

    def seen(self, path: str) -> tuple[OuterDataset, Mark | None]:
        target = Path(inside(path, self._root, self._roots))
        mark = _mark(target)
        is_whole = mark is not None and target.is_file() and _is_as_marked(target, mark)
        return OuterDataset(namespace="file", name=str(target)), mark if is_whole else None

    @contextmanager
    def draft(self, path: str) -> Iterator[Draft]:
        target = Path(inside(path, self._root, self._roots))
        with io_translated(str(target)):
            if target.exists() and not target.is_file():
                what = "a folder" if target.is_dir() else "no regular file"
                raise broken("io_error", f"the destination is {what}", where=str(target))
            target.parent.mkdir(parents=True, exist_ok=True)
            _sweep(target)
            draft = FileDraft(target)
        try:
            yield draft
        finally:
            draft.close()


class FileDraft(Draft):
    """The next content of one file."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._draft, self._descriptor = _begin(target)
        self._published = OuterDataset(namespace="file", name=str(target))

    @property
    def path(self) -> str:
        return str(self._draft)

    @property
    def destination(self) -> OuterDataset:
        return self._published

    def unchanged(self, key: str, run_time: datetime) -> Mark | None:
        mark = _mark(self._target)
        if mark is None or mark.key != key:
            return None
        with io_translated(str(self._target)), _locked(self._target.parent):
            mark = _mark(self._target)
            if mark is None or mark.key != key or not _is_as_marked(self._target, mark):
                return None
            if run_time > _stands_for(mark):
                mark = replace(mark, confirmed=run_time)
                _put_mark(self._target, mark)
                sync(self._target.parent)
        self._name(mark)
        return mark

    def publish(self, mark: Mark) -> Mark:
        with io_translated(str(self._target)):
            fingerprint, size = hash_and_sync(str(self._draft))
            mark = replace(mark, fingerprint=fingerprint, bytes=size)
            with _locked(self._target.parent):
                _refuse_newer(self._target, mark)
                os.replace(self._draft, self._target)
                _put_mark(self._target, mark)
                sync(self._target.parent)
        self._name(mark)
        return mark

    def close(self) -> None:
        """Remove what was not published."""
        with suppress(FileNotFoundError):
            os.unlink(self._draft)
        os.close(self._descriptor)

    def _name(self, mark: Mark) -> None:
        self._published = replace(self._published, fingerprint=mark.fingerprint, bytes=mark.bytes)


def _begin(target: Path) -> tuple[Path, int]:
    """A new draft, locked by us; made again where a sweep was quicker than the lock."""
    while True:
        draft = target.with_name(f".{target.name}.{uuid4().hex}{_DRAFT}")
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if draft.exists():
            return draft, descriptor
        os.close(descriptor)


def _mark_path(target: Path) -> Path:
    return target.with_name(f".{target.name}.headwater.json")


def _mark(target: Path) -> Mark | None:
    try:
        return msgspec.json.decode(_mark_path(target).read_bytes(), type=Mark)
    except (OSError, msgspec.DecodeError):
        return None


def _put_mark(target: Path, mark: Mark) -> None:
    # Under the folder's lock nobody else writes this file; one that is there was left by a crash.
    temporary = target.with_name(f".{target.name}.headwater.json.new")
    temporary.unlink(missing_ok=True)
    write_new(temporary, msgspec.json.encode(mark), synced=True)
    os.replace(temporary, _mark_path(target))


def _is_as_marked(target: Path, mark: Mark) -> bool:
    try:
        return hash_and_sync(str(target)) == (mark.fingerprint, mark.bytes)
    except OSError:
        return False


def _stands_for(mark: Mark) -> datetime:
    """When the latest run began whose rows these are."""
    return max(mark.run_time, mark.confirmed or mark.run_time)


def _refuse_newer(target: Path, mark: Mark) -> None:
    there = _mark(target)
    if there is None or there.run == mark.run or _stands_for(there) <= mark.run_time:
        return
    whole = target.is_file() and target.stat().st_size == there.bytes
    hint = (
        "nothing to do: the destination holds the newer rows"
        if whole
        else f"its rows are gone or changed since: run anew, or remove {_mark_path(target)}"
    )
    raise broken(
        "newer_content",
        f"run {there.run}, which began later ({_stands_for(there)}), has written to it already",
        where=str(target),
        hint=hint,
    )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sweep(target: Path) -> None:
    """Remove drafts for this destination that nobody is writing any more."""
    for entry in os.scandir(target.parent):
        if not (entry.name.startswith(f".{target.name}.") and entry.name.endswith(_DRAFT)):
            continue
        with suppress(OSError):
            descriptor = os.open(entry.path, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(entry.path)
            finally:
                os.close(descriptor)
