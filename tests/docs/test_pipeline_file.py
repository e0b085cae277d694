"""docs/pipeline-file.md tells every key that the file knows, and no other, and shows it in use."""

import re
from collections.abc import Iterator
from functools import cache

import pytest
from msgspec import Struct
from msgspec.structs import fields

from adapters.pipelinefile.schema import json_schema
from adapters.pipelinefile.yamlfile import read_yaml
from domain.pipeline.spec import decode_spec
from tests.docs.documents import documents

DOCUMENT = next(one for one in documents() if one.name == "docs/pipeline-file.md")
PARTS = {name: set(part["properties"]) for name, part in json_schema()["$defs"].items()}
STEPS = ["Ingest", "Validate", "Clean", "Transform", "Check", "Store"]
TABLES = {
    "The file": ["PipelineSpec"],
    "Params": ["Param"],
    "Sources": ["CsvSource", "JsonlSource", "ParquetSource"],
    "Every step": [*STEPS, "Retry"],
    **{part.lower(): [part] for part in STEPS[:-1]},
    "store": ["Store", "CsvSink", "JsonlSink", "ParquetSink"],
    "Rules that clean": [
        "DropNulls",
        "KeepRows",
        "Deduplicate",
        "Cast",
        "Rename",
        "Trim",
        "Fill",
        "Map",
    ],
    "Rules of checks": [
        *("NotNull", "Unique", "AcceptedValues", "Range", "Pattern", "RowCount"),
        *("Freshness", "References", "Sql"),
    ],
    "Tests": ["Case"],
}
"""Heading → the parts of the schema whose keys are told in its tables."""

IN_SENTENCES = {"Defaults", "Limits", "RowLimits", "WrittenColumn"}
"""Parts of two or three keys, told where they stand."""


def told(heading: str) -> set[str]:
    """The keys in the first columns of a section's tables."""
    section = re.split(rf"^##+ {heading}$", DOCUMENT.text, flags=re.MULTILINE)[1]
    section = re.split(r"^##+ ", section, flags=re.MULTILINE)[0]
    return {*re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)}


def structs(value: object) -> Iterator[Struct]:
    """Every part of a definition, also those in parts."""
    match value:
        case Struct():
            yield value
            for key in value.__struct_fields__:
                yield from structs(getattr(value, key))
        case dict():
            for inner in value.values():
                yield from structs(inner)
        case list() | tuple():
            for inner in value:
                yield from structs(inner)
        case _:
            pass


@cache
def shown() -> dict[str, set[str]]:
    """Part of the schema → its keys to which an example gives a value of its own."""
    keys: dict[str, set[str]] = {}
    for block in DOCUMENT.blocks():
        if block.language != "yaml" or not block.text.startswith("pipeline:"):
            continue
        assert block.mark, "an example that no test runs"
        spec = decode_spec(read_yaml(block.text).value)
        for part in structs(spec):
            said = [one.name for one in fields(part) if getattr(part, one.name) != one.default]
            tag = [part.__struct_config__.tag_field or ""]
            keys.setdefault(type(part).__name__, set()).update(said, tag)
    return keys


@pytest.mark.parametrize("heading", TABLES)
def test_every_key_is_told_and_no_other(heading: str) -> None:
    every = {key for part in TABLES[heading] for key in PARTS[part]}
    assert told(heading) - every == set()
    if heading != "Every step":
        of_steps = told("Every step") if heading in {step.lower() for step in STEPS} else set()
        assert every - told(heading) - of_steps == set()


def test_every_part_of_the_file_is_told() -> None:
    assert {part for parts in TABLES.values() for part in parts} | IN_SENTENCES == {*PARTS}


@pytest.mark.parametrize("part", PARTS)
def test_every_key_is_shown_in_an_example_that_runs(part: str) -> None:
    """On one of the parts in a table at least."""
    alike = next((parts for parts in TABLES.values() if part in parts), [part])
    assert PARTS[part] - {key for one in alike for key in shown().get(one, set())} == set()
