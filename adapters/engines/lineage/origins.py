"""Where the columns of a query come from, followed through its parts by sqlglot."""

from collections.abc import Iterator, Mapping

from msgspec import Struct
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

from adapters.engines.sql.queries import DIALECT, parsed
from adapters.engines.tables import SqlRefused, names_of

Column = tuple[str, str]
"""Table and column."""

_NOT_UNDERSTOOD = (SqlglotError, RecursionError, KeyError, IndexError, ValueError, AttributeError)
"""What sqlglot raises on queries that it can parse and not follow."""

_OPEN_ENDED = (exp.Star, exp.Columns)
"""Projections that stand for a number of columns which only the engine knows."""


class Origins(Struct, frozen=True):
    """What a column is made from."""

    direct: frozenset[Column] = frozenset()
    """Their values flow in."""
    indirect: frozenset[Column] = frozenset()
    """They filter, join, group or order."""

    def __or__(self, other: "Origins") -> "Origins":
        return Origins(self.direct | other.direct, self.indirect | other.indirect)

    def aside(self) -> "Origins":
        """The same, none of whose values flow in."""
        return Origins(frozenset(), self.direct | self.indirect)


def traced(sql: str, schemas: Mapping[str, Mapping[str, str]]) -> dict[str, Origins]:
    """Origins of each column of a query over tables with these columns; empty where they cannot
    be told."""
    tree = parsed(sql)
    if tree is None:
        return {}
    lower = {
        table.lower(): {column.lower(): type_ for column, type_ in columns.items()}
        for table, columns in schemas.items()
    }
    try:
        qualified = qualify(
            tree.copy(),
            schema={**lower},
            dialect=DIALECT,
            validate_qualify_columns=False,
            quote_identifiers=False,
        )
        root = build_scope(qualified)
        if root is None or any(isinstance(one, _OPEN_ENDED) for one in _selects(root)):
            return {}
        names = _output_names(sql, tree, root, schemas)
        tracer = _Tracer(schemas)
        return {name: tracer.output(root, place) for place, name in enumerate(names)}
    except _NOT_UNDERSTOOD:
        return {}


def _query(scope: Scope) -> exp.Selectable:
    found = scope.expression.unnest()
    if not isinstance(found, exp.Selectable):
        raise ValueError(f"a {found.key} has no columns of its own")  # as all others
    return found


def _selects(scope: Scope) -> list[exp.Expr]:
    return [one.this if isinstance(one, exp.Alias) else one for one in _query(scope).selects]


def _output_names(
    sql: str, tree: exp.Query, root: Scope, schemas: Mapping[str, Mapping[str, str]]
) -> list[str]:
    """The columns' names as the engine gives them."""
    names = _query(root).named_selects
    if any(not name or name.startswith("_col_") for name in names):
        try:
            return list(names_of(sql, schemas))
        except SqlRefused as error:
            raise ValueError(error.message) from error
    spelled = {column.lower(): column for columns in schemas.values() for column in columns}
    spelled |= {alias.alias.lower(): alias.alias for alias in tree.find_all(exp.Alias)}
    return [spelled.get(name.lower(), name) for name in names]


class _Tracer:
    def __init__(self, schemas: Mapping[str, Mapping[str, str]]) -> None:
        self._spelled = {
            table.lower(): (table, {column.lower(): column for column in columns})
            for table, columns in schemas.items()
        }
        self._known: dict[tuple[int, int], Origins] = {}
        self._aside: dict[int, Origins] = {}

    def output(self, scope: Scope, place: int) -> Origins:
        """Origins of the scope's column at `place`."""
        key = (id(scope), place)
        if key not in self._known:
            self._known[key] = Origins()  # what a recursive query finds when it comes round
            self._known[key] = self._output(scope, place)
        return self._known[key]

    def _output(self, scope: Scope, place: int) -> Origins:
        if scope.set_operation_scopes:
            found = Origins()
            for branch in scope.set_operation_scopes:
                found |= self.output(branch, place)
            return found
        return self._of(_query(scope).selects[place], scope) | self._conditions(scope)

    def _conditions(self, scope: Scope) -> Origins:
        """What decides on the rows of a scope."""
        if id(scope) not in self._aside:
            found = Origins()
            for clause in _clauses(scope.expression.unnest()):
                found |= self._of(clause, scope).aside()
            self._aside[id(scope)] = found
        return self._aside[id(scope)]

    def _of(self, node: exp.Expr, scope: Scope) -> Origins:
        match node:
            case exp.Column():
                return self._column(node, scope)
            case exp.Query() | exp.Subquery():
                return self._subquery(node, scope)
            case exp.Window() | exp.Filter() | exp.If():
                return self._partly(node, scope)
        found = Origins()
        for child in node.iter_expressions():
            found |= self._of(child, scope)
        return found

    def _partly(self, node: exp.Expr, scope: Scope) -> Origins:
        """Windows, filtered aggregates and cases: some parts flow in, the others decide."""
        flows = ("true", "false") if isinstance(node, exp.If) else ("this",)
        found = Origins()
        for child in node.iter_expressions():
            inner = self._of(child, scope)
            found |= inner if child.arg_key in flows else inner.aside()
        return found

    def _subquery(self, node: exp.Expr, scope: Scope) -> Origins:
        wanted = node.unnest()
        found = Origins()
        for inner in scope.subquery_scopes:
            if inner.expression.unnest() is wanted:
                for place, _ in enumerate(_query(inner).selects):
                    found |= self.output(inner, place)
        return found

    def _column(self, column: exp.Column, scope: Scope) -> Origins:
        source = scope.sources.get(column.table)
        if isinstance(source, exp.Table):
            table, spelled = self._spelled.get(source.name.lower(), ("", {}))
            name = spelled.get(column.name.lower())
            return Origins(frozenset([(table, name)])) if name else Origins()
        if isinstance(source, Scope):
            return self._from_scope(column.name, source, scope)
        if scope.parent is not None:  # a query inside another may look outwards
            return self._column(column, scope.parent)
        return Origins()

    def _from_scope(self, name: str, source: Scope, scope: Scope) -> Origins:
        expression = source.expression.unnest()
        if not isinstance(expression, exp.Query):  # such as unnest(column)
            found = Origins()
            for child in expression.iter_expressions():
                found |= self._of(child, scope)
            return found
        names = source.outer_columns or _query(source).named_selects
        return self.output(source, [one.lower() for one in names].index(name.lower()))


def _clauses(select: exp.Expr) -> Iterator[exp.Expr]:
    """The parts of a query that decide which rows there are, and what is counted together."""
    for key in ("where", "having", "qualify", "distinct"):
        if (clause := select.args.get(key)) is not None:
            yield clause
    for join in select.args.get("joins") or ():
        if (condition := join.args.get("on")) is not None:
            yield condition
    if (group := select.args.get("group")) is not None:
        yield group
        if group.args.get("all"):
            keys = select.selects if isinstance(select, exp.Selectable) else []
            yield from (one for one in keys if one.find(exp.AggFunc) is None)
    if select.args.get("limit") is not None and (order := select.args.get("order")) is not None:
        yield order
