"""A backup that is being made: under another name until all of it is on the disk."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from adapters.backups.copying import copied, translated
from adapters.disk import hash_and_sync, sync, write_new
from domain.backup import MANIFEST, KeptFile, Manifest
from domain.errors import Malformed


class Making:
    """Files of a backup to be. Every method blocks, and raises `Unavailable`, `StorageFull`."""

    def __init__(self, folder: Path, target: Path) -> None:
        self.folder = folder
        self._target = target
        self.files: list[KeptFile] = []
        """All that was added."""

    def add(self, path: str) -> None:
        """Take in a file that somebody has written into `folder`."""
        with translated(self._target):
            sha256, size = hash_and_sync(str(self.folder / path))
        self.files.append(KeptFile(path=path, bytes=size, sha256=sha256))

    def copy(self, root: Path, path: str) -> bool:
        """Take in a copy of a file of `root`; False where it has gone meanwhile."""
        with translated(self._target):
            place = self.folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                sha256, size = copied(root / path, place)
            except FileNotFoundError:
                return False
        self.files.append(KeptFile(path=path, bytes=size, sha256=sha256))
        return True

    def finish(self, manifest: Manifest) -> None:
        """Put it in its place, whole: nothing is there before, and all of it after."""
        content = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
        with translated(self._target):
            write_new(self.folder / MANIFEST, content + b"\n", synced=True)
            for folder, _, _ in os.walk(self.folder):
                sync(Path(folder))
            self.folder.rename(self._target)
            sync(self._target.parent)


@contextmanager
def making(target: Path) -> Iterator[Making]:
    """A backup that will stand at `target`, where nothing may be; gone if it is not finished.

    Raises `Malformed` where something is there, `Unavailable`, `StorageFull`.
    """
    with translated(target):
        if os.path.lexists(target) and not _is_empty_folder(target):
            raise Malformed(
                f"{target} is there already", hint="a backup is a new folder: name another one"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        name = tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent)
    try:
        yield Making(Path(name), target)
    finally:
        shutil.rmtree(name, ignore_errors=True)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and not any(path.iterdir())
