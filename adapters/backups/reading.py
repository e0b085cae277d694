"""A backup that is put back: nothing of it is believed before its bytes were counted and hashed."""

from pathlib import Path

from adapters.backups.copying import copied, translated
from domain.backup import MANIFEST, Manifest, manifest_bytes_max, read_manifest
from domain.errors import Malformed, NotFound


def manifest_in(folder: Path, version: str) -> Manifest:
    """What the backup says of itself to Headwater `version`. Raises `NotFound`, `Malformed`,
    `Unavailable`."""
    file = folder / MANIFEST
    with translated(file):
        if not file.is_file():
            raise NotFound(
                f"{folder} is no backup: there is no {MANIFEST} in it",
                hint="name a folder that `headwater backup` has made",
            )
        if file.stat().st_size > manifest_bytes_max:
            raise Malformed(f"{file} is above the limit of {manifest_bytes_max} bytes")
        return read_manifest(file.read_bytes(), version)


def unpack(folder: Path, manifest: Manifest, into: Path) -> None:
    """Copy all files of a backup into an empty folder, on the disk when this returns.

    Raises `Malformed` where a file is missing or is not what was backed up, `Unavailable`,
    `StorageFull`.
    """
    for file in manifest.files:
        target = into / file.path
        with translated(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                sha256, size = copied(folder / file.path, target)
            except FileNotFoundError as error:
                raise Malformed(f"{folder / file.path} is missing", hint=_TAKE_ANOTHER) from error
        if (sha256, size) != (file.sha256, file.bytes):
            told = f"has {size:,} bytes of {file.bytes:,}" if size != file.bytes else "was altered"
            raise Malformed(f"{folder / file.path} {told}", hint=_TAKE_ANOTHER)


_TAKE_ANOTHER = "this backup cannot be put back; nothing was changed: take another one"
