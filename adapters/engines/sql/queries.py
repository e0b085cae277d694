"""What a query reads, found in its text by sqlglot; DuckDB itself has the last word later."""

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.scope import build_scope, traverse_scope

from domain.errors import Malformed

DIALECT = "duckdb"

_READS_NOTHING = (exp.GenerateSeries, exp.Unnest, exp.Explode)
_MADE_FROM_VALUES = frozenset(("range", "generate_series", "unnest", "generate_subscripts"))
_WRITES = (exp.DML, exp.DDL, exp.Command, exp.Drop, exp.Alter, exp.Set, exp.Use, exp.Attach)


def parsed(sql: str) -> exp.Query | None:
    """The query's tree, or None where sqlglot cannot read it."""
    try:
        statements = [one for one in sqlglot.parse(sql, dialect=DIALECT) if one is not None]
    except (SqlglotError, RecursionError, ValueError):
        return None
    first = statements[0] if statements else None
    return first if len(statements) == 1 and isinstance(first, exp.Query) else None


def tables_of(sql: str) -> tuple[str, ...] | None:
    """Names of the tables that one query reads, in the order of their appearance.

    None where sqlglot cannot read the query. Raises `Malformed` for what a step's query must not
    hold: other statements, table functions, files, names of schemas.
    """
    tree = parsed(sql)
    if tree is None:
        return None
    if any(isinstance(node, _WRITES) for node in tree.walk()):
        raise Malformed("a step's SQL can only read", hint="write one SELECT")
    try:
        scopes = list(traverse_scope(tree)) if build_scope(tree) else []
    except (SqlglotError, RecursionError, KeyError):
        return None
    read = {id(source) for scope in scopes for source in _tables(scope.sources.values())}
    with_names = {cte.alias_or_name.lower() for cte in tree.find_all(exp.CTE)}
    found = [
        table
        for table in tree.find_all(exp.Table, bfs=False)
        if id(table) in read or table.name.lower() not in with_names
    ]
    return tuple(dict.fromkeys(name for table in found if (name := _name(table))))


def _tables(sources: object) -> list[exp.Table]:
    return [one for one in sources if isinstance(one, exp.Table)]  # type: ignore[attr-defined]


def _name(table: exp.Table) -> str:
    source = table.this
    if isinstance(source, _READS_NOTHING):
        return ""
    if isinstance(source, exp.Func):
        word = source.name if isinstance(source, exp.Anonymous) else source.sql_name()
        if word.lower() in _MADE_FROM_VALUES:
            return ""
        raise Malformed(
            f"the table function `{word.lower()}` cannot be read from",
            hint="SQL reads steps only; files come in through sources and ingest steps",
        )
    if table.args.get("db") or table.args.get("catalog"):
        shown = ".".join(part.name for part in table.parts)
        raise Malformed(f"`{shown}` names a schema", hint="write the step's id alone")
    return table.name.lower()
