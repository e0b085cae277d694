"""A contract's file as plain values becomes a contract for each of its tables."""

import re
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

from domain.data.contract import Column, Contract, LogicalType
from domain.data.dataset import ColumnType
from domain.data.term import Length, Limit, Matches, MultipleOf, OneOf, Required, Unique
from domain.errors import HeadwaterError
from domain.pipeline.expectations import About, Found, Line, expected
from domain.pipeline.names import did_you_mean
from domain.pipeline.odcs import NO_OPTIONS, OPTIONS, ContractFile, Property, SchemaObject
from domain.pipeline.problems import Problem
from domain.pipeline.shape import decode, joined, wanted

columns_max = 20_000
"""Columns that one contract may promise."""

_VERSION = re.compile(r"v?3(\.\d+){0,2}")
_PHYSICAL: tuple[tuple[str, LogicalType, ColumnType | None], ...] = (
    (r"(var)?char2?|n(var)?char2?|text|string|clob|uuid|character( varying)?", "string", "string"),
    (r"tinyint|smallint|int\d?|integer|bigint|int64|int32|serial|long|hugeint", "integer", None),
    (r"u(tiny|small|big|huge)?int(eger)?", "integer", None),
    (r"double( precision)?|float\d?|real|float64", "number", "number"),
    (r"decimal|numeric|number|bignumeric", "number", "decimal"),
    (r"bool(ean)?", "boolean", "boolean"),
    (r"date", "date", "date"),
    (r"time", "time", "time"),
    (r"timestamp_?tz|timestamp with time zone", "timestamp", "timestamptz"),
    (r"timestamp(_ntz|_s|_ms|_ns)?|datetime2?|timestamp without time zone", "timestamp", None),
)
"""How databases name types → the logical type, and ours where it is a narrower one."""

_READ: dict[str, ColumnType] = {
    "string": "string", "integer": "integer", "number": "number", "boolean": "boolean",
    "date": "date", "time": "time", "timestamp": "timestamp",
}  # fmt: skip
_TEMPORAL: dict[str, type[date] | type[time]] = {
    "date": date, "timestamp": datetime, "time": time
}  # fmt: skip
_PUBLIC = frozenset(("", "public", "internal", "none"))


def place_of(contract: str) -> tuple[str, str]:
    """The file and the table that `contracts/flights.odcs.yaml#flights` names; the table may be
    empty."""
    file, _, table = contract.partition("#")
    return file, table


class InvalidContract(HeadwaterError):
    """A contract that cannot be read; `problems` has all that was found, each with its place
    (`contracts/flights.odcs.yaml:14 schema[0]…`) as its path."""

    def __init__(self, problems: list[Problem]) -> None:
        first = problems[0]
        super().__init__(f"{first.path}: {first.message}", hint=first.hint)
        self.problems = tuple(problems)


def examine_contract(value: object, file: str, line: Line) -> tuple[list[Contract], list[Problem]]:
    """The contracts that a file's plain values say, and everything that is wrong with them."""
    hint = "a contract starts with `apiVersion: v3.2.0` and `kind: DataContract`"
    if not isinstance(value, dict):
        return [], [Problem(path="", message=wanted("a map", value), hint=hint)]
    whole, problems = decode(value, ContractFile, "", "contract")
    said = value.get("apiVersion")
    if isinstance(said, str) and _VERSION.fullmatch(said) is None:
        message = f"version {said!r} of the standard is not one that is read here"
        fix = "write it for version 3: `apiVersion: v3.2.0`"
        problems.append(Problem(path="apiVersion", message=message, hint=fix))
    if whole is not None and not whole.schema:
        message = "no table at all"
        fix = "`schema` has an entry with `name` and `properties` for each"
        problems.append(Problem(path="schema", message=message, hint=fix))
    tables = value.get("schema")
    contracts = []
    for place, one in enumerate(tables if isinstance(tables, list) else ()):
        table = _Table(file, joined("schema", place), line)
        contracts.append(table.contract(one))
        problems += table.found.problems
    problems += _twice("schema", [one.table for one in contracts])
    return contracts, problems


def chosen(contracts: list[Contract], table: str, file: str) -> Contract:
    """The contract of one table; the only one where none is named. Raises `InvalidContract`."""
    names = [one.table for one in contracts]
    if not table and len(contracts) == 1:
        return contracts[0]
    for one in contracts:
        if one.table == table:
            return one
    if table:
        message, hint = f"there is no table {table!r} in it", did_you_mean(table, names)
    else:
        message = f"it has {len(names)} tables: {', '.join(names[:10])}"
        hint = f"name one: `contract: {file}#{names[0]}`"
    raise InvalidContract([Problem(path=f"{file}:1", message=message, hint=hint)])


class _Table:
    """One `schema` entry on its way to a contract."""

    def __init__(self, file: str, path: str, line: Line) -> None:
        self._file, self._path, self._line = file, path, line
        self.found = Found()

    def contract(self, value: object) -> Contract:
        """What could be read of it; `found.problems` says what could not."""
        shown, problems = decode(value, SchemaObject, self._path, "contract")
        self.found.problems += problems
        if shown is None:
            return Contract(file=self._file, table="")
        at = joined(self._path, "properties")
        if not shown.properties:
            self._say(self._path, "no property at all", "name its columns in `properties`")
        if len(shown.properties) > columns_max:
            self._say(at, f"{len(shown.properties)} properties, more than {columns_max}")
            return Contract(file=self._file, table=shown.name)
        read = [self._property(one, joined(at, n)) for n, one in enumerate(shown.properties)]
        known = [one for one in read if one is not None]
        columns = tuple(self._column(one, path) for one, path in known)
        self.found.problems += _twice(at, [one.name.lower() for one in columns])
        by_name = {one.name: column.name for (one, _), column in zip(known, columns, strict=True)}
        for (one, path), column in zip(known, columns, strict=True):
            self._terms(one, column, path)
            about = About(by_name, column.name)
            expected(one.quality, about, joined(path, "quality"), self._line, self.found)
        key = self._key([(one, path) for one, path in known if one.primary_key])
        expected(
            shown.quality, About(by_name), joined(self._path, "quality"), self._line, self.found
        )
        if shown.relationships:
            self._unchecked(joined(self._path, "relationships"), "relationships")
        return Contract(
            file=self._file,
            table=shown.name,
            columns=columns,
            key=key,
            terms=tuple(dict.fromkeys(self.found.terms)),
            unchecked=tuple(self.found.unchecked),
        )

    def _property(self, value: object, path: str) -> tuple[Property, str] | None:
        shown, problems = decode(value, Property, path, "contract")
        self.found.problems += problems
        if shown is None:
            return None
        if not (shown.physical_name or shown.name).strip():
            self._say(path, "`name` is missing")
            return None
        self._nested(shown, path)
        return shown, path

    def _nested(self, shown: Property, path: str) -> None:
        """Parts of a column: their words are held against the standard, their data is not."""
        parts: list[tuple[object, str]] = [
            (one, joined(joined(path, "properties"), n)) for n, one in enumerate(shown.properties)
        ]
        parts += [(shown.items, joined(path, "items"))] if shown.items is not None else []
        if shown.map is not None:
            at = joined(path, "map")
            parts += [(one, joined(at, key)) for key, one in shown.map.items()]
        for value, at in parts:
            part, problems = decode(value, Property, at, "contract")
            self.found.problems += problems
            if part is not None:
                self._nested(part, at)
        if parts:
            self._unchecked(path, f"the parts of `{shown.name}`")

    def _column(self, one: Property, path: str) -> Column:
        logical, type_ = one.logical_type, None
        physical = one.physical_type.partition("(")[0].strip().lower()
        for pattern, kind, narrow in _PHYSICAL if physical else ():
            if re.fullmatch(pattern, physical) and logical in (None, kind):
                logical, type_ = kind, narrow
                break
        if logical is not None and type_ is None:
            type_ = _READ.get(logical)
        if logical == "timestamp" and one.logical_type_options.timezone:
            type_ = "timestamptz"
        return Column(
            name=one.physical_name or one.name,
            line=self._line(path),
            logical=logical,
            type=type_,
            is_hidden=one.classification.lower() not in _PUBLIC or bool(one.encrypted_name),
        )

    def _terms(self, one: Property, column: Column, path: str) -> None:
        name, terms = column.name, self.found.terms
        if one.required:
            terms.append(Required(column=name, line=self._line(joined(path, "required"))))
        if one.unique:
            terms.append(Unique(columns=(name,), line=self._line(joined(path, "unique"))))
        if one.enum:
            at = joined(path, "enum")
            values = tuple(entry.value for entry in one.enum if entry.value is not None)
            for value in values:
                self._fits(value, column, at)
            terms.append(OneOf(column=name, values=values, line=self._line(at)))
        if one.relationships:
            self._unchecked(joined(path, "relationships"), f"relationships of `{name}`")
        self._options(one, column, joined(path, "logicalTypeOptions"))

    def _options(self, one: Property, column: Column, path: str) -> None:
        said = one.logical_type_options
        if said is NO_OPTIONS:
            return
        options = {
            key: value
            for key in said.__struct_fields__
            if (value := getattr(said, key)) is not None
        }
        allowed = OPTIONS.get(column.logical or "")
        for key, value in options.items():
            at = joined(path, _camel(key))
            if allowed is not None and key not in allowed:
                words = [_camel(word) for word in sorted(allowed)]
                hint = did_you_mean(_camel(key), words) if words else ""
                self._say(at, f"type {column.logical} has no option `{_camel(key)}`", hint)
                continue
            self._option(column, key, value, at)

    def _option(self, column: Column, key: str, value: Any, path: str) -> None:
        name, line, terms = column.name, self._line(path), self.found.terms
        match key:
            case "minimum" | "maximum" | "exclusive_minimum" | "exclusive_maximum":
                if self._fits(value, column, path):
                    sign = ">" if key.endswith("minimum") else "<"
                    operator = sign if key.startswith("exclusive") else f"{sign}="
                    terms.append(Limit(column=name, operator=operator, bound=value, line=line))  # type: ignore[arg-type] # one of four
            case "min_length" | "max_length":
                if value < 0:
                    self._say(path, "a length is never below 0")
                sign = ">=" if key == "min_length" else "<="
                terms.append(Length(column=name, operator=sign, characters=value, line=line))  # type: ignore[arg-type] # one of two
            case "pattern":
                if not value:
                    self._say(path, "an empty pattern")
                terms.append(Matches(column=name, pattern=value, line=line))
            case "multiple_of":
                if value <= 0:
                    self._say(path, f"{value} is not above 0")
                terms.append(MultipleOf(column=name, factor=value, line=line))
            case "timezone" | "default_timezone":
                pass
            case _:
                self._unchecked(path, f"`{_camel(key)}` of `{name}`")

    def _fits(self, value: object, column: Column, path: str) -> bool:
        """Whether a value can be compared with the column's; says so where it cannot."""
        want = column.logical
        match want:
            case "integer" | "number":
                good = isinstance(value, int | float) and not isinstance(value, bool)
            case "boolean":
                good = isinstance(value, bool)
            case "date" | "timestamp" | "time":
                good = isinstance(value, str) and _is_iso(value, want)
            case "string":
                good = isinstance(value, str)
            case _:
                good = not isinstance(value, list | dict)
        if not good:
            shown = f"{value!r} is no value for a column of type {want or 'unknown'}"
            hint = (
                "write it as in 2013-01-31, 08:30 or 2013-01-31T08:30" if want in _TEMPORAL else ""
            )
            self._say(path, shown, hint or "put text in quotes, and nothing else")
        return good

    def _key(self, members: list[tuple[Property, str]]) -> tuple[str, ...]:
        ordered = sorted(members, key=lambda member: member[0].primary_key_position)
        names = tuple(one.physical_name or one.name for one, _ in ordered)
        for one, path in ordered:
            at = self._line(joined(path, "primaryKey"))
            if not one.required:
                name = one.physical_name or one.name
                self.found.terms.append(Required(column=name, line=at))
        if names and not (len(names) == 1 and ordered[0][0].unique):
            at = self._line(joined(ordered[0][1], "primaryKey"))
            self.found.terms.append(Unique(columns=names, line=at))
        return names

    def _unchecked(self, path: str, what: str) -> None:
        self.found.unchecked.append(f"line {self._line(path)}: {what}")

    def _say(self, path: str, message: str, hint: str = "") -> None:
        self.found.problems.append(Problem(path=path, message=message, hint=hint))


def _twice(path: str, names: list[str]) -> Iterator[Problem]:
    seen: set[str] = set()
    for place, name in enumerate(names):
        if name and name in seen:
            yield Problem(path=joined(path, place), message=f"`{name}` is there twice")
        seen.add(name)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _is_iso(value: str, kind: str) -> bool:
    try:
        _TEMPORAL[kind].fromisoformat(value)
    except ValueError:
        return False
    return True
