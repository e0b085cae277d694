# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""Two parts of a query one below the other, each with the hidden columns of both."""

from msgspec.structs import replace
from sqlglot import exp

from adapters.engines.ledger.steadiness import picks_rows
from adapters.engines.ledger.weaving import made_distinct
from adapters.engines.sql.flattening import Unprovable
from adapters.engines.sql.relations import Carried, Relation, column_of, only_table, parsed_select
from commands.steps.sql import quoted


def branch_of(query: exp.Expr) -> exp.Query:
    """One side of a union. Raises `Unprovable` for what is no query."""
    if not isinstance(query, exp.Query):
        raise Unprovable(f"`{query.key}` in UNION")
    return query


def renamed(one: Carried, left: list[str], right: list[str]) -> Carried:
    """The second branch of a union gets the column names of the first."""
    names = {old.lower(): new.lower() for old, new in zip(right, left, strict=True)}
    shown = [
        exp.alias_(column_of(old), exp.to_identifier(new, quoted=True))
        for old, new in names.items()
        if old in one.available
    ]
    select = exp.Select(expressions=[*shown, column_of(one.column)]).from_(
        one.passing.copy().subquery(exp.to_identifier("inside"))
    )
    available = frozenset(new for old, new in names.items() if old in one.available)
    return replace(one, passing=select, available=available)


def stacked(left: Relation, right: Relation) -> exp.Query:
    """Both branches, each with the hidden columns of both."""
    rights = ", ".join(quoted(one.column) for one in right.carried)
    outer_left = f"select *{_nulls(right)} from inside"
    star = f"* exclude ({rights})" if rights else "*"
    shown = f"{star}{_nulls(left)}{', ' + rights if rights else ''}"
    branches = []
    for text, relation in ((outer_left, left), (f"select {shown} from inside", right)):
        tree = parsed_select(text)
        only_table(tree).replace(relation.carrying.copy().subquery(exp.to_identifier("inside")))
        branches.append(tree)
    return exp.union(branches[0], branches[1], distinct=False)


def stacked_flat(left: Relation, right: Relation) -> exp.Query:
    """Both flat forms, each with the hidden columns of both."""
    branches = []
    for mine, other, first in ((left, right, True), (right, left, False)):
        own = [quoted(one.column) for one in mine.carried]
        nulls = [f"null as {quoted(one.column)}" for one in other.carried]
        shown = [*own, *nulls] if first else [*nulls, *own]
        tree = parsed_select(f"select {', '.join(shown) or '1'} from inside")
        if mine.flat is None:
            raise ValueError("a branch without a flat form")
        only_table(tree).replace(mine.flat.copy().subquery(exp.to_identifier("inside")))
        branches.append(tree)
    return exp.union(branches[0], branches[1], distinct=False)


def _nulls(relation: Relation) -> str:
    return "".join(f", null as {quoted(one.column)}" for one in relation.carried)


def merged(both: exp.Query, carried: tuple[Carried, ...]) -> Relation:
    """A union that lets no row stand twice. Raises `Unprovable`."""
    inputs = [one.input for one in carried]
    repeated = [one for one in carried if inputs.count(one.input) > 1]
    if any(one.is_alone and picks_rows(one.passing) for one in repeated):
        raise Unprovable("a `union` that picks rows of an input twice")
    return Relation(
        carrying=made_distinct(both, list(carried)),
        carried=tuple(
            replace(one, is_list=True, is_alone=one.is_alone and one not in repeated)
            for one in carried
        ),
        flat=None,
        yields=False,
    )
