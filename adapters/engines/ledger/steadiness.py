"""Whether a query gives the same of the same data each time, whatever the order of its ties."""

from collections.abc import Iterator

from sqlglot import exp

from adapters.engines.sql.vocabulary import is_aggregate, name_of

_STEADY = frozenset(
    (
        *("count", "count_star", "count_if", "min", "max", "bool_and", "bool_or"),
        *("bit_and", "bit_or", "bit_xor", "rank", "dense_rank"),
    )
)
"""Functions of many rows whose answer does not hang on the order of these. Sums are none of them:
those of fractions differ in the last digits."""
_BOUNDS = (exp.EQ, exp.LT, exp.LTE)


def picks_rows(query: exp.Query) -> bool:
    """Whether a query may answer with other rows of the same data."""
    return any(
        isinstance(one, exp.Limit | exp.Offset | exp.Window)
        or is_aggregate(one)
        or (isinstance(one, exp.Distinct) and one.args.get("on") is not None)
        for one in query.walk()
    )


def is_count_steady(query: exp.Query) -> bool:
    """Whether a query always gives as many rows of the same data."""
    inner = query.unnest()
    if isinstance(inner, exp.Union):
        if inner.args.get("distinct"):
            return not any(map(_may_differ, _all(inner)))
        return all(isinstance(one, exp.Query) and is_count_steady(one) for one in _sides(inner))
    if not isinstance(inner, exp.Select):
        return False
    distinct = inner.args.get("distinct")
    is_plain = distinct is not None and distinct.args.get("on") is None
    deciding = ["with_", "from_", "joins", "where", "group", "having"]
    if is_plain:
        deciding += ["expressions", "limit", "offset"]
    qualify = inner.args.get("qualify")
    if qualify is not None and numbering_in(qualify.this) is None:
        deciding.append("qualify")
    parts = (part for key in deciding for part in _listed(inner.args.get(key)))
    return not any(_may_differ(node) for part in parts for node in part.walk())


def _may_differ(node: exp.Expr) -> bool:
    if isinstance(node, exp.Window):
        return name_of(node.this) not in _STEADY
    if isinstance(node, exp.Distinct):
        return node.args.get("on") is not None
    if isinstance(node, exp.Limit | exp.Offset):
        return True
    return is_aggregate(node) and name_of(node) not in _STEADY


def numbering_in(condition: exp.Expr) -> tuple[exp.Window, str] | None:
    """`row_number() over (…) = 1`, which keeps as many rows, whichever they are: the window, and
    how many of `n` rows of a part are kept; None for other conditions."""
    inner = condition.unnest()
    if not isinstance(inner, _BOUNDS) or not isinstance(inner.expression, exp.Literal):
        return None
    window, bound = inner.this.unnest(), inner.expression
    if not isinstance(window, exp.Window) or not isinstance(window.this, exp.RowNumber):
        return None
    if not bound.is_int:
        return None
    match inner:
        case exp.EQ():
            return window, f"case when {bound.name} between 1 and n then 1 else 0 end"
        case exp.LT():
            return window, f"least(n, greatest({bound.name} - 1, 0))"
    return window, f"least(n, greatest({bound.name}, 0))"


def _sides(union: exp.Union) -> tuple[exp.Expr, exp.Expr]:
    return union.left, union.right


def _all(query: exp.Query) -> Iterator[exp.Expr]:
    return query.walk()


def _listed(part: object) -> list[exp.Expr]:
    found = part if isinstance(part, list) else [part]
    return [one for one in found if isinstance(one, exp.Expr)]
