"""The JSON Schema of pipeline files, for editors. Made from the same types that decode them."""

from typing import Any, get_args

from msgspec import inspect

from domain.data.dataset import ColumnType
from domain.pipeline.names import NAME
from domain.pipeline.rules import CLEAN_RULES, QUALITY_RULES, CleanRules
from domain.pipeline.spec import PipelineSpec
from domain.pipeline.units import BYTE_SIZE, DURATION, ByteSize, Duration

Schema = dict[str, Any]
"""A JSON object; its shape is JSON Schema's own."""

_PLAIN: dict[type[inspect.Type], str] = {
    inspect.StrType: "string",
    inspect.IntType: "integer",
    inspect.FloatType: "number",
    inspect.BoolType: "boolean",
    inspect.NoneType: "null",
}
_NAMED = ("id", "pipeline")


def json_schema() -> Schema:
    """JSON Schema (2020-12) of a pipeline file."""
    parts: dict[str, Schema] = {}
    whole = _schema(inspect.type_info(PipelineSpec), parts)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Headwater pipeline",
        **whole,
        "$defs": parts,
    }


def _schema(type_: inspect.Type, parts: dict[str, Schema]) -> Schema:
    match type_:
        case inspect.StructType():
            return _struct(type_, parts)
        case inspect.UnionType(types=types):
            return {"anyOf": [_schema(one, parts) for one in types]}
        case inspect.LiteralType(values=values):
            return {"enum": [one for one in get_args(ColumnType) if one in values] or [*values]}
        case inspect.DictType(value_type=inner):
            return {"type": "object", "additionalProperties": _schema(inner, parts)}
        case inspect.VarTupleType(item_type=inner):
            return {"type": "array", "items": _schema(inner, parts)}
        case inspect.TupleType(item_types=items):
            each = [_schema(one, parts) for one in items]
            return {"type": "array", "prefixItems": each, "minItems": len(each), "items": False}
        case inspect.CustomType(cls=cls):
            return _custom(cls, parts)
        case _:
            return {"type": _PLAIN[type(type_)]}


def _struct(type_: inspect.StructType, parts: dict[str, Schema]) -> Schema:
    name = type_.cls.__name__
    reference = {"$ref": f"#/$defs/{name}"}
    if name in parts:
        return reference
    part: Schema = {"type": "object", "properties": {}, "required": []}
    parts[name] = part
    if type_.cls.__doc__:
        part["description"] = " ".join(type_.cls.__doc__.split())
    if type_.tag_field:
        part["properties"][type_.tag_field] = {"const": type_.tag}
        part["required"].append(type_.tag_field)
    for field in type_.fields:
        if field.encode_name == "sniffed":  # ours, not people's
            continue
        schema = _schema(field.type, parts)
        if field.encode_name in _NAMED:
            schema["pattern"] = f"^{NAME.pattern}$"
        if isinstance(field.default, str):
            schema["default"] = str(field.default)  # plain text, also of a duration
        elif isinstance(field.default, int | float | bool):
            schema["default"] = field.default
        part["properties"][field.encode_name] = schema
        if field.required:
            part["required"].append(field.encode_name)
    part["additionalProperties"] = False
    return reference


def _custom(kind: type[object], parts: dict[str, Schema]) -> Schema:
    if kind is Duration:
        return {"type": "string", "pattern": f"^{DURATION}$"}
    if kind is ByteSize:
        return {"type": "string", "pattern": f"^{BYTE_SIZE}$"}
    rules = [*CLEAN_RULES.values()] if kind is CleanRules else [*QUALITY_RULES.values()]
    each = [_schema(inspect.type_info(rule), parts) for rule in rules]
    return {"type": "array", "items": {"anyOf": each}}
