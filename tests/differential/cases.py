"""Generated tables, each column with one term of its own, and a few terms of the whole."""

import hashlib
import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

CASES = 40
"""Of thirteen terms each."""

_RECORD = Path(__file__).with_name("verdicts.json")
_TYPES: dict[str, pa.DataType] = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "string": pa.string(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}
_OPERATORS = (
    "mustBe", "mustNotBe", "mustBeGreaterThan", "mustBeGreaterOrEqualTo", "mustBeLessThan",
    "mustBeLessOrEqualTo",
)  # fmt: skip
_DAY = date(2026, 1, 1)
_MOMENT = datetime(2026, 1, 1, 12, tzinfo=UTC).replace(tzinfo=None)


class Verdicts(Struct):
    """What another tool says about the cases."""

    tool: str
    """Its name and version."""
    engine: str
    cases: dict[str, dict[str, bool]]
    """A case's digest → column (or "" for the table) → whether all of its terms are kept."""

    def keep(self) -> None:
        """Write the record."""
        text = msgspec.json.format(msgspec.json.encode(self, order="deterministic"), indent=1)
        _RECORD.write_bytes(text + b"\n")

    @classmethod
    def kept(cls) -> "Verdicts":
        """The record as it was written."""
        return msgspec.json.decode(_RECORD.read_bytes(), type=cls)


class Case:
    """One table and its contract, in two files of a folder."""

    digest: str
    """Of the rows and the terms, wherever they lie."""

    def __init__(self, number: int, folder: Path) -> None:
        self._chance = random.Random(number)
        self.rows = folder / f"case_{number}.parquet"
        self.contract = folder / f"case_{number}.json"
        properties, columns = [], {}
        count = self._chance.choice((0, 1, 2, 4, 8))
        for place in range(12):
            type_ = self._chance.choice([*_TYPES])
            name = f"c{place}"
            columns[name] = pa.array([self._value(type_) for _ in range(count)], _TYPES[type_])
            properties.append({"name": name, "logicalType": type_, **self._term(type_)})
        table = pa.table(columns)
        pq.write_table(table, self.rows)
        terms = self._write(properties)
        told = f"{table.to_pylist()} {terms}".encode()
        self.digest = hashlib.sha256(told).hexdigest()[:16]

    def _write(self, properties: list[dict[str, Any]]) -> dict[str, Any]:
        number = self._chance.choice((0, 1, 2, 4))
        server = {"server": "local", "type": "local", "format": "parquet"}
        table = {
            "name": "rows",
            "properties": properties,
            "quality": [{"metric": "rowCount", **self._compared(number)}],
        }
        whole = {
            "apiVersion": "v3.2.0",
            "kind": "DataContract",
            "id": "case",
            "version": "1.0.0",
            "status": "active",
            "servers": [{**server, "path": str(self.rows)}],
            "schema": [table],
        }
        self.contract.write_bytes(msgspec.json.encode(whole))
        return table

    def _value(self, type_: str) -> Any:
        chance = self._chance
        if chance.random() < 0.2:
            return None
        match type_:
            case "integer":
                return chance.randrange(-2, 4)
            case "number":
                return chance.randrange(-4, 8) / 2
            case "date":
                return _DAY + timedelta(days=chance.randrange(4))
            case "timestamp":
                return _MOMENT + timedelta(hours=chance.randrange(4))
            case _:
                return chance.choice(("", "a", "ab", "abc", "b", "é", "a\nb"))

    def _term(self, type_: str) -> dict[str, Any]:
        chance = self._chance
        common: list[dict[str, Any]] = [
            {"required": True},
            {"unique": True},
            {"quality": [{"metric": "nullValues", **self._compared(chance.randrange(3))}]},
            {"quality": [{"metric": "duplicateValues", **self._compared(chance.randrange(2))}]},
            {
                "quality": [
                    {
                        "metric": "nullValues",
                        "unit": "percent",
                        **self._compared(chance.choice((0, 20, 50))),
                    }
                ]
            },
        ]
        return chance.choice([*common, *self._of_type(type_), *self._of_type(type_)])

    def _of_type(self, type_: str) -> list[dict[str, Any]]:
        bounds = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
        if type_ == "string":
            valid = {"validValues": ["a", "ab", ""]}
            return [
                {"enum": [{"value": "a"}, {"value": "abc"}, {"value": "é"}]},
                {"logicalTypeOptions": {"minLength": self._chance.randrange(3)}},
                {"logicalTypeOptions": {"maxLength": self._chance.randrange(3)}},
                {"logicalTypeOptions": {"pattern": self._chance.choice(("a", "^a", "b$", "^.$"))}},
                {"quality": [{"metric": "invalidValues", "arguments": valid, **self._compared(1)}]},
                {
                    "quality": [
                        {
                            "metric": "missingValues",
                            "arguments": {"missingValues": [None, ""]},
                            **self._compared(1),
                        }
                    ]
                },
            ]
        bound = {
            "integer": 1,
            "number": 0.5,
            "date": "2026-01-02",
            "timestamp": "2026-01-01T13:00:00",
        }[type_]
        return [{"logicalTypeOptions": {self._chance.choice(bounds): bound}} for _ in range(3)]

    def _compared(self, number: int) -> dict[str, Any]:
        if self._chance.random() < 0.2:
            return {"mustBeBetween": [number, number + 1]}
        return {self._chance.choice(_OPERATORS): number}
