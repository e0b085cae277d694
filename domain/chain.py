"""A hash chain over stored events.

    start ──► link 1 ──► link 2 ──► …      link n = SHA-256(link n-1, all that is stored of n)
                ▲          ▲
             event 1    event 2

A link speaks for its event and, by the link before it, for everything before. So one link that is
kept elsewhere proves that nothing up to its position has changed since.
"""

import struct
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Literal
from uuid import UUID

from msgspec import Struct

from domain.errors import Malformed
from domain.ids import Position, Version

Link = bytes
"""The 32 bytes of a SHA-256."""

link_bytes = 32

StoredRow = tuple[Position, str, Version, str, bytes]
"""Position, stream's id in hexadecimal, version, tag and state: all that is stored of an event.
Texts that are no UTF-8 any more are decoded with `surrogateescape`."""

search_bytes_max = 300_000_000
"""Bytes to be hashed in search of the one that was altered: less than a second."""

_numbers = struct.Struct(">IIqq")
_lengths = struct.Struct(">II")
_BITS = [1 << bit for bit in range(8)]
_BYTES = range(1, 256)


class Head(Struct, frozen=True):
    """A link and the position that it stands at, written `LINK@POSITION`."""

    link: Link
    position: Position

    def __str__(self) -> str:
        return f"{self.link.hex()}@{self.position}"


def parse_head(text: str) -> Head:
    """Read what `str` of a head gives. Raises `Malformed`."""
    link, at, position = text.strip().partition("@")
    try:
        head = Head(bytes.fromhex(link), int(position))
    except ValueError:
        head = Head(b"", 0)
    if len(head.link) != link_bytes or head.position < 0 or not at:
        raise Malformed(
            f"{text!r} is no head of a chain",
            hint="it is written LINK@POSITION, 64 hexadecimal digits and a number, as "
            "`headwater verify --chain` prints it",
        )
    return head


def start_of(store_id: UUID) -> Link:
    """What stands in the place of a link before the first event of a store."""
    return sha256(b"headwater chain 1\n" + store_id.bytes).digest()


def link_after(previous: Link, row: StoredRow) -> Link:
    """The link of an event whose predecessor's link is `previous`."""
    return sha256(previous + covered(row)).digest()


def links_after(previous: Link, rows: Iterable[StoredRow]) -> Iterator[Link]:
    """The links of events that follow each other."""
    for row in rows:
        previous = link_after(previous, row)
        yield previous


def covered(row: StoredRow) -> bytes:
    """The bytes of an event that a link speaks for; no two events have the same."""
    position, stream, version, tag, state = row
    name, topic = stream.encode("utf-8", "surrogateescape"), tag.encode("utf-8", "surrogateescape")
    return b"".join((_numbers.pack(len(name), len(topic), position, version), name, topic, state))


Field = Literal["position", "version", "stream", "tag", "state"]


class Flip(Struct, frozen=True):
    """One byte that is another one than was recorded."""

    field: Field
    offset: int
    """From 0, in the field's bytes; numbers have eight, the highest first."""
    found: int
    recorded: int

    def __str__(self) -> str:
        was, now = _shown(self.recorded), _shown(self.found)
        return f"byte {self.offset} of its {self.field} is {now}, was {was}"


def flip_in(previous: Link, row: StoredRow, link: Link) -> Flip | None:
    """The one byte of an event that, put back, makes it fit its link; None where it is not one.

    An event that is too large for trying every value of each byte is searched for one bit, and a
    much larger one not at all.
    """
    content = covered(row)
    work = len(content) * len(content) // 2
    changes = next((c for c in (_BYTES, _BITS) if work * len(c) <= search_bytes_max), None)
    if changes is None:
        return None
    before = sha256(previous + content[: _lengths.size])
    for place in range(_lengths.size, len(content)):
        found, rest = content[place], content[place + 1 :]
        for change in changes:
            tried = before.copy()
            tried.update(bytes((found ^ change,)) + rest)
            if tried.digest() == link:
                return Flip(*_field_at(content, place), found, found ^ change)
        before.update(content[place : place + 1])
    return None


def differing_byte(found: Link, recorded: Link) -> int | None:
    """Where two links differ, if that is in one byte only."""
    if len(found) != len(recorded):
        return None
    places = [place for place in range(len(found)) if found[place] != recorded[place]]
    return places[0] if len(places) == 1 else None


def _field_at(content: bytes, place: int) -> tuple[Field, int]:
    """Whose byte stands at a place of what a link covers, and which one of it."""
    name, topic = _lengths.unpack_from(content)
    sizes: tuple[tuple[Field, int], ...] = (
        ("position", 8),
        ("version", 8),
        ("stream", name),
        ("tag", topic),
    )
    offset = place - _lengths.size
    for field, size in sizes:
        if offset < size:
            return field, offset
        offset -= size
    return "state", offset


def _shown(byte: int) -> str:
    return f"0x{byte:02x} {chr(byte)!r}" if 0x20 < byte < 0x7F else f"0x{byte:02x}"
