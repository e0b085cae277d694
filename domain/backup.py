"""What a backup says of itself, and when it may be put back."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.chain import Head, parse_head
from domain.errors import Malformed
from domain.ids import Position

form = 1
"""The form of the manifest that this code writes."""

manifest_bytes_max = 256 * 1024 * 1024
"""A manifest of a million datasets is about 150 MB."""

MANIFEST = "manifest.json"

EVENTS = "events.db"

SEGMENTS = "segments"

FOLDERS = frozenset({"datasets", "keys", SEGMENTS})
"""Folders of a data directory whose files a backup may hold beside the events."""


class KeptFile(Struct, frozen=True, kw_only=True):
    """A file of a backup, which has the same place in the data directory."""

    path: str
    """Relative, with slashes."""
    bytes: int
    sha256: str


class Manifest(Struct, frozen=True, kw_only=True):
    """What a backup holds, and of which moment."""

    format: int
    headwater: str
    """The version that made it."""
    made_at: datetime
    store_id: UUID
    position: Position
    """Of the newest event in it."""
    events: int
    head: str
    """The last link of the chain and its position."""
    files: tuple[KeptFile, ...]

    @property
    def bytes(self) -> int:
        """All files together."""
        return sum(file.bytes for file in self.files)

    @property
    def last(self) -> Head:
        """The head, read. Raises `Malformed`."""
        return parse_head(self.head)


class _Form(Struct):
    format: int


_decoder = msgspec.json.Decoder(Manifest)


def read_manifest(content: bytes, version: str) -> Manifest:
    """A manifest that Headwater `version` may put back. Raises `Malformed`."""
    try:
        found = msgspec.json.decode(content, type=_Form).format
        if found > form:
            raise Malformed(
                f"the backup has form {found}, this Headwater knows {form}", hint=_NEWER
            )
        manifest = _decoder.decode(content)
        manifest.last  # noqa: B018  # raises
    except msgspec.MsgspecError as error:
        raise Malformed(f"{MANIFEST} cannot be read: {error}", hint=_ALTERED) from error
    if _number(manifest.headwater) > _number(version):
        raise Malformed(
            f"the backup was made by Headwater {manifest.headwater}, this is {version}", hint=_NEWER
        )
    check_paths(file.path for file in manifest.files)
    return manifest


def check_paths(paths: Iterable[str]) -> None:
    """Raise `Malformed` where a file is none that a backup may hold, or the events are missing."""
    seen: set[str] = set()
    for path in paths:
        parts = path.split("/")
        is_known = path == EVENTS or (len(parts) > 1 and parts[0] in FOLDERS)
        if not is_known or path in seen or not {"", ".", ".."}.isdisjoint(parts):
            raise Malformed(f"{path!r} is no file of a backup", hint=_ALTERED)
        seen.add(path)
    if EVENTS not in seen:
        raise Malformed(f"the backup has no {EVENTS}", hint=_ALTERED)


def _number(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, to be compared."""
    numbers: list[int] = []
    for part in version.split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


_NEWER = "update Headwater"
_ALTERED = "the backup was altered or is not whole: take another one"
