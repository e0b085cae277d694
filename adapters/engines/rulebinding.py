"""Rules bound against the columns that they will meet: names, types, conditions."""

from collections.abc import Iterable, Iterator, Mapping

import duckdb

from adapters.engines.duckdb import DuckEngine
from adapters.engines.tables import EmptyTables, SqlRefused, refused
from commands.steps.ports import StepBroken
from commands.steps.quality import evaluate
from commands.steps.sql import careful_cast, sql_type
from domain.pipeline.names import did_you_mean
from domain.pipeline.problems import Problem
from domain.pipeline.rules import (
    AcceptedValues,
    Cast,
    CleanRule,
    CleanRules,
    Deduplicate,
    DropNulls,
    KeepRows,
    NotNull,
    Pattern,
    QualityRule,
    QualityRules,
    Range,
    Rename,
    RowCount,
    Unique,
    key_of,
    orderings,
)
from domain.pipeline.shape import joined

Columns = dict[str, str]


def unknown_columns(names: Iterable[str], columns: Columns, path: str) -> Iterator[Problem]:
    """Names that are no columns, each with its candidates."""
    for name in names:
        if name not in columns:
            hint = did_you_mean(name, [*columns])
            yield Problem(path=path, message=f"there is no column `{name}`", hint=hint)


def ordered_by(order_by: tuple[str, ...], columns: Columns, path: str) -> Iterator[Problem]:
    """Entries of an `order_by` that name no column."""
    for place, one in enumerate(orderings(order_by)):
        yield from unknown_columns([one.column], columns, joined(path, place))


def cleaned(
    rules: CleanRules, columns: Columns, engine: EmptyTables, path: str, problems: list[Problem]
) -> Columns:
    """The columns that cleaning leaves; what is wrong with a rule is added to `problems`."""
    for place, rule in enumerate(rules):
        at = joined(joined(path, place), key_of(rule))
        found = list(_clean_problems(rule, columns, engine, at))
        problems += found
        if not found:
            columns = _after(rule, columns, engine)
    return columns


def quality_problems(
    rules: QualityRules, columns: Columns, engine: EmptyTables, path: str
) -> Iterator[Problem]:
    """Rules that cannot be evaluated on these columns."""
    for place, rule in enumerate(rules):
        at = joined(joined(path, place), key_of(rule))
        found = list(unknown_columns(_columns_of(rule), columns, at))
        yield from found or _evaluated(rule, columns, engine, at)


def _clean_problems(
    rule: CleanRule, columns: Columns, engine: EmptyTables, path: str
) -> Iterator[Problem]:
    match rule:
        case DropNulls(drop_nulls=names):
            yield from unknown_columns(names, columns, path)
        case Deduplicate():
            yield from unknown_columns(rule.deduplicate, columns, path)
            at = joined(path.rpartition(".")[0], "order_by")
            yield from ordered_by(rule.order_by, columns, at)
        case KeepRows(keep_rows=condition):
            yield from _condition(condition, columns, engine, path)
        case Cast(cast=types):
            yield from _casts(types, columns, engine, path)
        case Rename(rename=names):
            yield from unknown_columns(names, columns, path)
            yield from _names_twice(names, columns, path)


def _condition(
    condition: str, columns: Columns, engine: EmptyTables, path: str
) -> Iterator[Problem]:
    try:
        type_ = engine.type_of(condition, columns)
    except SqlRefused as error:
        yield sql_problem(error, path)
        return
    if type_ != "BOOLEAN":
        yield Problem(path=path, message=f"a condition is true or false, this is {type_.lower()}")


def _casts(
    types: Mapping[str, str], columns: Columns, engine: EmptyTables, path: str
) -> Iterator[Problem]:
    for name, type_ in types.items():
        at = joined(path, name)
        found = list(unknown_columns([name], columns, at))
        yield from found
        if found:
            continue
        try:
            engine.type_of(careful_cast(name, columns[name], sql_type(type_)), columns)
        except SqlRefused as error:
            yield Problem(path=at, message=error.message)


def _names_twice(names: Mapping[str, str], columns: Columns, path: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for name in (names.get(one, one) for one in columns):
        if name.lower() in seen:
            yield Problem(path=path, message=f"two columns would be called `{name}`")
        seen.add(name.lower())


def _after(rule: CleanRule, columns: Columns, engine: EmptyTables) -> Columns:
    match rule:
        case Cast(cast=types):
            settled = {name: engine.settled_type(sql_type(type_)) for name, type_ in types.items()}
            return {**columns, **settled}
        case Rename(rename=names):
            return {names.get(name, name): type_ for name, type_ in columns.items()}
        case DropNulls() | Deduplicate() | KeepRows():
            return columns


def _columns_of(rule: QualityRule) -> tuple[str, ...]:
    match rule:
        case NotNull(not_null=names) | Unique(unique=names):
            return names
        case AcceptedValues(accepted_values=by_column):
            return tuple(by_column)
        case Range(range=ranges):
            return tuple(ranges)
        case Pattern(pattern=patterns):
            return tuple(patterns)
        case RowCount():
            return ()


def _evaluated(
    rule: QualityRule, columns: Columns, engine: EmptyTables, path: str
) -> Iterator[Problem]:
    if isinstance(rule, NotNull | Unique | RowCount):
        return
    # The very query that a run will ask, on no rows: what it refuses here it would refuse then.
    try:
        connection = engine.with_tables({"rows_of_step": columns})
        if isinstance(rule, Pattern):
            for pattern in rule.pattern.values():
                connection.execute("select regexp_full_match('', $1)", [pattern])
        evaluate(DuckEngine(connection), '"rows_of_step"', QualityRules((rule,)))
    except StepBroken as error:
        yield Problem(path=path, message=error.message, hint=error.hint)
    except duckdb.Error as error:
        yield Problem(path=path, message=refused(error).message)


def sql_problem(error: SqlRefused, path: str, file: str = "") -> Problem:
    """A refused text as a problem of the place where it stands; in a file of its own, `file`."""
    if file and error.text_line:
        message = f"{file}:{error.text_line}: {error.message}"
        return Problem(path=path, message=message, hint=error.hint)
    return Problem(path=path, message=error.message, hint=error.hint, text_line=error.text_line)
