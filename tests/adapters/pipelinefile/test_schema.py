"""The JSON Schema says what decoding accepts."""

from adapters.pipelinefile.schema import json_schema
from domain.pipeline.rules import CLEAN_RULES, QUALITY_RULES


def test_every_kind_and_rule_is_there() -> None:
    schema = json_schema()
    parts = schema["$defs"]
    assert {"Ingest", "Clean", "Transform", "Check", "Store", "CsvSource", "ParquetSink"} <= set(
        parts
    )
    assert parts["Clean"]["properties"]["kind"] == {"const": "clean"}
    assert parts["Clean"]["required"] == ["kind", "id", "input", "rules"]
    assert parts["Param"]["required"] == ["type"]
    assert parts["Retry"]["properties"]["initial"]["pattern"].startswith("^")
    assert "sniffed" not in parts["CsvSource"]["properties"]
    assert all(part["additionalProperties"] is False for part in parts.values())
    references = {one["$ref"] for one in parts["Clean"]["properties"]["rules"]["items"]["anyOf"]}
    assert references == {f"#/$defs/{kind.__name__}" for kind in CLEAN_RULES.values()}
    references = {one["$ref"] for one in parts["Check"]["properties"]["rules"]["items"]["anyOf"]}
    assert references == {f"#/$defs/{kind.__name__}" for kind in QUALITY_RULES.values()}
    assert parts["Sql"]["required"] == ["sql"]
    assert {"where", "tolerance", "severity"} <= parts["References"]["properties"].keys()


def test_each_reference_leads_somewhere() -> None:
    schema = json_schema()
    found: list[object] = [schema]
    while found:
        one = found.pop()
        if isinstance(one, dict):
            if "$ref" in one:
                assert str(one["$ref"]).removeprefix("#/$defs/") in schema["$defs"]
            found += one.values()
        elif isinstance(one, list):
            found += one
