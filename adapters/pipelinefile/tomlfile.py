"""TOML text into plain values. The library tells no lines, so they are found by the keys' text."""

import re
import tomllib
from datetime import date, datetime, time
from typing import Any

from adapters.pipelinefile.document import Document, Mistake, Plain, Unreadable, nodes_max
from adapters.tomlkeys import lines_of_keys
from domain.limits import nesting_max

_AT = re.compile(r"(.*?) \(at line (\d+), column \d+\)", re.DOTALL)


def read_toml(text: str) -> Document:
    """The document in `text`. Raises `Unreadable`."""
    try:
        loaded = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _AT.fullmatch(str(error))
        line = int(found[2]) if found else text.count("\n") + 1
        message = f"not TOML: {found[1] if found else error}"
        raise Unreadable([Mistake(line=line, message=message)]) from error
    except (RecursionError, ValueError) as error:
        message = f"not TOML: {error}"
        raise Unreadable([Mistake(line=1, message=message)]) from error
    value = _plain(loaded, 0, [0])
    if not value:
        hint = 'a pipeline file starts with `pipeline = "NAME"`'
        raise Unreadable([Mistake(line=1, message="the file is empty", hint=hint)])
    return Document(value, lines_of_keys(text))


def _plain(value: Any, depth: int, nodes: list[int]) -> Plain:
    nodes[0] += 1
    if depth > nesting_max or nodes[0] > nodes_max:
        message = f"more than {nesting_max} levels, or than {nodes_max} values"
        raise Unreadable([Mistake(line=1, message=message)])
    match value:
        case dict():
            return {str(key): _plain(one, depth + 1, nodes) for key, one in value.items()}
        case list():
            return [_plain(one, depth + 1, nodes) for one in value]
        case datetime() | date() | time():
            return value.isoformat()
        case float() if value - value == 0:
            return value
        case int() if -(2**63) <= value < 2**63:
            return value
        case str():
            return value
    message = f"{str(value)[:40]} is no number that a pipeline file can hold"
    raise Unreadable([Mistake(line=1, message=message)])
