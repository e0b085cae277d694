# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""The terms of a contract held against one relation: what can be counted is counted in one scan."""

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from commands.steps.ports import Engine, broken
from commands.steps.quality import Values
from commands.steps.sql import is_temporal, listed, quoted
from domain.data.contract import Contract
from domain.data.term import (
    Length,
    Limit,
    Matches,
    Metric,
    MultipleOf,
    OneOf,
    Query,
    Required,
    RowTerm,
    Term,
    Unique,
    Value,
)

_terms_in_a_scan = 500
"""A query with more aggregates than that plans longer than another scan takes."""

_nearly = 1e-9
"""Doubles are multiples of a number if they miss it by less than this share of it."""

ROW = quoted("file_row_number")
"""The place of each row in a scan of its file, from 0."""

_PLACE = re.compile(r"\$?\{(table|object|model|schema|dataset|column|field|property)\}")


class Relation(Struct, frozen=True, kw_only=True):
    """What terms are held against."""

    source: str
    """SQL that can stand behind `from`."""
    columns: dict[str, str]
    """Name → the engine's type."""


class Verdict(Struct, frozen=True, kw_only=True):
    """What a term came to."""

    term: Term
    passed: bool
    checked: int | None = None
    """Rows that it is about; null where it is not about rows."""
    failing: int | None = None
    """Rows that break it; null where it is not about single rows."""
    nulls: int | None = None
    """Rows that pass only because their value is missing."""
    observed: str = ""


def judged(engine: Engine, contract: Contract, relation: Relation) -> tuple[Verdict, ...]:
    """Every term of a contract held against a relation, in the order of the contract."""
    verdicts: list[Verdict] = []
    for start in range(0, max(1, len(contract.terms)), _terms_in_a_scan):
        terms = contract.terms[start : start + _terms_in_a_scan]
        verdicts += _scanned(engine, relation, terms)
    return tuple(
        _asked(engine, contract, verdict.term) if isinstance(verdict.term, Query) else verdict
        for verdict in verdicts
    )


def breaking(term: RowTerm, columns: Mapping[str, str], values: Values) -> str:
    """SQL that is true for a row that breaks the term and false for any other."""
    match term:
        case Unique(columns=names):
            keys = listed(names)
            repeats = f"row_number() over (partition by {keys} order by {ROW}) > 1"
            return f"({whole(names)} and {repeats})"
        case Required(column=column, missing=missing):
            return _missing(column, missing, values)
        case OneOf(column=column, values=wanted):
            return _known(f"not ({_among(column, wanted, columns[column], values)})", column)
        case Limit(column=column, operator=operator, bound=bound):
            place = _typed(values.bind(bound), columns[column])
            return _known(f"not ({quoted(column)} {operator} {place})", column)
        case Length(column=column, operator=operator, characters=characters):
            return _known(f"not (length({_text(column)}) {operator} {characters})", column)
        case Matches(column=column, pattern=pattern):
            return _known(f"not {_found(column, pattern, values)}", column)
        case MultipleOf(column=column, factor=factor):
            share = f"{quoted(column)} / {values.bind(float(factor))}"
            return _known(f"not (abs({share} - round({share})) <= {_nearly})", column)


def whole(names: Sequence[str]) -> str:
    """SQL: whether a row has a value in each of these columns."""
    return "(" + " and ".join(f"{quoted(one)} is not null" for one in names) + ")"


def _known(wrong: str, column: str) -> str:
    return f"({quoted(column)} is not null and {wrong})"


def _text(column: str) -> str:
    return f"cast({quoted(column)} as varchar)"


def _found(column: str, pattern: str, values: Values) -> str:
    return f"regexp_matches({_text(column)}, {values.bind(pattern)})"


def _typed(place: str, type_: str) -> str:
    return f"cast({place} as {type_})" if is_temporal(type_) else place


def _among(column: str, wanted: Sequence[Value], type_: str, values: Values) -> str:
    if not wanted:
        return "false"
    if is_temporal(type_):
        shown, places = quoted(column), [_typed(values.bind(one), type_) for one in wanted]
    elif any(isinstance(one, str) for one in wanted):
        shown, places = _text(column), [values.bind(str(one)) for one in wanted]
    else:
        shown, places = quoted(column), [values.bind(one) for one in wanted]
    return f"{shown} in ({', '.join(places)})"


def _missing(column: str, missing: Sequence[Value], values: Values) -> str:
    texts = [values.bind(str(one)) for one in missing]
    listed_ = f" or {_text(column)} in ({', '.join(texts)})" if texts else ""
    return f"({quoted(column)} is null{listed_})"


def _scanned(engine: Engine, relation: Relation, terms: Sequence[Term]) -> list[Verdict]:
    values = Values()
    wanted = ["count(*)"]
    for term in terms:
        wanted += [_counted(term, relation, values), _nulls(term)]
    row = engine.rows(f"select {', '.join(wanted)} from {relation.source}", values.bound)[0]
    counts = [value if isinstance(value, int) else None for value in row]
    return [
        _verdict(term, counts[0] or 0, counts[1 + 2 * place], counts[2 + 2 * place])
        for place, term in enumerate(terms)
    ]


def _counted(term: Term, relation: Relation, values: Values) -> str:
    match term:
        case Query():
            return "null"
        case Unique(columns=names):
            distinct = f"count(distinct row({listed(names)})) filter (where {whole(names)})"
            return f"count(*) filter (where {whole(names)}) - {distinct}"
        case Metric():
            return _measured(term, relation, values)
        case _:
            wrong = breaking(term, relation.columns, values)
            return f"count(*) filter (where {wrong})"


def _measured(term: Metric, relation: Relation, values: Values) -> str:
    match term.metric:
        case "rowCount":
            return "count(*)"
        case "duplicateValues":
            groups = (
                f"select 1 from {relation.source} where {whole(term.columns)} "
                f"group by {listed(term.columns)} having count(*) > 1"
            )
            return f"(select count(*) from ({groups}))"
        case "nullValues" | "missingValues":
            wrong = _missing(term.columns[0], term.values, values)
        case "invalidValues":
            column = term.columns[0]
            good = []
            if term.values:
                good.append(_among(column, term.values, relation.columns[column], values))
            if term.pattern:
                good.append(_found(column, term.pattern, values))
            wrong = _known(f"not ({' and '.join(good)})", column)
    return f"count(*) filter (where {wrong})"


def _nulls(term: Term) -> str:
    match term:
        case OneOf() | Limit() | Length() | Matches() | MultipleOf():
            return f"count(*) filter (where {quoted(term.column)} is null)"
        case _:
            return "null"


def _verdict(term: Term, total: int, counted: int | None, nulls: int | None) -> Verdict:
    match term:
        case Metric(metric=metric, comparison=comparison, is_percent=is_percent):
            number = counted or 0
            share = round(100 * number / total, 6) if total else 0.0
            observed = f"{share} % ({number} of {total} rows)" if is_percent else str(number)
            return Verdict(
                term=term,
                passed=comparison.holds(share if is_percent else number),
                checked=total,
                failing=None if metric in ("rowCount", "duplicateValues") else number,
                observed=f"{metric} = {observed}",
            )
        case Query():
            return Verdict(term=term, passed=True)
        case _:
            return Verdict(
                term=term, passed=counted == 0, checked=total, failing=counted, nulls=nulls
            )


def _asked(engine: Engine, contract: Contract, term: Query) -> Verdict:
    rows = engine.rows(asked(term, contract, engine))
    value = rows[0][0] if len(rows) == 1 else None
    if len(rows) != 1:
        observed = f"{len(rows)} rows instead of one number"
    else:
        observed = "no number" if value is None else str(value)
    try:
        number = float(str(value))
    except ValueError:
        return Verdict(term=term, passed=False, observed=observed)
    return Verdict(term=term, passed=term.comparison.holds(number), observed=observed)


def asked(term: Query, contract: Contract, engine: Engine) -> str:
    """The query of a term, the table's name in it. Raises `StepBroken` for what is not one SELECT
    of one number."""
    names = {"column": term.column, "field": term.column, "property": term.column}
    query = _PLACE.sub(lambda found: quoted(names.get(found[1]) or contract.table), term.query)
    query = query.strip().rstrip(";")
    if engine.params(query):
        raise broken("sql_error", "the query of a contract has no params")
    columns = engine.columns(f"from (\n{query}\n)")
    if len(columns) != 1 or not _is_number(next(iter(columns.values()))):
        shown = ", ".join(f"{name} {type_}" for name, type_ in columns.items())
        raise broken("sql_error", f"one number is wanted, and the query gives {shown[:200]}")
    return query


def _is_number(type_: str) -> bool:
    return type_.endswith("INT") or type_.startswith(("INTEGER", "UINT", "DOUBLE", "FLOAT", "DEC"))
