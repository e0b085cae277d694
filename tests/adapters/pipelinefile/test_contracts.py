"""Contracts as people write them: read whole, or refused with file, line and fix."""

import pytest

from adapters.pipelinefile.contracts import read_contract
from domain.data.contract import Column, fits
from domain.data.term import Comparison, Limit, Matches, Metric, OneOf, Required, Unique
from domain.pipeline.contracts import InvalidContract

TEXT = """\
apiVersion: v3.2.0
kind: DataContract
id: flights
version: 1.0.0
status: active
servers: [{server: local, type: local, path: ./data/flights.csv, format: csv}]
schema:
  - name: flights
    physicalType: table
    properties:
      - name: carrier
        physicalType: VARCHAR(2)
        required: true
        enum: [{value: AA, label: American}, {value: UA}]
        logicalTypeOptions: {pattern: "^[A-Z0-9]{2}$"}
      - {name: flight, logicalType: integer, primaryKey: true, primaryKeyPosition: 2}
      - name: hour
        physicalName: time_hour
        logicalType: timestamp
        primaryKey: true
        primaryKeyPosition: 1
      - name: price
        logicalType: number
        physicalType: DECIMAL(10, 2)
        logicalTypeOptions: {exclusiveMinimum: 0}
        quality:
          - {metric: invalidValues, arguments: {validValues: [1, 2]}, mustBeLessThan: 5,
             unit: percent, severity: warning, name: prices}
    quality:
      - {type: text, description: no holes}
"""


def test_a_contract_is_read() -> None:
    contract = read_contract("c.yaml", "", TEXT)
    assert (contract.table, contract.key) == ("flights", ("time_hour", "flight"))
    assert [(one.name, one.type, one.line) for one in contract.columns] == [
        ("carrier", "string", 11),
        ("flight", "integer", 16),
        ("time_hour", "timestamp", 17),
        ("price", "decimal", 22),
    ]
    assert contract.terms == (
        Required(column="carrier", line=13),
        OneOf(column="carrier", values=("AA", "UA"), line=14),
        Matches(column="carrier", pattern="^[A-Z0-9]{2}$", line=15),
        Limit(column="price", operator=">", bound=0, line=25),
        Metric(
            metric="invalidValues",
            columns=("price",),
            values=(1, 2),
            is_percent=True,
            comparison=Comparison("<", (5,)),
            severity="warn",
            name="prices",
            line=27,
        ),
        Required(column="time_hour", line=20),
        Required(column="flight", line=16),
        Unique(columns=("time_hour", "flight"), line=20),
    )
    assert contract.unchecked == ("line 30: quality rule of type text (no holes)",)


MISTAKES = {
    "empty": ("", "c.yaml:1", "the file is empty", "apiVersion"),
    "no map": ("[]", "c.yaml:1", "expected a map", ""),
    "no YAML": ("a: [", "c.yaml:2", "not YAML", ""),
    "a key of nothing": (
        TEXT.replace("required", "requird"),
        "c.yaml:13 schema[0].properties[0].requird",
        "unknown key `requird`",
        "did you mean `required`?",
    ),
    "a top key of nothing": (
        TEXT.replace("status:", "state:"),
        "c.yaml:5 state",
        "unknown key `state`",
        "`status`",
    ),
    "an old standard": (
        TEXT.replace("v3.2.0", "v2.2.2"),
        "c.yaml:1 apiVersion",
        "version 'v2.2.2' of the standard",
        "v3.2.0",
    ),
    "no version": (TEXT.replace("version: 1.0.0\n", ""), "c.yaml:1", "`version` is missing", ""),
    "a number for text": (
        TEXT.replace("1.0.0", "1.0"),
        "c.yaml:4 version",
        "expected text, got a number",
        "",
    ),
    "no table": (TEXT.partition("schema")[0], "c.yaml:1 schema", "no table at all", "`schema`"),
    "a type of nothing": (
        TEXT.replace("logicalType: number", "logicalType: float"),
        "c.yaml:23 schema[0].properties[3].logicalType",
        "'float' is not known here",
        "known here: array, boolean",
    ),
    "an option of another type": (
        TEXT.replace("exclusiveMinimum: 0", "pattern: x"),
        "c.yaml:25 schema[0].properties[3].logicalTypeOptions.pattern",
        "type number has no option `pattern`",
        "",
    ),
    "a bound of another type": (
        TEXT.replace("exclusiveMinimum: 0", "exclusiveMinimum: '0'"),
        "c.yaml:25 schema[0].properties[3].logicalTypeOptions.exclusiveMinimum",
        "'0' is no value for a column of type number",
        "",
    ),
    "a value of another type": (
        TEXT.replace("value: AA", "value: 1"),
        "c.yaml:14 schema[0].properties[0].enum",
        "1 is no value for a column of type string",
        "quotes",
    ),
    "no operator": (
        TEXT.replace("mustBeLessThan: 5,", ""),
        "c.yaml:27 schema[0].properties[3].quality[0]",
        "a quality rule has one of mustBe",
        "mustBe: 0",
    ),
    "two operators": (
        TEXT.replace("mustBeLessThan: 5,", "mustBeLessThan: 5, mustBe: 1,"),
        "c.yaml:27 schema[0].properties[3].quality[0]",
        "`mustBe` and `mustBeLessThan`",
        "",
    ),
    "an operator that holds for nothing": (
        TEXT.replace("mustBeLessThan: 5,", "mustBeBetween: [5, 1],"),
        "c.yaml:27 schema[0].properties[3].quality[0].mustBeBetween",
        "nothing lies between 5 and 1",
        "",
    ),
    "a unit of nothing": (
        TEXT.replace("unit: percent", "unit: hours"),
        "c.yaml:28 schema[0].properties[3].quality[0].unit",
        "'hours' is no unit",
        "`percent`",
    ),
    "an outdated rule": (
        TEXT.replace("metric: invalidValues", "rule: invalidValues"),
        "c.yaml:27 schema[0].properties[3].quality[0].rule",
        "`rule` is outdated",
        "metric: invalidValues",
    ),
    "nothing valid": (
        TEXT.replace("{validValues: [1, 2]}", "{}"),
        "c.yaml:27 schema[0].properties[3].quality[0].arguments",
        "nothing says what is valid",
        "`validValues`",
    ),
    "a metric of a column on the table": (
        TEXT.replace("type: text", "metric: nullValues, mustBe: 0"),
        "c.yaml:30 schema[0].quality[0]",
        "nullValues is about one column",
        "property",
    ),
    "a column twice": (
        TEXT.replace("name: price", "name: flight"),
        "c.yaml:22 schema[0].properties[3]",
        "`flight` is there twice",
        "",
    ),
    "a key of nothing inside of a column": (
        TEXT.replace("name: price\n", "name: price\n        items: {typ: x}\n"),
        "c.yaml:23 schema[0].properties[3].items.typ",
        "unknown key `typ`",
        "",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_its_place(name: str) -> None:
    text, place, message, hint = MISTAKES[name]
    with pytest.raises(InvalidContract) as caught:
        read_contract("c.yaml", "", text)
    found = [(one.path, one.message, one.hint) for one in caught.value.problems]
    assert len(found) == 1, found
    assert found[0][0] == place
    assert message in found[0][1]
    assert hint in found[0][2]


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    text = TEXT.replace("status", "state").replace("required", "requird").replace("unit:", "unt:")
    with pytest.raises(InvalidContract) as caught:
        read_contract("c.yaml", "", text)
    assert [one.path.partition(" ")[0] for one in caught.value.problems] == [
        "c.yaml:5",
        "c.yaml:13",
        "c.yaml:28",
    ]


def test_one_of_several_tables_is_chosen_by_its_name() -> None:
    text = TEXT + "  - {name: planes, properties: [{name: tail, logicalType: string}]}\n"
    assert [one.name for one in read_contract("c.yaml", "planes", text).columns] == ["tail"]
    with pytest.raises(InvalidContract, match="2 tables: flights, planes") as caught:
        read_contract("c.yaml", "", text)
    assert caught.value.hint == "name one: `contract: c.yaml#flights`"
    with pytest.raises(InvalidContract, match="no table 'plane'") as caught:
        read_contract("c.yaml", "plane", text)
    assert caught.value.hint == "did you mean `planes`?"


def test_a_contract_may_be_json() -> None:
    text = (
        '{"apiVersion": "v3.1.0", "kind": "DataContract", "id": "x", "version": "1",\n'
        '"schema": [{"name": "t", "properties": [\n{"name": "a", "required": true}]}]}'
    )
    contract = read_contract("c.json", "", text)
    assert contract.columns == (Column(name="a", line=3),)
    assert contract.terms == (Required(column="a", line=3),)


@pytest.mark.parametrize(
    ("logical", "engine", "does"),
    [
        ("string", "VARCHAR", True),
        ("string", "VARCHAR[]", False),
        ("integer", "UTINYINT", True),
        ("integer", "DECIMAL(18,0)", True),
        ("integer", "DOUBLE", False),
        ("number", "DECIMAL(38,9)", True),
        ("number", "VARCHAR", False),
        ("boolean", "BOOLEAN", True),
        ("date", "DATE", True),
        ("date", "TIMESTAMP", False),
        ("time", "TIME", True),
        ("time", "TIMESTAMP", False),
        ("timestamp", "TIMESTAMP", True),
        ("timestamp", "TIMESTAMP WITH TIME ZONE", True),
        ("object", "STRUCT(a INTEGER)", True),
        ("object", "STRUCT(a INTEGER)[]", False),
        ("array", "INTEGER[]", True),
        ("vector", "FLOAT[3]", True),
        ("map", "MAP(VARCHAR, INTEGER)", True),
        (None, "BLOB", True),
    ],
)
def test_which_types_fit(logical: str | None, engine: str, does: bool) -> None:
    column = Column(name="a", logical=logical)  # type: ignore[arg-type] # one of them
    assert fits(column, engine) == does


@pytest.mark.parametrize(
    ("operator", "numbers", "inside", "outside"),
    [
        ("=", (1,), [1], [0, 2]),
        ("<>", (1,), [0, 2], [1]),
        (">", (1,), [2], [0, 1]),
        (">=", (1,), [1, 2], [0]),
        ("<", (1,), [0], [1, 2]),
        ("<=", (1,), [0, 1], [2]),
        ("between", (1, 2), [1, 2], [0, 3]),
        ("not between", (1, 2), [0, 3], [1, 2]),
    ],
)
def test_comparisons(
    operator: str, numbers: tuple[int, ...], inside: list[int], outside: list[int]
) -> None:
    comparison = Comparison(operator, numbers)  # type: ignore[arg-type] # one of them
    assert [one for one in (0, 1, 2, 3) if comparison.holds(one) and one in outside] == []
    assert all(comparison.holds(one) for one in inside)
    none = comparison.holds(0) and not any(comparison.holds(one) for one in range(1, 9))
    assert comparison.is_none_at_all == none
