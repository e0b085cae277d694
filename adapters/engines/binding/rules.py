# ruff: noqa: S608  # the texts are the user's, over tables without rows
"""Rules bound against the columns that they will meet: names, types, conditions."""

from collections.abc import Iterable, Iterator, Mapping

import duckdb
from msgspec import Struct

from adapters.engines.duckdb import DuckEngine
from adapters.engines.tables import RUN_TIME, EmptyTables, SqlRefused, refused
from commands.steps.ports import StepBroken
from commands.steps.quality import Subject, evaluate
from commands.steps.sql import named_type, quoted
from domain.pipeline.names import did_you_mean
from domain.pipeline.problems import Problem
from domain.pipeline.rules import (
    Freshness,
    NotNull,
    Pattern,
    QualityRule,
    QualityRules,
    References,
    RowCount,
    Sql,
    Unique,
    columns_of,
    key_of,
    named_by,
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


class StepRows(Struct, frozen=True):
    """The rows that rules are held against, and those of the other steps that they name."""

    step: str
    columns: Columns
    others: Mapping[str, Columns | None] = {}
    """Step → its columns; None where they show only in a run."""

    def tables(self, rule: QualityRule) -> dict[str, Columns] | None:
        """Every table that a rule sees; None where one has no columns yet."""
        found = {self.step: self.columns}
        for name in named_by(rule):
            columns = self.columns if name == self.step else self.others.get(name)
            if columns is None:
                return None
            found[name] = columns
        return found


def quality_problems(
    rules: QualityRules, rows: StepRows, engine: EmptyTables, path: str
) -> Iterator[Problem]:
    """Rules that cannot be evaluated on these columns."""
    for place, rule in enumerate(rules):
        at = joined(path, place)
        tables = rows.tables(rule)
        if tables is None:
            continue
        found = [
            *unknown_columns(columns_of(rule), rows.columns, joined(at, key_of(rule))),
            *_texts(rule, rows, tables, engine, at),
        ]
        yield from found or _evaluated(rule, rows.step, tables, engine, joined(at, key_of(rule)))


def condition_problems(
    condition: str, columns: Columns, engine: EmptyTables, path: str
) -> Iterator[Problem]:
    """A text that is no condition on one row."""
    try:
        type_ = engine.type_of(condition, columns)
    except SqlRefused as error:
        yield sql_problem(error, path)
        return
    if type_ != "BOOLEAN":
        yield Problem(
            path=path, message=f"a condition is true or false, this is {named_type(type_)}"
        )


def _texts(
    rule: QualityRule, rows: StepRows, tables: dict[str, Columns], engine: EmptyTables, path: str
) -> Iterator[Problem]:
    """What is wrong with a rule's conditions and queries, and with the columns it is held to."""
    if rule.where:
        yield from condition_problems(rule.where, rows.columns, engine, joined(path, "where"))
    match rule:
        case Sql(sql=text) if not rule.is_query:
            yield from condition_problems(text, rows.columns, engine, joined(path, "sql"))
        case Sql(sql=text):
            try:
                engine.check_syntax(text)
                text = text.strip().rstrip(";")
                engine.columns_of(f"select count(*) from ({text}\n)", tables)
            except SqlRefused as error:
                yield sql_problem(error, joined(path, "sql"))
        case References():
            yield from _found_in(rule, rows.columns, tables[rule.to], path)
        case Freshness(freshness=ages):
            for column in ages:
                type_ = rows.columns.get(column, "DATE")
                if not type_.startswith(("DATE", "TIMESTAMP")):
                    at = joined(joined(path, "freshness"), column)
                    message = f"`{column}` is {named_type(type_)}, which tells no age"
                    hint = "cast it to a date or a timestamp in a step before"
                    yield Problem(path=at, message=message, hint=hint)
        case _:
            pass


def _found_in(rule: References, mine: Columns, theirs: Columns, path: str) -> Iterator[Problem]:
    at = joined(path, "columns" if rule.columns else "references")
    for column, other in zip(rule.references, rule.found_in, strict=True):
        if other not in theirs:
            hint = did_you_mean(other, [*theirs])
            message = f"`{rule.to}` has no column `{other}`"
            yield Problem(path=at, message=message, hint=hint)
        elif column in mine and (mine[column] == "VARCHAR") != (theirs[other] == "VARCHAR"):
            message = (
                f"`{column}` is {named_type(mine[column])}, and `{rule.to}.{other}` is "
                f"{named_type(theirs[other])}"
            )
            yield Problem(path=at, message=message, hint="cast one of them in a step before")


def _evaluated(
    rule: QualityRule, step: str, tables: dict[str, Columns], engine: EmptyTables, path: str
) -> Iterator[Problem]:
    if isinstance(rule, NotNull | Unique | RowCount) and not rule.where:
        return
    # The very query that a run will ask, on no rows: what it refuses here it would refuse then.
    try:
        connection = engine.with_tables(tables)
        if isinstance(rule, Pattern):
            for pattern in rule.pattern.values():
                connection.execute("select regexp_full_match('', $1)", [pattern])
        subject = Subject(
            name=step,
            relation=quoted(step),
            columns=tables[step],
            others={name: quoted(name) for name in tables},
            params=engine.values_of,
            run_time=RUN_TIME,
        )
        evaluate(DuckEngine(connection), subject, QualityRules((rule,)))
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
