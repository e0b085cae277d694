# names and literals go through `commands.steps.sql`
"""Cleaning rules bound against the columns that they will meet, each behind those before it."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import duckdb

from adapters.engines.binding.rules import (
    Columns,
    condition_problems,
    ordered_by,
    unknown_columns,
)
from adapters.engines.tables import EmptyTables, SqlRefused
from commands.steps.layers import constant
from commands.steps.sql import careful_cast, is_integer, named_type, sql_type
from domain.pipeline.problems import Problem
from domain.pipeline.rules import (
    Cast,
    CleanRule,
    CleanRules,
    Deduplicate,
    DropNulls,
    Fill,
    KeepRows,
    Map,
    Rename,
    Scalar,
    Trim,
    key_of,
)
from domain.pipeline.shape import joined


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
            yield from condition_problems(condition, columns, engine, path)
        case Cast(cast=types):
            yield from _casts(types, columns, engine, path)
        case Rename(rename=names):
            yield from unknown_columns(names, columns, path)
            yield from _names_twice(names, columns, path)
        case Trim(trim=names):
            yield from _trimmed(names, columns, path)
        case Fill(fill=values):
            for name, value in values.items():
                yield from _constants(name, (value,), columns, engine, joined(path, name))
        case Map(map=maps):
            for name, pairs in maps.items():
                said = tuple(one for pair in pairs.items() for one in pair if one is not None)
                yield from _constants(name, said, columns, engine, joined(path, name))


def _trimmed(names: Iterable[str], columns: Columns, path: str) -> Iterator[Problem]:
    yield from unknown_columns(names, columns, path)
    for name in names:
        if columns.get(name, "VARCHAR") != "VARCHAR":
            message = f"`{name}` is {named_type(columns[name])}: only texts have white space"
            yield Problem(path=path, message=message)


def _constants(
    name: str, values: Sequence[Scalar], columns: Columns, engine: EmptyTables, path: str
) -> Iterator[Problem]:
    """Values that cannot be said in the column's type without loss."""
    found = list(unknown_columns([name], columns, path))
    yield from found
    for value in () if found else values:
        type_ = columns[name]
        if not _is_sayable(value, type_, engine):
            message = f"{value!r} is no {named_type(type_)}, which `{name}` is"
            yield Problem(path=path, message=message, hint="cast the column in a rule before")


def _is_sayable(value: Scalar, type_: str, engine: EmptyTables) -> bool:
    if isinstance(value, bool) and type_ not in ("BOOLEAN", "VARCHAR"):
        return False
    if is_integer(type_) and re.fullmatch(r"[-+]?[0-9]+(?:\.0+)?", str(value)) is None:
        return False
    connection = engine.with_tables({})
    try:
        connection.execute(f"select {constant(value, type_)}")
    except duckdb.Error:
        return False
    return True


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
        case DropNulls() | Deduplicate() | KeepRows() | Trim() | Fill() | Map():
            return columns
