"""The shape of an Open Data Contract Standard file, version 3, in the standard's own words.

What Headwater does not look into (servers, team, prices …) is taken as it is.
"""

from typing import Any, Literal

from msgspec import Struct

from domain.data.contract import LogicalType

Number = int | float
Maps = list[dict[str, Any]]


class _Part(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    id: str = ""
    name: str = ""
    description: str = ""
    tags: list[str] = []
    custom_properties: Maps = []
    authoritative_definitions: Maps = []


class _Element(_Part, frozen=True, kw_only=True):
    business_name: str = ""
    deprecated: bool = False
    synonyms: Maps = []
    physical_type: str = ""
    physical_name: str = ""
    relationships: Maps = []
    quality: list[object] = []


class ContractFile(_Part, frozen=True, kw_only=True):
    """The whole file."""

    kind: Literal["DataContract"]
    api_version: str
    id: str
    version: str
    schema: list[object] = []
    description: dict[str, Any] = {}  # type: ignore[assignment] # a map here, text elsewhere
    status: str = ""
    tenant: str = ""
    domain: str = ""
    data_product: str = ""
    context: Any = None
    servers: Maps = []
    support: Any = None
    price: Any = None
    team: Any = None
    roles: Maps = []
    sla_default_element: str = ""
    sla_properties: Maps = []
    contract_created_ts: str = ""


class SchemaObject(_Element, frozen=True, kw_only=True):
    """One table."""

    name: str
    logical_type: Literal["object"] = "object"
    data_granularity_description: str = ""
    properties: list[object] = []
    context: Any = None


class AllowedValue(_Part, frozen=True, kw_only=True):
    """One entry of an `enum`."""

    value: str | int | float | bool | None
    label: str = ""


class Options(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """`logicalTypeOptions`, whatever the type; which belong to which is told apart later."""

    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    format: str | None = None
    minimum: Number | str | None = None
    maximum: Number | str | None = None
    exclusive_minimum: Number | str | None = None
    exclusive_maximum: Number | str | None = None
    multiple_of: Number | None = None
    timezone: bool | None = None
    default_timezone: str | None = None
    max_properties: int | None = None
    min_properties: int | None = None
    required: list[str] | None = None
    max_items: int | None = None
    min_items: int | None = None
    unique_items: bool | None = None
    dimensions: int | None = None
    element_type: str | None = None
    distance_metric: str | None = None
    embedding_model: str | None = None
    embedding_model_version: str | None = None
    normalized: bool | None = None


NO_OPTIONS = Options()


class Property(_Element, frozen=True, kw_only=True):
    """One column, or a part of one."""

    logical_type: LogicalType | None = None
    logical_type_options: Options = NO_OPTIONS
    required: bool = False
    unique: bool = False
    primary_key: bool = False
    primary_key_position: int = -1
    semantic_type: Literal["column", "measure", "dimension"] = "column"
    partitioned: bool = False
    partition_key_position: int = -1
    classification: str = ""
    encrypted_name: str = ""
    transform_source_objects: list[str] = []
    transform_logic: str = ""
    transform_description: str = ""
    examples: list[Any] = []
    enum: list[AllowedValue] = []
    critical_data_element: bool = False
    properties: list[object] = []
    items: dict[str, Any] | None = None
    map: dict[str, Any] | None = None


class Quality(_Part, frozen=True, kw_only=True):
    """One quality rule."""

    type: Literal["text", "library", "sql", "custom"] = "library"
    metric: (
        Literal["nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount"]
        | None
    ) = None
    rule: str = ""
    arguments: dict[str, Any] = {}
    unit: str = ""
    query: str = ""
    engine: str = ""
    implementation: Any = None
    dimension: Literal[
        "accuracy", "completeness", "conformity", "consistency", "coverage", "timeliness",
        "uniqueness", "",
    ] = ""  # fmt: skip
    method: str = ""
    severity: str = ""
    business_impact: str = ""
    schedule: str = ""
    scheduler: str = ""
    must_be: Any = None
    must_not_be: Any = None
    must_be_greater_than: Number | None = None
    must_be_greater_or_equal_to: Number | None = None
    must_be_less_than: Number | None = None
    must_be_less_or_equal_to: Number | None = None
    must_be_between: tuple[Number, Number] | None = None
    must_not_be_between: tuple[Number, Number] | None = None


def _keys(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BOUNDS = _keys("format minimum maximum exclusive_minimum exclusive_maximum")
_VECTOR = "dimensions element_type distance_metric normalized embedding_model"

OPTIONS: dict[str, frozenset[str]] = {
    "string": _keys("min_length max_length pattern format"),
    "boolean": frozenset(),
    "integer": _BOUNDS | {"multiple_of"},
    "number": _BOUNDS | {"multiple_of"},
    "date": _BOUNDS,
    "time": _BOUNDS | {"timezone", "default_timezone"},
    "timestamp": _BOUNDS | {"timezone", "default_timezone"},
    "object": _keys("max_properties min_properties required"),
    "array": _keys("max_items min_items unique_items"),
    "map": frozenset(),
    "vector": _keys(_VECTOR) | {"embedding_model_version"},
}
"""Type → its options."""
