"""The key of a step's outcome: what the step is, and the content it works on."""

import hashlib
from collections.abc import Mapping

import msgspec

from domain.pipeline.contracts import place_of
from domain.pipeline.spec import PipelineSpec, plain
from domain.pipeline.steps import Clean, Ingest, Step, Validate, kind_of
from domain.run.events import ParamValue

CODE_VERSION = 5
"""Raised with every change of a step kind that can change what it writes."""

_WITHOUT_MEANING = ("id", "description", "retry", "timeout", "memory")


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a step's result depends on, and whose it is."""

    pipeline: str
    step: str
    kind: str
    code_version: int
    definition: dict[str, object]
    params: dict[str, ParamValue]
    code: str
    engine: str
    timezone: str
    inputs: dict[str, str]
    """Input's name → fingerprint of its content."""
    outside: list[str]
    """Name and fingerprint of what is read there, or the name of what is written."""


def definition_of(step: Step, spec: PipelineSpec, files: Mapping[str, str]) -> dict[str, object]:
    """A step's own words, and its source's, without those that cannot change its result; files of
    the bundle that it names as text."""
    words = _words(step, files)
    if isinstance(step, Ingest | Clean | Validate):
        # Whether a quarantine is small enough is a part of the result.
        words["limits"] = msgspec.to_builtins(step.limits or spec.limits, enc_hook=plain)
    if isinstance(step, Ingest):
        words["source"] = _words(spec.sources[step.source], files)
    return words


def _words(said: object, files: Mapping[str, str]) -> dict[str, object]:
    words: dict[str, object] = msgspec.to_builtins(said, enc_hook=plain)
    return {
        key: _text(key, value, files) if isinstance(value, str) else value
        for key, value in words.items()
        if key not in _WITHOUT_MEANING
    }


def _text(key: str, value: str, files: Mapping[str, str]) -> str | list[str]:
    if key == "contract" and value:
        file, table = place_of(value)
        return [files.get(file, ""), table]
    return files.get(value, value)


def code_hash(files: Mapping[str, str]) -> str:
    """One hash over the Python modules of a bundle."""
    modules = {path: text for path, text in files.items() if path.endswith(".py")}
    return hashlib.sha256(msgspec.json.encode(modules, order="sorted")).hexdigest()


def key_of(identity: Identity) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(msgspec.json.encode(identity, order="sorted")).hexdigest()


__all__ = ["CODE_VERSION", "Identity", "code_hash", "definition_of", "key_of", "kind_of"]
