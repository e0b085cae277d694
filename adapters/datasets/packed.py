"""Gzip files unpacked in pieces, and those that hold far more than anybody writes.

A file of ten megabytes can unpack to ten gigabytes. Whoever meant no harm has not packed that well:
rows of a table shrink to a tenth or a fiftieth.
"""

import zlib
from collections.abc import Iterator

from commands.steps.ports import StepBroken, broken

packed_ratio_max = 400
"""Bytes that one packed byte may hold; 1032 is all that the format can do."""

unpacked_bytes_free = 100 * 2**20
"""Bytes below which nobody asks for the ratio."""

_PIECE_BYTES = 1 << 20
_HEAD_BYTES = 256 * 1024
"""Enough to hold more than is free, if it is packed that well."""


class Unpacking:
    """A gzip file's bytes on their way; it may have several members, one behind the other."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._member = zlib.decompressobj(31)
        self._packed = 0
        self._unpacked = 0
        self._is_broken = False

    def feed(self, block: bytes) -> Iterator[bytes]:
        """What a block unpacks to, in pieces of at most a mebibyte. Nothing from a broken place
        on: the engine says what is wrong. Raises `StepBroken` for a bomb."""
        self._packed += len(block)
        is_more = bool(block)
        while is_more and not self._is_broken:
            try:
                piece = self._member.decompress(block, _PIECE_BYTES)
            except zlib.error:
                self._is_broken = True
                return
            self._unpacked += len(piece)
            if self._unpacked > max(unpacked_bytes_free, packed_ratio_max * self._packed):
                raise self._bomb()
            if piece:
                yield piece
            block = self._member.unconsumed_tail
            # A full piece may have left something behind that needs no more input.
            is_more = bool(block) or len(piece) == _PIECE_BYTES
            if self._member.eof:
                block = self._member.unused_data
                self._member = zlib.decompressobj(31)
                is_more = bool(block)

    def _bomb(self) -> StepBroken:
        return broken(
            "too_much_packed",
            f"{self._packed} bytes unpack to more than {self._unpacked}, "
            f"which is above {packed_ratio_max} to 1",
            where=self._path,
            hint="if it is meant to be so, unpack it first",
        )


def hold_packed(path: str) -> None:
    """Raise `StepBroken` where a gzip file begins like a bomb, before anybody reads it."""
    if not path.endswith(".gz"):
        return
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return  # whoever reads it will say why
    for _ in Unpacking(path).feed(head):
        pass
