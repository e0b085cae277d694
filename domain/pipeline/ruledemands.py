"""What a rule must keep beyond the types of its keys."""

from collections.abc import Iterable, Iterator

from domain.pipeline.limits import share_demands
from domain.pipeline.problems import Problem
from domain.pipeline.rules import (
    AcceptedValues,
    Cast,
    CleanRule,
    Deduplicate,
    DropNulls,
    Fill,
    Freshness,
    KeepRows,
    Map,
    NotNull,
    Pattern,
    QualityRule,
    Range,
    References,
    Rename,
    RowCount,
    RowRule,
    Scalar,
    Sql,
    Trim,
    Unique,
)
from domain.pipeline.shape import joined

map_values_max = 1_000
"""Values that one `map` gives a column: more belong into a step of their own, and a join."""


def rule_demands(rule: CleanRule | QualityRule, path: str) -> Iterator[Problem]:
    """Columns where columns belong, and arguments that make sense."""
    if isinstance(rule, RowRule):
        yield from share_demands(rule.tolerance, joined(path, "tolerance"))
    match rule:
        case DropNulls(drop_nulls=columns):
            yield from column_demands(columns, joined(path, "drop_nulls"))
        case Deduplicate():
            yield from column_demands(rule.deduplicate, joined(path, "deduplicate"))
            yield from column_demands(rule.order_by, joined(path, "order_by"), empty=True)
        case NotNull(not_null=columns):
            yield from column_demands(columns, joined(path, "not_null"))
        case Unique(unique=columns):
            yield from column_demands(columns, joined(path, "unique"))
        case KeepRows():
            if not rule.keep_rows.strip():
                yield Problem(path=joined(path, "keep_rows"), message="an empty condition")
        case Cast(cast=types):
            yield from column_demands(types, joined(path, "cast"))
        case Rename(rename=names):
            yield from column_demands(names, joined(path, "rename"))
            yield from column_demands(tuple(names.values()), joined(path, "rename"))
        case AcceptedValues(accepted_values=lists):
            yield from _accepted(lists, joined(path, "accepted_values"))
        case Range(range=ranges):
            yield from _ranges(ranges, joined(path, "range"))
        case Pattern(pattern=patterns):
            yield from _patterns(patterns, joined(path, "pattern"))
        case RowCount():
            yield from _row_count(rule, joined(path, "row_count"))
        case Trim(trim=columns):
            yield from column_demands(columns, joined(path, "trim"))
        case Fill(fill=values):
            yield from column_demands(values, joined(path, "fill"))
        case Map(map=maps):
            yield from _maps(maps, joined(path, "map"))
        case Freshness(freshness=ages):
            yield from column_demands(ages, joined(path, "freshness"))
        case References():
            yield from _references(rule, path)
        case Sql():
            yield from _sql(rule, path)


def column_demands(columns: Iterable[str], path: str, *, empty: bool = False) -> Iterator[Problem]:
    """Names of columns, each once; at least one unless it may be `empty`."""
    seen = set[str]()
    for column in columns:
        if not column.strip():
            yield Problem(path=path, message="an empty name of a column")
        if column.lower() in seen:
            yield Problem(path=path, message=f"column {column!r} is there twice")
        seen.add(column.lower())
    if not seen and not empty:
        yield Problem(path=path, message="no column at all")


def _accepted(
    lists: dict[str, tuple[str | int | float | bool, ...]], path: str
) -> Iterator[Problem]:
    yield from column_demands(lists, path)
    for column, values in lists.items():
        if not values:
            yield Problem(path=joined(path, column), message="no value at all would be accepted")


def _ranges(
    ranges: dict[str, tuple[int | float | str | None, int | float | str | None]], path: str
) -> Iterator[Problem]:
    yield from column_demands(ranges, path)
    for column, (low, high) in ranges.items():
        if low is None and high is None:
            yield Problem(path=joined(path, column), message="a range without any bound")
        numbers = isinstance(low, int | float) and isinstance(high, int | float)
        texts = isinstance(low, str) and isinstance(high, str)
        if low is not None and high is not None and not numbers and not texts:
            yield Problem(path=joined(path, column), message="the two bounds differ in type")
        elif (numbers or texts) and low > high:  # type: ignore[operator] # of one type
            message = f"nothing lies between {low!r} and {high!r}"
            yield Problem(path=joined(path, column), message=message)


def _patterns(patterns: dict[str, str], path: str) -> Iterator[Problem]:
    yield from column_demands(patterns, path)
    for column, pattern in patterns.items():
        if not pattern:
            yield Problem(path=joined(path, column), message="an empty pattern")


def _row_count(rule: RowCount, path: str) -> Iterator[Problem]:
    low, high = rule.row_count.min, rule.row_count.max
    if low is None and high is None:
        yield Problem(path=path, message="neither `min` nor `max`")
    if (low or 0) < 0 or (high or 0) < 0:
        yield Problem(path=path, message="a number of rows is never below 0")
    if low is not None and high is not None and low > high:
        yield Problem(path=path, message=f"`min` {low} is above `max` {high}")


def _maps(maps: dict[str, dict[str, Scalar | None]], path: str) -> Iterator[Problem]:
    yield from column_demands(maps, path)
    for column, values in maps.items():
        at = joined(path, column)
        if not values:
            yield Problem(path=at, message="no value at all is mapped")
        if len(values) > map_values_max:
            message = f"{len(values)} values, more than {map_values_max}"
            hint = "ingest them as a source of their own, and join it"
            yield Problem(path=at, message=message, hint=hint)


def _references(rule: References, path: str) -> Iterator[Problem]:
    yield from column_demands(rule.references, joined(path, "references"))
    yield from column_demands(rule.columns, joined(path, "columns"), empty=True)
    if len(rule.found_in) != len(rule.references):
        message = f"{len(rule.references)} columns are held against {len(rule.found_in)}"
        yield Problem(
            path=joined(path, "columns"), message=message, hint="name as many, in the same order"
        )


def _sql(rule: Sql, path: str) -> Iterator[Problem]:
    if not rule.sql.strip():
        yield Problem(path=joined(path, "sql"), message="an empty text")
    if rule.where and rule.is_query:
        hint = "write the condition into the query"
        message = "`where` beside a query"
        yield Problem(path=joined(path, "where"), message=message, hint=hint)
