"""One SELECT taken apart: its sources, what its joins can do to rows, and its conditions."""

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from msgspec import Struct
from sqlglot import exp

from adapters.engines.sql.flattening import Unprovable
from adapters.engines.sql.queries import DIALECT
from adapters.engines.sql.vocabulary import is_aggregate
from commands.steps.sql import quoted

Fate = Literal["inner", "left", "right", "full", "semi", "anti"]
"""What a join does: which rows of its two sides it keeps."""

_SELECT = frozenset(
    (
        *("expressions", "from_", "joins", "where", "group", "having", "qualify", "windows"),
        *("distinct", "order", "limit", "offset", "kind", "hint", "operation_modifiers"),
    )
)
_GROUP = frozenset(("expressions", "all"))
_TABLE = frozenset(("this", "alias"))
_SUBQUERY = frozenset(("this", "alias"))
_JOIN = frozenset(("this", "side", "kind", "on", "using"))
_FATES: dict[tuple[str, str], Fate] = {
    ("", ""): "inner", ("", "INNER"): "inner", ("", "CROSS"): "inner",
    ("LEFT", ""): "left", ("LEFT", "OUTER"): "left",
    ("RIGHT", ""): "right", ("RIGHT", "OUTER"): "right",
    ("FULL", ""): "full", ("FULL", "OUTER"): "full",
    ("", "SEMI"): "semi", ("LEFT", "SEMI"): "semi", ("", "ANTI"): "anti", ("LEFT", "ANTI"): "anti",
}  # fmt: skip


Asked = Callable[[str], Mapping[str, str]]
"""Name → type of a query's columns. Raises `Unprovable` where the engine refuses it."""


class Part(Struct, frozen=True, kw_only=True):
    """One source of a SELECT."""

    alias: str
    node: exp.Expr
    kind: Literal["table", "query", "made"]
    """A step's table, a query in brackets, or rows made from values."""
    columns: dict[str, str]
    """Small name → type."""
    fate: Fate | None = None
    """Of the join that brings it in; None for the first."""
    on: tuple[exp.Expr, ...] = ()
    using: tuple[str, ...] = ()
    made_from: frozenset[int] = frozenset()
    """For rows made from values: the sources whose columns they are made from."""

    @property
    def is_looked_at(self) -> bool:
        """Whether its rows only decide about others'."""
        return self.fate in ("semi", "anti")


class Block(Struct, frozen=True, kw_only=True):
    """A SELECT and its parts."""

    select: exp.Select
    parts: tuple[Part, ...]
    is_grouped: bool
    has_aggregates: bool
    is_distinct: bool
    """A plain `distinct`; `distinct on` picks rows."""
    picks: tuple[str, ...]
    """Clauses that pick rows out of others: limit, offset, qualify, distinct on."""
    explodes: bool
    """Whether `unnest` stands in the select list."""


def block_of(select: exp.Select, inputs: Mapping[str, str], columns_of: Asked) -> Block:
    """Take a SELECT apart. Raises `Unprovable` for what is not understood in full."""
    _only(select, _SELECT, "SELECT")
    if select.args.get("kind"):
        raise Unprovable(f"`select as {str(select.args['kind']).lower()}`")
    group = select.args.get("group")
    if group is not None:
        _only(group, _GROUP, "GROUP BY")
        if any(isinstance(one, exp.GroupingSets | exp.Rollup | exp.Cube) for one in group.walk()):
            raise Unprovable("grouping sets")
    having = select.args.get("having")
    after = [*select.expressions, *([having] if having else [])]
    order = select.args.get("order")
    qualify = select.args.get("qualify")
    after += [one for one in (order, qualify) if one is not None]
    has_aggregates = any(aggregates(one) for one in after)
    distinct = select.args.get("distinct")
    picks = [word for word in ("limit", "offset", "qualify") if select.args.get(word) is not None]
    if distinct is not None and distinct.args.get("on") is not None:
        picks.append("distinct on")
    return Block(
        select=select,
        parts=_parts(select, inputs, columns_of),
        is_grouped=group is not None or has_aggregates or having is not None,
        has_aggregates=has_aggregates,
        is_distinct=distinct is not None and "distinct on" not in picks,
        picks=tuple(picks),
        explodes=any(
            isinstance(node, exp.Explode | exp.Unnest)
            for one in select.expressions
            for node in outside_queries(one)
        ),
    )


def aggregates(node: exp.Expr) -> bool:
    """Whether an expression makes one value of many rows, of this query and not of one inside."""
    windowed = {id(_function(one)) for one in outside_queries(node) if isinstance(one, exp.Window)}
    return any(is_aggregate(one) and id(one) not in windowed for one in outside_queries(node))


def windows(node: exp.Expr) -> bool:
    """Whether a window stands in an expression."""
    return any(isinstance(one, exp.Window) for one in outside_queries(node))


def outside_queries(node: exp.Expr) -> Iterator[exp.Expr]:
    """The nodes of an expression, without those of queries inside it."""
    yield node
    if not isinstance(node, exp.Query):
        for child in node.iter_expressions():
            yield from outside_queries(child)


def conjuncts(condition: exp.Expr | None) -> tuple[exp.Expr, ...]:
    """The conditions that must all hold."""
    if condition is None:
        return ()
    inner = condition.unnest()
    if isinstance(inner, exp.And):
        return (*conjuncts(inner.left), *conjuncts(inner.right))
    return (condition,)


def _function(window: exp.Window) -> exp.Expr:
    inner: exp.Expr = window.this
    while isinstance(inner, exp.Filter | exp.IgnoreNulls | exp.RespectNulls | exp.Order):
        inner = inner.this
    return inner


def _only(node: exp.Expr, allowed: frozenset[str], where: str) -> None:
    for key, value in node.args.items():
        if value and key not in allowed:
            word = key.removesuffix("_").replace("_", " ")
            raise Unprovable(f"`{word}` in {where}")


def _parts(select: exp.Select, inputs: Mapping[str, str], columns_of: Asked) -> tuple[Part, ...]:
    source = select.args.get("from_")
    parts: list[Part] = []
    if source is not None:
        parts.append(_part(source.this, None, parts, inputs, columns_of))
    for join in select.args.get("joins") or ():
        parts.append(_part(join.this, join, parts, inputs, columns_of))
    names = [one.alias for one in parts if one.alias]
    for name in names:
        if names.count(name) > 1:
            raise Unprovable(f"two sources called `{name}`")
    return tuple(parts)


def _part(
    node: exp.Expr,
    join: exp.Join | None,
    before: list[Part],
    inputs: Mapping[str, str],
    columns_of: Asked,
) -> Part:
    fate, on, using = _joined(join)
    alias = node.alias_or_name.lower()
    kind: Literal["table", "query", "made"] = "made"
    if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
        _only(node, _TABLE, "FROM")
        if node.name.lower() not in inputs:
            raise Unprovable(f"the table `{node.name}`")
        kind = "table"
    elif isinstance(node, exp.Subquery):
        _only(node, _SUBQUERY, "FROM")
        if not isinstance(node.unnest(), exp.Query):
            raise Unprovable("a join in brackets")
        kind = "query"
    elif not isinstance(node, exp.Table | exp.Unnest | exp.Values):
        raise Unprovable(f"`{node.key}` in FROM")
    if kind != "made" and getattr(node.args.get("alias"), "columns", None):
        raise Unprovable("columns renamed behind the name of a source")
    made_from = _made_from(node, before) if kind == "made" else frozenset[int]()
    return Part(
        alias=alias,
        node=node,
        kind=kind,
        columns=_columns(node, kind, columns_of),
        fate=fate,
        on=on,
        using=using,
        made_from=made_from,
    )


def _joined(join: exp.Join | None) -> tuple[Fate | None, tuple[exp.Expr, ...], tuple[str, ...]]:
    if join is None:
        return None, (), ()
    if method := str(join.args.get("method") or ""):
        raise Unprovable(f"a {method.lower()} join")
    _only(join, _JOIN, "JOIN")
    side, kind = str(join.side or "").upper(), str(join.kind or "").upper()
    if (side, kind) not in _FATES:
        raise Unprovable(f"a {' '.join((side, kind)).strip().lower()} join")
    using = tuple(one.name.lower() for one in join.args.get("using") or ())
    return _FATES[side, kind], conjuncts(join.args.get("on")), using


def _made_from(node: exp.Expr, before: list[Part]) -> frozenset[int]:
    """Values may come from the columns of sources before it, as in `from t, unnest(t.list)`."""
    found = set[int]()
    if any(isinstance(one, exp.Query) for one in node.walk()):
        raise Unprovable("a query inside a function in FROM")
    for column in node.find_all(exp.Column):
        places = [
            place
            for place, part in enumerate(before)
            if (column.table.lower() == part.alias if column.table else True)
            and column.name.lower() in part.columns
        ]
        if len(places) != 1:
            raise Unprovable(f"the column `{column.sql(dialect=DIALECT)}` in FROM")
        found |= set(before[places[0]].made_from or places)
    return frozenset(found)


def _columns(node: exp.Expr, kind: str, columns_of: Asked) -> dict[str, str]:
    if kind == "query":
        return _small(columns_of(node.unnest().sql(dialect=DIALECT)))
    if kind == "table":
        return _small(columns_of(f"from {quoted(node.name.lower())}"))
    alias = node.args.get("alias")
    if alias is None or not alias.columns:
        raise Unprovable("values in FROM whose columns have no names")
    return {one.name.lower(): "" for one in alias.columns}


def _small(columns: Mapping[str, str]) -> dict[str, str]:
    found = {name.lower(): type_ for name, type_ in columns.items()}
    if len(found) < len(columns):
        raise Unprovable("two columns with one name")
    return found
