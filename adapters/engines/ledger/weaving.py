# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""One SELECT written anew, so that it carries the numbers of its inputs' rows along."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace
from sqlglot import exp

from adapters.engines.sql.blocks import Block
from adapters.engines.sql.conditions import Conditions
from adapters.engines.sql.flattening import Unprovable
from adapters.engines.sql.relations import (
    Carried,
    Relation,
    aliased,
    column_of,
    only_table,
    parsed_expression,
    parsed_select,
)
from commands.steps.sql import quoted


def carrying_of(block: Block, parts: list[Relation | None]) -> tuple[exp.Select, bool]:
    """The SELECT with hidden columns, and whether these are lists now."""
    select = block.select.copy()
    put_in(select, block, parts)
    hidden = {
        part.alias: [one.column for one in relation.carried]
        for part, relation in zip(block.parts, parts, strict=True)
        if relation is not None
    }
    _leave_out(select, hidden)
    carried = [one for part in parts if part is not None for one in part.carried]
    merges = block.is_distinct or (block.is_grouped and not block.has_aggregates)
    if not block.is_grouped:
        for one in carried:
            select.append("expressions", column_of(one.column))
    else:
        for one, text in zip(carried, _gathered(carried, is_distinct=merges), strict=True):
            gathered = exp.alias_(
                parsed_expression(text), exp.to_identifier(one.column, quoted=True)
            )
            select.append("expressions", gathered)
            if isinstance(group := select.args.get("group"), exp.Group):
                group.set("this", None)
    if not block.is_distinct:
        return select, block.is_grouped
    if block.picks:
        raise Unprovable(f"`distinct` with `{block.picks[0]}`")
    select.set("distinct", None)
    select.set("order", None)
    lists = [replace(one, is_list=one.is_list or block.is_grouped) for one in carried]
    return made_distinct(select, lists), True


def made_distinct(select: exp.Query, carried: list[Carried]) -> exp.Select:
    """A query without rows that stand twice; each row lists all that it is made from."""
    left_out = ", ".join(quoted(one.column) for one in carried)
    gathered = zip(carried, _gathered(carried, is_distinct=True), strict=True)
    lists = ", ".join(f"{text} as {quoted(one.column)}" for one, text in gathered)
    if not carried:
        return exp.select("*").distinct().from_(select.subquery())
    outer = parsed_select(f"select * exclude ({left_out}), {lists} from inside group by all")
    only_table(outer).replace(select.subquery(exp.to_identifier("inside")))
    return outer


def _gathered(carried: Sequence[Carried], *, is_distinct: bool) -> list[str]:
    """What each hidden column lists where rows are put together. `is_distinct`: a row of an input
    counts once, however often it was read; the first of its columns lists it."""
    lists = [_list_of(one) for one in carried]
    if not is_distinct:
        return lists
    inputs = [one.input for one in carried]
    found = []
    for place, name in enumerate(inputs):
        if name in inputs[:place]:
            found.append("null::bigint[]")
            continue
        mine = [text for other, text in zip(inputs, lists, strict=True) if other == name]
        all_ = mine[0]
        for text in mine[1:]:
            all_ = f"list_concat({all_}, {text})"
        found.append(f"list_distinct({all_})")
    return found


def _list_of(one: Carried) -> str:
    name = quoted(one.column)
    text = f"list({name}) filter (where {name} is not null)"
    return f"flatten({text})" if one.is_list else text


def put_in(select: exp.Select, block: Block, parts: list[Relation | None]) -> None:
    """Replace each source by its relation."""
    source = select.args.get("from_")
    nodes = [source.this] if source is not None else []
    nodes += [join.this for join in select.args.get("joins") or ()]
    for node, part, relation in zip(nodes, block.parts, parts, strict=True):
        if relation is None:
            continue
        node.replace(aliased(relation, part.alias))


def stars_of(select: exp.Select) -> list[tuple[exp.Expr, exp.Star]]:
    """The select list's stars, each in what stands there. Raises `Unprovable` for those that are
    part of something else."""
    if select.find(exp.Columns) is not None:
        raise Unprovable("`columns(…)`")
    found = []
    for one in select.expressions:
        stars = [node for node in one.find_all(exp.Star) if not isinstance(node.parent, exp.Count)]
        if stars and (not one.is_star or len(stars) > 1):
            raise Unprovable("`*` inside an expression")
        found += [(one, star) for star in stars]
    return found


def _leave_out(select: exp.Select, hidden: Mapping[str, list[str]]) -> None:
    """Stars do not stand for hidden columns."""
    for one, star in stars_of(select):
        table = one.table.lower() if isinstance(one, exp.Column) else ""
        names = hidden.get(table, []) if table else [name for of in hidden.values() for name in of]
        before = star.args.get("except_") or []
        star.set("except_", [*before, *(column_of(name) for name in names)] or None)


def flat_of(
    block: Block, parts: list[Relation | None], conditions: Conditions
) -> exp.Select | None:
    """The hidden columns alone, before anything is put together."""
    carried = [one for part in parts if part is not None for one in part.carried]
    relations = [part for part in parts if part is not None]
    if (
        block.is_distinct
        or block.picks
        or block.select.args.get("having") is not None
        or (block.is_grouped and not block.has_aggregates)
        or block.explodes
        or any(one.is_list for one in carried)
        or any(one.flat is None for one in relations)
    ):
        return None
    select = block.select.copy()
    put_in(select, block, parts)
    for key in ("group", "order", "windows", "where"):
        select.set(key, None)
    select.set("expressions", [column_of(one.column) for one in carried] or [exp.Literal.number(1)])
    return select.where(*(one.copy() for one in conditions.everywhere))
