"""JSON text into events."""

import json
import re
from collections.abc import Iterator

from adapters.pipelinefile.document import (
    Builder,
    Close,
    Document,
    Event,
    Mistake,
    Open,
    Scalar,
    Unreadable,
)
from adapters.pipelinefile.scalars import scalar_of
from domain.limits import nesting_max

_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]|[^\s{}\[\],:"]+|\n')


def read_json(text: str) -> Document:
    """The document in `text`. Raises `Unreadable`."""
    builder = Builder()
    events = _events(text, builder.mistakes)
    try:
        _shallow(text)  # before the parser could overflow the stack
        json.loads(text, parse_int=str, parse_float=str)
    except json.JSONDecodeError as error:
        if not text.strip():
            return builder.document()
        message = f"not JSON: {error.msg[:1].lower()}{error.msg[1:]}"
        raise Unreadable([Mistake(line=error.lineno, message=message)]) from error
    builder.feed(events)
    return builder.document()


def _shallow(text: str) -> None:
    depth = 0
    for word in _WORD.finditer(text):
        if word.group() in ("[", "{"):
            depth += 1
        elif word.group() in ("]", "}"):
            depth -= 1
        if depth > nesting_max:
            line = text.count("\n", 0, word.start()) + 1
            message = f"more than {nesting_max} levels of lists and maps"
            raise Unreadable([Mistake(line=line, message=message)])


def _events(text: str, mistakes: list[Mistake]) -> Iterator[Event]:
    line = 1
    for found in _WORD.finditer(text):
        word = found.group()
        match word[0]:
            case "\n":
                line += 1
            case "{" | "[":
                yield Open(word == "{", line)
            case "}" | "]":
                yield Close()
            case '"':
                value = json.loads(word)
                yield Scalar(value, value, line)
            case _:
                yield _number(word, line, mistakes)


def _number(word: str, line: int, mistakes: list[Mistake]) -> Scalar:
    try:
        if word in ("NaN", "Infinity", "-Infinity"):
            raise ValueError(f"{word} is no number of JSON")
        return Scalar(scalar_of(word), word, line)
    except ValueError as error:
        mistakes.append(Mistake(line=line, message=str(error)))
        return Scalar(word, word, line)
