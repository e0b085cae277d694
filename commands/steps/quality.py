# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""Quality rules over one relation, all of them in one scan."""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from commands.steps.ports import Engine, SqlValue
from commands.steps.sql import is_temporal, listed, quoted
from domain.data.quality import CheckResult
from domain.pipeline.rules import (
    AcceptedValues,
    NotNull,
    Pattern,
    QualityRule,
    QualityRules,
    Range,
    RowCount,
    Unique,
    describe,
)


class Probe(Struct, frozen=True, kw_only=True):
    """One thing to count. A rule over several columns has a probe for each."""

    name: str
    rule: QualityRule
    text: str
    """The rule in one line."""
    failing: str
    """SQL: how many rows break it."""
    nulls: str = "null"
    """SQL: how many rows pass only because their value is missing."""


class Values:
    """Values that a query binds, under names of its own."""

    def __init__(self) -> None:
        self.bound: dict[str, SqlValue] = {}

    def bind(self, value: SqlValue) -> str:
        """The place of `value` in the query."""
        name = f"check_{len(self.bound)}"
        self.bound[name] = value
        return f"${name}"


def evaluate(engine: Engine, relation: str, rules: QualityRules) -> tuple[CheckResult, ...]:
    """Hold a relation (a quoted name, or a query in brackets) against rules, in one scan."""
    values = Values()
    probes = [
        probe
        for rule in rules
        for probe in probes_of(rule, engine.columns(f"from {relation}"), values)
    ]
    wanted = ["count(*)"]
    for probe in probes:
        wanted += [probe.failing, probe.nulls]
    row = engine.rows(f"select {', '.join(wanted)} from {relation}", values.bound)[0]
    total, counts = _count(row[0]), [_count(value) for value in row[1:]]
    return tuple(
        _result(probe, total or 0, counts[2 * place], counts[2 * place + 1])
        for place, probe in enumerate(probes)
    )


def probes_of(rule: QualityRule, columns: Mapping[str, str], values: Values) -> Iterator[Probe]:
    """What is to be counted for one rule, given the relation's columns."""
    match rule:
        case NotNull(not_null=names):
            for column in names:
                text = describe(NotNull(not_null=(column,)))
                yield _probe(rule, text, column, len(names), f"{quoted(column)} is null")
        case Unique(unique=names):
            # A row of columns is a value even where all of them are missing, so missing values
            # agree with each other, as they do in `group by`.
            failing = f"count(*) - count(distinct row({listed(names)}))"
            yield Probe(
                name=rule.name or describe(rule), rule=rule, text=describe(rule), failing=failing
            )
        case AcceptedValues(accepted_values=lists):
            for column, accepted in lists.items():
                text = describe(AcceptedValues(accepted_values={column: accepted}))
                places = ", ".join(_typed(values.bind(one), columns[column]) for one in accepted)
                wrong = f"{quoted(column)} not in ({places})"
                yield _probe(rule, text, column, len(lists), wrong, nullable=True)
        case Range(range=ranges):
            for column, bounds in ranges.items():
                text = describe(Range(range={column: bounds}))
                wrong = _outside(column, bounds, columns[column], values)
                yield _probe(rule, text, column, len(ranges), wrong, nullable=True)
        case Pattern(pattern=patterns):
            for column, pattern in patterns.items():
                text = describe(Pattern(pattern={column: pattern}))
                place = values.bind(pattern)
                wrong = f"not regexp_full_match(cast({quoted(column)} as varchar), {place})"
                yield _probe(rule, text, column, len(patterns), wrong, nullable=True)
        case RowCount():
            yield Probe(
                name=rule.name or describe(rule), rule=rule, text=describe(rule), failing="null"
            )


def _probe(
    rule: QualityRule, text: str, column: str, columns: int, wrong: str, *, nullable: bool = False
) -> Probe:
    name = text
    if rule.name:
        name = rule.name if columns == 1 else f"{rule.name}.{column}"
    nulls = f"count(*) filter (where {quoted(column)} is null)" if nullable else "null"
    failing = f"count(*) filter (where {wrong})"
    return Probe(name=name, rule=rule, text=text, failing=failing, nulls=nulls)


def _outside(
    column: str,
    bounds: tuple[int | float | str | None, int | float | str | None],
    type_: str,
    values: Values,
) -> str:
    low, high = bounds
    parts = []
    if low is not None:
        parts.append(f"{quoted(column)} < {_typed(values.bind(low), type_)}")
    if high is not None:
        parts.append(f"{quoted(column)} > {_typed(values.bind(high), type_)}")
    return " or ".join(parts) or "false"


def _typed(place: str, type_: str) -> str:
    return f"cast({place} as {type_})" if is_temporal(type_) else place


def _result(probe: Probe, total: int, failing: int | None, nulls: int | None) -> CheckResult:
    rule = probe.rule
    if isinstance(rule, RowCount):
        low, high = rule.row_count.min, rule.row_count.max
        passed = (low is None or total >= low) and (high is None or total <= high)
        return CheckResult(
            name=probe.name,
            rule=probe.text,
            severity=rule.severity,
            passed=passed,
            observed=f"rows = {total}",
        )
    return CheckResult(
        name=probe.name,
        rule=probe.text,
        severity=rule.severity,
        passed=failing == 0,
        failing_rows=failing,
        null_rows=nulls,
    )


def _count(value: object) -> int | None:
    return value if isinstance(value, int) else None
