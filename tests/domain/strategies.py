"""Random values of any event type, made from its annotations."""

import types
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
from hypothesis import strategies as st
from msgspec import UNSET, Raw, Struct, UnsetType

# Hypothesis takes bounds without a zone only.
_first_day = datetime(1970, 1, 1)  # noqa: DTZ001
_last_day = datetime(2200, 1, 1)  # noqa: DTZ001

_plain: dict[object, Callable[[], st.SearchStrategy[Any]]] = {
    str: lambda: st.text(max_size=12),
    int: lambda: st.integers(-(2**53), 2**53),
    float: lambda: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans,
    type(None): st.none,
    UnsetType: lambda: st.just(UNSET),
    UUID: st.uuids,
    datetime: lambda: st.datetimes(_first_day, _last_day, timezones=st.just(UTC)),
    Raw: lambda: st.sampled_from([Raw(b"{}"), Raw(b'{"steps":[1,2.5,null]}')]),
}


def values_of(kind: object) -> st.SearchStrategy[Any]:
    """Values that an annotation allows."""
    if kind in _plain:
        return _plain[kind]()
    if isinstance(kind, type) and issubclass(kind, Struct):
        return structs_of(kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, types.UnionType):
        return st.one_of([values_of(argument) for argument in arguments])
    if origin is tuple:
        return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(values_of(arguments[0]), values_of(arguments[1]), max_size=3)
    raise TypeError(f"no values are known for {kind!r}")


def structs_of(kind: type[Struct]) -> st.SearchStrategy[Any]:
    """Structs with all fields given."""
    hints = get_type_hints(kind)
    fields = {field.name: values_of(hints[field.name]) for field in msgspec.structs.fields(kind)}
    return st.fixed_dictionaries(fields).map(lambda values: kind(**values))
