"""A contract from what data shows: types, what is never missing, what is never repeated."""

import re
from collections.abc import Sequence
from typing import Any

from domain.data.profile import Profile

_LOGICAL: tuple[tuple[str, str], ...] = (
    (r".*\]", "array"),
    (r"VARCHAR|UUID|ENUM.*|JSON", "string"),
    (r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?", "integer"),
    (r"DOUBLE|FLOAT|DECIMAL.*", "number"),
    (r"BOOLEAN", "boolean"),
    (r"DATE", "date"),
    (r"TIME( WITH TIME ZONE)?", "time"),
    (r"TIMESTAMP.*", "timestamp"),
    (r"STRUCT.*", "object"),
    (r"MAP\(.*\)", "map"),
)
_PLAIN = re.compile(r"VARCHAR|BIGINT|DOUBLE|BOOLEAN|DATE|TIME|TIMESTAMP( WITH TIME ZONE)?")
"""Types that the logical type says already."""

_KEYS = frozenset(("string", "integer", "date", "timestamp"))
"""Types whose values can be keys; numbers with a fraction differ by chance."""


def inferred(name: str, profiles: Sequence[Profile]) -> dict[str, Any]:
    """A contract's file as plain values, for one table called `name`."""
    return {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": name,
        "name": name,
        "version": "1.0.0",
        "status": "draft",
        "schema": [{"name": name, "properties": [_property(one) for one in profiles]}],
    }


def _property(profile: Profile) -> dict[str, Any]:
    found = {"name": profile.name, **_type(profile.type)}
    if profile.is_required:
        found["required"] = True
    if profile.is_unique and found["logicalType"] in _KEYS:
        found["unique"] = True
    return found


def _type(engine_type: str) -> dict[str, Any]:
    """The standard's schema wants a logical type everywhere, so what it has none for is text."""
    logical = next(
        (kind for pattern, kind in _LOGICAL if re.fullmatch(pattern, engine_type)), "string"
    )
    found: dict[str, Any] = {"logicalType": logical}
    if _PLAIN.fullmatch(engine_type) is None:
        found["physicalType"] = engine_type
    if engine_type == "TIMESTAMP WITH TIME ZONE":
        found["logicalTypeOptions"] = {"timezone": True}
    if logical == "map":
        key, value = _parts(engine_type[len("MAP(") : -1])
        found["map"] = {"key": _type(key), "value": _type(value)}
    return found


def _parts(types: str) -> tuple[str, str]:
    """Two types parted by the comma that is in no brackets."""
    depth = 0
    for place, char in enumerate(types):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            return types[:place].strip(), types[place + 1 :].strip()
    return types, ""
