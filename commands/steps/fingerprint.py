"""The key of a step's outcome: what the step is, and the content it works on."""

import hashlib
from collections.abc import Mapping

import msgspec

from domain.pipeline.spec import plain
from domain.pipeline.steps import Step, Transform, kind_of
from domain.run.events import ParamValue

CODE_VERSION = 2
"""Raised with every change of a step kind that can change what it writes."""

_WITHOUT_MEANING = ("id", "description", "retry", "timeout", "memory")


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a step's result depends on."""

    kind: str
    code_version: int
    definition: dict[str, object]
    params: dict[str, ParamValue]
    code: str
    engine: str
    timezone: str
    inputs: dict[str, str]
    """Input's name → fingerprint of its content."""


def definition_of(step: Step, files: Mapping[str, str]) -> dict[str, object]:
    """A step's own words without those that cannot change its result; a named query as text."""
    said = msgspec.to_builtins(step, enc_hook=plain)
    words = {key: value for key, value in said.items() if key not in _WITHOUT_MEANING}
    if isinstance(step, Transform) and step.sql_file:
        words["sql_file"] = files.get(step.sql_file, "")
    return words


def code_hash(files: Mapping[str, str]) -> str:
    """One hash over the Python modules of a bundle."""
    modules = {path: text for path, text in files.items() if path.endswith(".py")}
    return hashlib.sha256(msgspec.json.encode(modules, order="sorted")).hexdigest()


def key_of(identity: Identity) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(msgspec.json.encode(identity, order="sorted")).hexdigest()


__all__ = ["CODE_VERSION", "Identity", "code_hash", "definition_of", "key_of", "kind_of"]
