"""Connections of a project: what a sink or a source outside needs to be reached.

A connection is a kind and options. Secrets are never in it, only where they are to be found:
`${env:NAME}` is a variable, `${file:PATH}` a file's text. Nothing is looked up before somebody
connects, and what was found is kept nowhere.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from msgspec import Struct

from domain.errors import Malformed
from domain.pipeline.names import NAME

Option = str | int | float | bool

_PLACE = re.compile(r"\$\{([^}]*)\}?")
_REFERENCE = re.compile(r"\$\{(?:(env):([A-Za-z_][A-Za-z0-9_]*)|(file):([^}\s][^}]*))\}")
_SECRET = re.compile(r"passw|pwd|secret|token|credential|(^|_)key$|private")
_SECRET_TEXT = re.compile(r"://[^/@:]*:[^/@]+@|(?:passw\w*|pwd|secret|token)\s*=", re.IGNORECASE)


class Connection(Struct, frozen=True, kw_only=True):
    """One connection, as the file has it."""

    name: str
    kind: str
    """What is reached by it, such as `postgres`."""
    options: Mapping[str, Option]
    """As written: references stand for secrets, so that all of this may be shown."""


class Reference(Struct, frozen=True):
    """Where a secret is to be found."""

    kind: Literal["env", "file"]
    name: str
    """Of the variable, or the file's path, relative to the project's folder."""


def read_connection(name: str, value: object) -> Connection:
    """The connection that plain values say. Raises `Malformed` whose `path` is below its own."""
    if NAME.fullmatch(name) is None:
        raise Malformed(f"{name!r} is no name", hint="small letters, digits and _")
    if not isinstance(value, Mapping):
        raise Malformed("a connection is a section with a `kind` and options")
    kind = value.get("kind")
    if not isinstance(kind, str) or NAME.fullmatch(kind) is None:
        raise Malformed(
            "a connection needs a `kind`", path="kind", hint='such as kind = "postgres"'
        )
    options = {key: _option(key, one) for key, one in value.items() if key != "kind"}
    return Connection(name=name, kind=kind, options=options)


def references(option: Option) -> Iterator[Reference]:
    """What an option refers to."""
    for found in _REFERENCE.finditer(option) if isinstance(option, str) else ():
        env, variable, _, path = found.groups()
        yield Reference("env", variable) if env else Reference("file", path)


def is_reference(value: object) -> bool:
    """Whether a value is nothing but one reference."""
    return isinstance(value, str) and _REFERENCE.fullmatch(value) is not None


def has_reference(text: str) -> bool:
    """Whether a text refers to a secret, or seems to."""
    return re.search(r"\$\{\s*(env|file)\s*:", text) is not None


def resolved(connection: Connection, look_up: Callable[[Reference], str]) -> dict[str, Option]:
    """The options with each reference replaced by what `look_up` finds. Raises what that raises."""

    def found(match: re.Match[str]) -> str:
        env, variable, _, path = match.groups()
        return look_up(Reference("env", variable) if env else Reference("file", path))

    return {
        key: _REFERENCE.sub(found, one) if isinstance(one, str) else one
        for key, one in connection.options.items()
    }


def _option(key: str, value: object) -> Option:
    if not isinstance(value, str | int | float | bool):
        raise Malformed("an option is a text, a number or a truth value", path=key)
    if not isinstance(value, str):
        return value
    for place in _PLACE.finditer(value):
        if _REFERENCE.fullmatch(place[0]) is None:
            raise Malformed(
                f"{place[0]!r} is no reference", path=key, hint="write ${env:NAME} or ${file:PATH}"
            )
    bare = _REFERENCE.sub("", value)
    is_secret = _SECRET.search(key.lower()) is not None and bare.strip() == value.strip() != ""
    if is_secret or _SECRET_TEXT.search(bare):
        hint = "write ${env:NAME} or ${file:PATH}, which say where it is to be found"
        raise Malformed("a secret does not stand in this file", path=key, hint=hint)
    return value
