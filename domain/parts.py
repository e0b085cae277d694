"""Cutting a long list into parts that each fit into an event."""

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from domain.limits import part_bytes_max

T = TypeVar("T")


def in_parts(items: Iterable[T], bytes_max: int = part_bytes_max) -> list[tuple[T, ...]]:
    """Split in order so that each part's JSON has at most `bytes_max` bytes (or one item)."""
    parts: list[tuple[T, ...]] = []
    part: list[T] = []
    size = 0
    for item in items:
        item_size = len(msgspec.json.encode(item)) + 1
        if part and size + item_size > bytes_max:
            parts.append(tuple(part))
            part, size = [], 0
        part.append(item)
        size += item_size
    if part:
        parts.append(tuple(part))
    return parts
