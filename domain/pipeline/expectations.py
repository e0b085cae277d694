"""The quality rules of a contract: each becomes terms, or is told as not checked."""

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from domain.data.quality import Severity
from domain.data.term import (
    Comparison,
    Matches,
    Metric,
    OneOf,
    Query,
    Required,
    Term,
    Unique,
    Value,
)
from domain.pipeline.names import did_you_mean
from domain.pipeline.odcs import Quality
from domain.pipeline.problems import Problem
from domain.pipeline.shape import decode, joined, wanted

_OPERATORS = {
    "mustBe": "=", "mustNotBe": "<>", "mustBeGreaterThan": ">", "mustBeGreaterOrEqualTo": ">=",
    "mustBeLessThan": "<", "mustBeLessOrEqualTo": "<=", "mustBeBetween": "between",
    "mustNotBeBetween": "not between",
}  # fmt: skip
_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "missingValues": ("missingValues",),
    "invalidValues": ("validValues", "pattern"),
    "duplicateValues": ("properties",),
}
_PERCENT = frozenset(("percent", "percentage", "%"))
_UNITS = frozenset(("", "rows", "row", "count"))
_MILD = frozenset(("info", "warning", "warn", "low", "minor", "trivial"))
"""Severities of a rule whose break is only told."""

Line = Callable[[str], int]


class About(Struct, frozen=True):
    """What a rule stands on: a column, or the whole table with its columns by their names."""

    columns: dict[str, str]
    """The contract's name → the data's."""
    column: str = ""
    """The data's name of the column; none for a rule of the table."""


class Found(Struct):
    """What is known of a contract so far."""

    problems: list[Problem] = []
    terms: list[Term] = []
    unchecked: list[str] = []


def expected(rules: list[object], about: About, path: str, line: Line, found: Found) -> None:
    """Add what quality rules say to `found`."""
    for place, value in enumerate(rules):
        at = joined(path, place)
        if not isinstance(value, dict):
            found.problems.append(Problem(path=at, message=wanted("a map", value)))
            continue
        rule, problems = decode(_without_null(value), Quality, at, "contract")
        found.problems += problems
        if rule is None:
            continue
        before = len(found.problems)
        if rule.type in ("text", "custom"):
            what = rule.name or rule.description or rule.engine or "no name"
            found.unchecked.append(f"line {line(at)}: quality rule of type {rule.type} ({what})")
            continue
        if rule.type == "sql" or (rule.query and not rule.metric and not rule.rule):
            terms: list[Term] = [*_query(rule, value, about, at, found.problems)]
        else:
            terms = [*_metric(rule, value, about, at, found.problems)]
        if len(found.problems) == before:
            found.terms += [_placed(one, rule, line(at)) for one in terms]


def _without_null(value: dict[str, Any]) -> dict[str, Any]:
    return {key: one for key, one in value.items() if one is not None}


def _placed(term: Term, rule: Quality, line: int) -> Term:
    return replace(term, line=line, name=_name(rule), severity=_severity(rule))


def _name(rule: Quality) -> str:
    return " ".join((rule.name or rule.description).split())[:100]


def _severity(rule: Quality) -> Severity:
    return "warn" if rule.severity.strip().lower() in _MILD else "error"


def _query(
    rule: Quality, said: dict[str, Any], about: About, path: str, problems: list[Problem]
) -> Iterator[Query]:
    comparison = _comparison(said, path, problems)
    if not rule.query.strip():
        hint = "write `query: SELECT count(*) FROM ${table} WHERE …`"
        problems.append(Problem(path=path, message="`query` is missing", hint=hint))
    elif comparison is not None:
        yield Query(query=rule.query, column=about.column, comparison=comparison)


def _metric(
    rule: Quality, said: dict[str, Any], about: About, path: str, problems: list[Problem]
) -> Iterator[Term]:
    metric = rule.metric
    if metric is None:
        if rule.rule:
            hint = f"the standard calls it `metric` now; write `metric: {rule.rule}`"
            problem = Problem(path=joined(path, "rule"), message="`rule` is outdated", hint=hint)
        else:
            hint = "name one, or write `type: text` for a rule in words"
            problem = Problem(path=path, message="`metric` is missing", hint=hint)
        problems.append(problem)
        return
    before = len(problems)
    problems += _level(metric, about, path)
    unit = rule.unit.strip().lower()
    if unit not in _PERCENT and unit not in _UNITS:
        hint = "one of `rows` and `percent`"
        message = f"{rule.unit!r} is no unit that a number of rows has"
        problems.append(Problem(path=joined(path, "unit"), message=message, hint=hint))
    if unit in _PERCENT and metric == "rowCount":
        message = "a number of rows is no share of them"
        problems.append(Problem(path=joined(path, "unit"), message=message))
    comparison = _comparison(said, path, problems)
    arguments = _Arguments(metric, rule.arguments, joined(path, "arguments"), problems)
    columns = arguments.columns(about)
    if comparison is None or len(problems) > before:
        return
    measure = Metric(
        metric=metric,
        columns=columns,
        values=arguments.values,
        pattern=arguments.pattern,
        is_percent=unit in _PERCENT,
        comparison=comparison,
    )
    yield from _by_row(measure) if comparison.is_none_at_all else (measure,)


def _by_row(measure: Metric) -> Iterator[Term]:
    """A measure of which there may be none at all, as what it demands of each row."""
    if measure.is_percent and measure.comparison.operator != "=":
        yield measure  # so many percent may be less than one row of many
        return
    match measure.metric:
        case "nullValues":
            yield Required(column=measure.columns[0])
        case "missingValues":
            texts = tuple(str(one) for one in measure.values)
            yield Required(column=measure.columns[0], missing=texts)
        case "invalidValues":
            if measure.values:
                yield OneOf(column=measure.columns[0], values=measure.values)
            if measure.pattern:
                yield Matches(column=measure.columns[0], pattern=measure.pattern)
        case "duplicateValues":
            yield Unique(columns=measure.columns)
        case "rowCount":
            yield measure


def _level(metric: str, about: About, path: str) -> Iterator[Problem]:
    if metric == "rowCount" and about.column:
        hint = "move it to the `quality` of the table"
        yield Problem(path=path, message="rowCount counts rows, not values", hint=hint)
    if metric in ("nullValues", "missingValues", "invalidValues") and not about.column:
        hint = "move it to the `quality` of a property"
        yield Problem(path=path, message=f"{metric} is about one column", hint=hint)


class _Arguments:
    """The `arguments` of a library metric."""

    def __init__(
        self, metric: str, said: dict[str, Any], path: str, problems: list[Problem]
    ) -> None:
        self._metric, self._said, self._path, self._problems = metric, said, path, problems
        known = _ARGUMENTS.get(metric, ())
        for key in said:
            if key not in known:
                hint = did_you_mean(key, known) if known else f"{metric} has no arguments"
                self._say(key, f"unknown key `{key}`", hint)
        self.values = self._values()
        self.pattern = self._text("pattern")
        if metric == "invalidValues" and not self.values and not self.pattern:
            self._say("", "nothing says what is valid", "give `validValues` or `pattern`")

    def columns(self, about: About) -> tuple[str, ...]:
        """The data's columns that the metric is about."""
        if about.column:
            return (about.column,)
        if self._metric != "duplicateValues":
            return ()
        names = self._said.get("properties")
        if not isinstance(names, list) or not names:
            self._say("properties", "the columns are missing", "write `properties: [a, b]`")
            return ()
        for name in names:
            if not isinstance(name, str) or name not in about.columns:
                hint = did_you_mean(str(name), [*about.columns])
                self._say("properties", f"there is no property {name!r}", hint)
                return ()
        return tuple(about.columns[name] for name in names)

    def _values(self) -> tuple[Value, ...]:
        key = {"missingValues": "missingValues", "invalidValues": "validValues"}.get(self._metric)
        given = self._said.get(key) if key else None
        if given is None:
            return ()
        if not isinstance(given, list):
            self._say(str(key), wanted("a list", given))
            return ()
        if any(isinstance(one, list | dict) for one in given):
            self._say(str(key), "expected a list of plain values")
            return ()
        return tuple(one for one in given if one is not None)

    def _text(self, key: str) -> str:
        given = self._said.get(key, "")
        if not isinstance(given, str):
            self._say(key, wanted("text", given))
            return ""
        return given

    def _say(self, key: str, message: str, hint: str = "") -> None:
        path = joined(self._path, key) if key else self._path
        self._problems.append(Problem(path=path, message=message, hint=hint))


def _comparison(said: dict[str, Any], path: str, problems: list[Problem]) -> Comparison | None:
    given = {key: said.get(key, UNSET) for key in _OPERATORS if said.get(key) is not None}
    if len(given) != 1:
        found = " and ".join(f"`{key}`" for key in given) or "none of them"
        message = f"a quality rule has one of mustBe, mustBeLessThan …; this has {found}"
        problems.append(Problem(path=path, message=message, hint="such as `mustBe: 0`"))
        return None
    key, value = next(iter(given.items()))
    numbers = value if isinstance(value, list | tuple) else (value,)
    if isinstance(value, UnsetType) or not all(_is_number(one) for one in numbers):
        at = joined(path, key)
        problems.append(Problem(path=at, message=wanted("a number", value)))
        return None
    if len(numbers) != (2 if key.endswith("Between") else 1):
        problems.append(Problem(path=joined(path, key), message="expected two numbers"))
        return None
    if numbers[0] > numbers[-1]:
        message = f"nothing lies between {numbers[0]} and {numbers[-1]}"
        problems.append(Problem(path=joined(path, key), message=message))
        return None
    return Comparison(_OPERATORS[key], tuple(numbers))  # type: ignore[arg-type] # from the table


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
