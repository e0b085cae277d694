"""Plain scalars as YAML 1.2's core schema has them: `NO`, `on` and `12:30` are text."""

import math
import re

from adapters.pipelinefile.document import Plain

_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_digits_max = 40


def scalar_of(text: str) -> Plain:
    """What a plain scalar stands for. Raises `ValueError` for a number that is none here."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is no number that a pipeline file can hold")
    for pattern, base in ((_INTEGER, 10), (_OCTAL, 8), (_HEX, 16)):
        if pattern.fullmatch(text):
            return _integer(text, base)
    if _FLOAT.fullmatch(text):
        return _float(text)
    return text


def _integer(text: str, base: int) -> int:
    value = int(text, base) if len(text) <= _digits_max else 2**64
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"{text[:_digits_max]} does not fit into 64 bits; write it in quotes")
    return value


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:_digits_max]} is beyond what a number can hold")
    return value
