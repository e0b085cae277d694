# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""Quality rules over one relation: all that count its rows do so in one scan.

A rule whose text is a query of its own is asked beside it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from commands.steps.ports import Engine, SqlValue
from commands.steps.sql import is_temporal, listed, quoted
from domain.data.quality import CheckResult
from domain.pipeline.rules import (
    AcceptedValues,
    Freshness,
    NotNull,
    Pattern,
    QualityRule,
    QualityRules,
    Range,
    References,
    RowCount,
    RowRule,
    Sql,
    Unique,
    describe,
)
from domain.pipeline.units import spoken

Params = Mapping[str, SqlValue]


class Subject(Struct, frozen=True, kw_only=True):
    """What rules are held against."""

    name: str
    """The step's id, by which a query of a rule calls its rows."""
    relation: str
    """SQL that can stand behind `from`."""
    columns: Mapping[str, str]
    """Name → the engine's type."""
    others: Mapping[str, str] = {}
    """Other steps that rules name → SQL for their rows."""
    params: Callable[[str], Params] = lambda _query: {}
    """A query → the values of the params that it asks for."""
    run_time: datetime
    """The moment at which the run began."""

    def rows_of(self, step: str) -> str:
        """SQL for the rows of a step that a rule names."""
        return self.relation if step == self.name else self.others[step]

    def params_in(self, expression: str) -> Params:
        """The values of the params that an expression asks for."""
        return self.params(f"select ({expression}\n)") if expression else {}


class Probe(Struct, frozen=True, kw_only=True):
    """One thing to count. A rule over several columns has a probe for each."""

    name: str
    rule: QualityRule
    text: str
    """The rule in one line."""
    failing: str = "null"
    """SQL: how many rows break it; or the newest moment, in microseconds."""
    nulls: str = "null"
    """SQL: how many rows pass only because their value is missing."""

    @property
    def wanted(self) -> tuple[str, str, str]:
        """SQL: the rows it is about, and the two above."""
        return _counted("", self.rule), self.failing, self.nulls


class Values:
    """Values that a query binds, under names that no param can have."""

    def __init__(self) -> None:
        self.bound: dict[str, SqlValue] = {}

    def bind(self, value: SqlValue) -> str:
        """The place of `value` in the query."""
        name = f"_check_{len(self.bound)}"
        self.bound[name] = value
        return f"${name}"


def evaluate(engine: Engine, subject: Subject, rules: QualityRules) -> tuple[CheckResult, ...]:
    """Hold a relation against rules, in one scan but for the queries among them."""
    values = Values()
    probes = [probe for rule in rules for probe in probes_of(rule, subject, values)]
    bound = dict(values.bound)
    for rule in rules:
        bound |= subject.params_in(rule.where)
        if isinstance(rule, Sql) and not rule.is_query:
            bound |= subject.params_in(rule.sql)
    wanted = [sql for probe in probes for sql in probe.wanted]
    row = engine.rows(f"select {', '.join(wanted)} from {subject.relation}", bound)[0]
    counts = [value if isinstance(value, int) else None for value in row]
    results = []
    for place, probe in enumerate(probes):
        checked, failing, nulls = counts[3 * place : 3 * place + 3]
        if isinstance(probe.rule, Sql) and probe.rule.is_query:
            failing = _asked(engine, subject, probe.rule)
        results.append(_result(probe, subject, checked or 0, failing, nulls))
    return tuple(results)


def probes_of(rule: QualityRule, subject: Subject, values: Values) -> Iterator[Probe]:
    """What is to be counted for one rule."""
    types = subject.columns
    match rule:
        case NotNull(not_null=names):
            for column in names:
                one: QualityRule = replace(rule, not_null=(column,))
                wrong = _counted(f"{quoted(column)} is null", rule)
                yield _of_column(one, column, len(names), wrong)
        case Unique(unique=names):
            yield _whole(rule, _doubled(rule, names))
        case AcceptedValues(accepted_values=lists):
            for column, accepted in lists.items():
                one = replace(rule, accepted_values={column: accepted})
                places = ", ".join(_typed(values.bind(value), types[column]) for value in accepted)
                wrong = _counted(f"{quoted(column)} not in ({places})", rule)
                yield _of_column(one, column, len(lists), wrong, nulls=True)
        case Range(range=ranges):
            for column, bounds in ranges.items():
                one = replace(rule, range={column: bounds})
                wrong = _counted(_outside(column, bounds, types[column], values), rule)
                yield _of_column(one, column, len(ranges), wrong, nulls=True)
        case Pattern(pattern=patterns):
            for column, pattern in patterns.items():
                one = replace(rule, pattern={column: pattern})
                text = f"cast({quoted(column)} as varchar)"
                wrong = f"not regexp_full_match({text}, {values.bind(pattern)})"
                yield _of_column(one, column, len(patterns), _counted(wrong, rule), nulls=True)
        case Freshness(freshness=ages):
            for column, age in ages.items():
                one = replace(rule, freshness={column: age})
                yield _of_column(one, column, len(ages), _newest(rule, column))
        case References(references=names):
            yield _whole(rule, _counted(_lost(rule, subject), rule), _counted(_gap(names), rule))
        case Sql(sql=text) if not rule.is_query:
            failing = _counted(f"({text}\n) is false", rule)
            yield _whole(rule, failing, _counted(f"({text}\n) is null", rule))
        case RowCount() | Sql():
            yield _whole(rule)


def query_of(rule: Sql, subject: Subject) -> str:
    """The query of a rule, with the rows of the steps that it names before it."""
    names = [] if subject.relation == quoted(subject.name) else [(subject.name, subject.relation)]
    others = [(name, subject.others[name]) for name in rule.inputs]
    names += [(name, rows) for name, rows in others if rows != quoted(name)]
    given = ", ".join(f"{quoted(name)} as not materialized (from {rows})" for name, rows in names)
    text = rule.sql.strip().rstrip(";")
    return (f"with {given} " if given else "") + f"from (\n{text}\n)"


def _asked(engine: Engine, subject: Subject, rule: Sql) -> int | None:
    query = query_of(rule, subject)
    found = engine.rows(f"select count(*) from ({query})", subject.params(query))[0][0]
    return found if isinstance(found, int) else None


def _of_column(
    rule: QualityRule, column: str, columns: int, failing: str, *, nulls: bool = False
) -> Probe:
    text = name = describe(rule)
    if rule.name:
        name = rule.name if columns == 1 else f"{rule.name}.{column}"
    missing = _counted(f"{quoted(column)} is null", rule) if nulls else "null"
    return Probe(name=name, rule=rule, text=text, failing=failing, nulls=missing)


def _whole(rule: QualityRule, failing: str = "null", nulls: str = "null") -> Probe:
    text = describe(rule)
    return Probe(name=rule.name or text, rule=rule, text=text, failing=failing, nulls=nulls)


def _within(rule: QualityRule) -> str:
    """SQL: whether the rule is about a row; empty where it is about all of them."""
    return f"({rule.where}\n)" if rule.where else ""


def _counted(wrong: str, rule: QualityRule) -> str:
    """SQL: how many of the rule's rows are so; all of them for an empty `wrong`."""
    tests = [test for test in (_within(rule), f"({wrong})" if wrong else "") if test]
    return "count(*)" + (f" filter (where {' and '.join(tests)})" if tests else "")


def _doubled(rule: QualityRule, names: Sequence[str]) -> str:
    # A row of columns is a value even where all of them are missing, so missing values
    # agree with each other, as they do in `group by`.
    within = _within(rule)
    only = f" filter (where {within})" if within else ""
    return f"{_counted('', rule)} - count(distinct row({listed(names)})){only}"


def _newest(rule: QualityRule, column: str) -> str:
    # Cast behind the aggregate: zones of ten million rows take seconds.
    tests = [test for test in (_within(rule), f"isfinite({quoted(column)})") if test]
    newest = f"max({quoted(column)}) filter (where {' and '.join(tests)})"
    return f"epoch_us(cast({newest} as timestamptz))"


def _gap(names: Sequence[str]) -> str:
    return " or ".join(f"{quoted(name)} is null" for name in names)


def _lost(rule: References, subject: Subject) -> str:
    """SQL: whether all columns have values that are not there together in the other step."""
    rows = subject.rows_of(rule.to)
    there = f"select {_together(rule.found_in)} from {rows} where not ({_gap(rule.found_in)})"
    return f"not ({_gap(rule.references)}) and {_together(rule.references)} not in ({there})"


def _together(names: Sequence[str]) -> str:
    return quoted(names[0]) if len(names) == 1 else f"row({listed(names)})"


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


def _result(
    probe: Probe, subject: Subject, checked: int, counted: int | None, nulls: int | None
) -> CheckResult:
    rule, failing, observed = probe.rule, None, ""
    match rule:
        case RowCount(row_count=limits):
            passed = (limits.min or 0) <= checked and (limits.max is None or checked <= limits.max)
            observed = f"rows = {checked}"
        case Freshness(freshness=ages):
            age = None if counted is None else subject.run_time.timestamp() - counted / 1e6
            passed = age is not None and age <= next(iter(ages.values())).seconds
            observed = "no moment at all" if age is None else _age(age)
        case _:
            failing = counted or 0
            passed = rule.allows(failing, checked)
    return CheckResult(
        name=probe.name,
        rule=probe.text,
        severity=rule.severity,
        passed=passed,
        checked_rows=checked,
        failing_rows=failing,
        tolerance=_tolerance(rule),
        null_rows=nulls,
        observed=observed,
    )


def _age(seconds: float) -> str:
    told = spoken(abs(seconds))
    return f"the newest is {told} {'older than the run' if seconds >= 0 else 'ahead of the run'}"


def _tolerance(rule: QualityRule) -> str:
    if not isinstance(rule, RowRule) or not rule.tolerance:
        return ""
    return rule.tolerance if isinstance(rule.tolerance, str) else f"{rule.tolerance} rows"
