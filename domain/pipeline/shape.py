"""Plain values into typed ones, with every mistake told in the file's own words.

msgspec finds the first mistake only and speaks of Python's types; here each part is decoded for
itself, unknown keys are all told, and messages are for people.
"""

import re
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from domain.pipeline.later import later
from domain.pipeline.names import did_you_mean
from domain.pipeline.problems import Problem
from domain.pipeline.units import ByteSize, Duration

T = TypeVar("T")

_WORDS = {
    "str": "text", "int": "a whole number", "float": "a number", "bool": "true or false",
    "array": "a list", "object": "a map", "null": "nothing",
}  # fmt: skip
_KINDS = {
    type(None): "nothing", int: "a whole number", float: "a number", list: "a list", tuple: "a list"
}  # fmt: skip
_TYPES: dict[type[object], inspect.Type] = {}
_KEYS: dict[type[object], dict[str, None]] = {}
_AT = re.compile(r"(?P<message>.*?)(?: - at `(?:key in )?`?(?P<path>\$[^`]*)`)?", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")


def decode(value: object, kind: type[T], path: str, place: str) -> tuple[T | None, list[Problem]]:
    """`value` as a `kind`, or None with what is wrong. `place` names the words allowed there."""
    problems: list[Problem] = []
    if isinstance(value, dict):
        value = _known_keys(value, kind, path, place, problems)
    try:
        decoded = msgspec.convert(value, kind, dec_hook=_custom)
    except msgspec.ValidationError as error:
        return None, [*problems, _problem(str(error), value, kind, path, place)]
    return (None if problems else decoded), problems


def joined(path: str, key: str | int) -> str:
    """The path of a key or an index below `path`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key


def wanted(words: str, value: object) -> str:
    """`expected a list, got text`."""
    return f"expected {words}, got {_named(value)}"


def _named(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f"the text {value[:40]!r}"
        case _:
            return _KINDS.get(type(value), "a map")


def _custom(kind: type[Any], value: object) -> object:
    if isinstance(value, kind):
        return value
    if kind in (Duration, ByteSize):
        example = "30s" if kind is Duration else "512MiB"
        if not isinstance(value, str):
            raise ValueError(f"{wanted('text', value)}; write {example}")
        return kind(value)
    raise ValueError(wanted("a list", value))


def _type_of(kind: type[object]) -> inspect.Type:
    if kind not in _TYPES:
        _TYPES[kind] = inspect.type_info(kind)
    return _TYPES[kind]


def _known_keys(
    value: dict[str, object],
    kind: type[object],
    path: str,
    place: str,
    problems: list[Problem],
) -> dict[str, object]:
    allowed = _allowed(kind)
    for key in value:
        if key in allowed:
            continue
        problems.append(_unknown(path, str(key), place, [*allowed]))
    return {key: one for key, one in value.items() if key in allowed}


def _allowed(kind: type[object]) -> dict[str, None]:
    if kind not in _KEYS:
        _KEYS[kind] = dict.fromkeys(_fields(_type_of(kind)))
    return _KEYS[kind]


def _problem(text: str, value: object, kind: type[object], path: str, place: str) -> Problem:
    found = _AT.fullmatch(text)
    message, below = (found["message"], found["path"]) if found else (text, None)
    keys = _keys((below or "$")[1:], value, kind)
    for key in keys:
        path = joined(path, key)
    inner, type_ = _walk(value, _type_of(kind), keys)
    words = next((key for key in reversed(keys) if isinstance(key, str)), place)
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", message, re.DOTALL):
        return _unknown(path, unknown[1], words, _fields(type_))
    if missing := re.fullmatch(r"Object missing required field `(.*)`", message):
        return Problem(path=path, message=f"`{missing[1]}` is missing")
    if message.startswith(("Invalid enum value", "Invalid value")):
        if words == "kind":
            words = f"{keys[-2] if len(keys) > 1 else place} kind"
        return _not_known(path, str(inner), words, _choices(type_))
    hint = f"write [{inner}]" if isinstance(inner, str) and "`array`" in message else ""
    return Problem(path=path, message=_plain(message, inner), hint=hint)


def _unknown(path: str, word: str, place: str, known: list[str]) -> Problem:
    message, hint = later(place, word) or (f"unknown key `{word}`", did_you_mean(word, known))
    return Problem(path=joined(path, word), message=message, hint=hint)


def _not_known(path: str, word: str, place: str, known: list[str]) -> Problem:
    message, hint = later(place, word) or (
        f"{word!r} is not known here",
        did_you_mean(word, known),
    )
    return Problem(path=path, message=message, hint=hint)


def _plain(message: str, value: object) -> str:
    if wrong := re.fullmatch(r"Expected `([^`]*)`, got `([^`]*)`", message):
        names = [_WORDS.get(one, one) for one in wrong[1].split(" | ")]
        return wanted(" or ".join(names), value)
    if length := re.fullmatch(r"Expected `array` of (?:at least )?length (\d+).*", message):
        return f"expected a list of {length[1]}"
    return message[:1].lower() + message[1:]


def _keys(path: str, value: object, kind: type[object]) -> list[str | int]:
    """The keys of msgspec's path, in which `[...]` stands for some key of a map."""
    keys: list[str | int] = []
    for found in _STEP.finditer(path):
        name, index = found.groups()
        if index == "...":
            keys.append(_culprit(value, kind, keys))
        else:
            keys.append(name if name is not None else int(index))
    return keys


def _culprit(value: object, kind: type[object], keys: list[str | int]) -> str:
    """The first key of the map at `keys` whose value alone is refused there."""
    entries, _ = _walk(value, inspect.AnyType(), keys)
    if not isinstance(entries, dict):
        return "..."
    for key, one in entries.items():
        try:
            msgspec.convert(_with(value, keys, {key: one}), kind, dec_hook=_custom)
        except msgspec.ValidationError as error:
            if "[...]" in str(error):
                return str(key)
    return "..."


def _with(value: object, keys: list[str | int], inner: object) -> object:
    """A copy of nested maps in which `inner` stands at `keys`."""
    if not keys or not isinstance(value, dict):
        return inner
    return {**value, keys[0]: _with(value[keys[0]], keys[1:], inner)}


def _walk(value: object, type_: inspect.Type, keys: list[str | int]) -> tuple[object, inspect.Type]:
    """The value and the type that `keys` lead to."""
    for key in keys:
        type_ = _below(_resolved(type_, value), key)
        try:
            value = value[key]  # type: ignore[index] # whatever it is, the error says no
        except (TypeError, KeyError, IndexError):
            value = None
    return value, _resolved(type_, value)


def _resolved(type_: inspect.Type, value: object) -> inspect.Type:
    if not isinstance(type_, inspect.UnionType) or isinstance(value, str):
        return type_
    structs = [one for one in type_.types if isinstance(one, inspect.StructType)]
    kind = value.get("kind") if isinstance(value, dict) else None
    for one in structs:
        if one.tag == kind or len(structs) == 1:
            return one
    return type_


def _below(type_: inspect.Type, key: str | int) -> inspect.Type:
    match type_:
        case inspect.StructType(fields=fields):
            for field in fields:
                if field.encode_name == key:
                    return field.type
        case inspect.DictType(value_type=inner):
            return inner
        case inspect.VarTupleType(item_type=inner):
            return inner
        case inspect.UnionType(types=types) if key == "kind":
            tags = [str(one.tag) for one in types if isinstance(one, inspect.StructType)]
            return inspect.LiteralType(tuple(tags))
    return inspect.AnyType()


def _fields(type_: inspect.Type) -> list[str]:
    if not isinstance(type_, inspect.StructType):
        return []
    tag = [type_.tag_field] if type_.tag_field else []
    return [*tag, *(field.encode_name for field in type_.fields)]


def _choices(type_: inspect.Type) -> list[str]:
    if isinstance(type_, inspect.UnionType):
        return [word for one in type_.types for word in _choices(one)]
    return [str(one) for one in type_.values] if isinstance(type_, inspect.LiteralType) else []
