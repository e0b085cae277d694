"""Merging: maps laid over each other."""

from collections.abc import Mapping
from typing import Any


def merged(under: Mapping[str, Any], over: object) -> dict[str, Any]:
    """Both, key by key to the bottom; `over` wins."""
    result = {**under}
    for key, value in over.items() if isinstance(over, Mapping) else ():
        below = result.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        result[key] = merged(below, value) if both else value  # type: ignore[arg-type]
    return result
