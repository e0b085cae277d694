# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""Which rows of its inputs each row of a query is made from.

Every part of a query is written anew so that it carries the numbers of the rows of its inputs along
with its own columns: one number for a row that passes through, a list where rows were put together.
Beside it stands, for each input, the same part without everything else: what the conditions on that
input alone leave of it.
"""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace
from sqlglot import exp

from adapters.engines.ledger.steadiness import picks_rows
from adapters.engines.ledger.unions import (
    branch_of,
    merged,
    renamed,
    stacked,
    stacked_flat,
)
from adapters.engines.ledger.weaving import carrying_of, flat_of
from adapters.engines.sql.blocks import Asked, Block, Part, block_of
from adapters.engines.sql.conditions import Conditions, Loss
from adapters.engines.sql.flattening import Unprovable
from adapters.engines.sql.queries import DIALECT
from adapters.engines.sql.relations import (
    Carried,
    Relation,
    alias_of,
    aliased,
    column_of,
    parsed_select,
)
from commands.steps.sql import literal, quoted


class Weaver:
    """Writes queries anew. `inputs` are names in small letters and their Parquet files."""

    def __init__(self, inputs: Mapping[str, str], columns_of: Asked) -> None:
        self._inputs = inputs
        self._columns_of = columns_of
        self._given = 0
        self.fixed: list[tuple[str, exp.Query]] = []
        """Tables to be made first, in order: parts that must be the same wherever they are read."""

    def woven(self, query: exp.Query, *, is_root: bool = False) -> Relation:
        """The query with its rows' origins. Raises `Unprovable`."""
        inner = query.unnest()
        if isinstance(query, exp.Subquery) and _modified(query):
            raise Unprovable("clauses behind a query in brackets")
        if isinstance(inner, exp.Union):
            return self._union(inner)
        if isinstance(inner, exp.Select):
            return self._select(inner, is_root=is_root)
        raise Unprovable(f"`{inner.key}`")

    def _table(self, name: str) -> Relation:
        columns = self._columns_of(f"from {quoted(name)}")
        if "file_row_number" in {one.lower() for one in columns}:
            raise Unprovable("a column called `file_row_number`")
        self._given += 1
        hidden = f"headwater row {self._given}"
        base = parsed_select(
            f"select * exclude (file_row_number), file_row_number as {quoted(hidden)}"
            f" from read_parquet({literal(self._inputs[name])}, file_row_number = true)"
        )
        carried = Carried(
            input=name,
            column=hidden,
            passing=base,
            available=frozenset(one.lower() for one in columns),
        )
        return Relation(carrying=base.copy(), carried=(carried,), flat=base.copy(), yields=True)

    def _select(self, select: exp.Select, *, is_root: bool) -> Relation:
        block = block_of(select, self._inputs, self._columns_of)
        parts = [self._source(block, place) for place in range(len(block.parts))]
        carrying, is_list = carrying_of(block, parts)
        conditions = Conditions(block, self._inputs, self._columns_of)
        everything = [one for part in parts if part is not None for one in part.carried]
        read = _read(select, self._inputs)
        carried: list[Carried]
        if len(everything) == 1 and _is_alone(block, everything[0], read):
            own = conditions.everywhere
            carried = [self._alone(everything[0], block, own, carrying, is_list)]
        else:
            if block.explodes:
                raise Unprovable("`unnest` in the select list beside another input")
            carried = [
                _restricted(
                    block, parts, conditions, (place, one), is_list=is_list, is_root=is_root
                )
                for place, part in enumerate(parts)
                if part is not None
                for one in part.carried
            ]
        return Relation(
            carrying=carrying,
            carried=tuple(carried),
            flat=flat_of(block, parts, conditions),
            yields=not block.is_grouped,
        )

    def _source(self, block: Block, place: int) -> Relation | None:
        part = block.parts[place]
        if part.is_looked_at or part.kind == "made":
            return None
        if part.kind == "table":
            return self._table(part.node.name.lower())
        query = part.node.unnest()
        if not isinstance(query, exp.Query):
            raise Unprovable("a join in brackets")
        found = self.woven(query)
        return self._fixed(found) if picks_rows(query) else found

    def _fixed(self, relation: Relation) -> Relation:
        """A part that may pick other rows the next time, made once."""
        name = f"headwater part {len(self.fixed) + 1}"
        self.fixed.append((name, relation.carrying))
        table = parsed_select(f"select * from {quoted(name)}")
        carried = tuple(
            replace(one, passing=table.copy(), passes_lists=one.is_list) if one.is_alone else one
            for one in relation.carried
        )
        return Relation(
            carrying=table,
            carried=carried,
            flat=table.copy(),
            yields=True,
        )

    def _alone(
        self,
        one: Carried,
        block: Block,
        conditions: Sequence[exp.Expr],
        carrying: exp.Query,
        is_list: bool,
    ) -> Carried:
        """All that a SELECT takes away from its only input is taken by conditions on it."""
        shown = block.select.named_selects
        if any(name == "*" for name in shown) or not all(shown):
            shown = list(self._columns_of(block.select.sql(dialect=DIALECT)))
        picking = ("having", "qualify", "limit", "offset")
        is_chosen = (
            len(block.parts) > 1
            or block.explodes
            or (block.select.args.get("distinct") and not block.is_distinct)
            or any(block.select.args.get(key) for key in picking)
        )
        return Carried(
            input=one.input,
            column=one.column,
            is_list=one.is_list or is_list,
            passing=carrying.copy(),
            passes_lists=one.is_list or is_list,
            is_alone=True,
            available=frozenset(name.lower() for name in shown),
            is_whole=one.is_whole and not is_chosen and not conditions,
            removed="" if is_chosen else _removed(one, block.parts[0], conditions),
        )

    def _union(self, union: exp.Union) -> Relation:
        for key, value in union.args.items():
            if value and key not in ("this", "expression", "distinct", "order"):
                raise Unprovable(f"`{key.removesuffix('_').replace('_', ' ')}` in UNION")
        branches = [branch_of(union.left), branch_of(union.right)]
        left, right = (self.woven(one) for one in branches)
        names = [[*self._columns_of(one.sql(dialect=DIALECT))] for one in branches]
        if len({one.lower() for one in names[0]}) < len(names[0]):
            raise Unprovable("two columns with one name")
        carried = (*left.carried, *(renamed(one, *names) for one in right.carried))
        both = stacked(left, right)
        flat = None
        if left.flat is not None and right.flat is not None:
            flat = stacked_flat(left, right)
        if union.args.get("distinct"):
            return merged(both, carried)
        return Relation(
            carrying=both,
            carried=carried,
            flat=flat,
            yields=left.yields and right.yields,
        )


def _restricted(
    block: Block,
    parts: list[Relation | None],
    conditions: Conditions,
    seen: tuple[int, Carried],
    *,
    is_list: bool,
    is_root: bool,
) -> Carried:
    """The SELECT as one of its inputs sees it, without all others."""
    place, one = seen
    part = block.parts[place]
    own = conditions.own(place, one)
    exploding = [
        other
        for other, made in enumerate(block.parts)
        if made.kind == "made" and made.made_from == {place}
    ]
    shown: list[exp.Expr] = []
    names = frozenset[str]()
    if not is_root:
        shown, names = conditions.projected(place, one)
    source = exp.Subquery(this=one.passing.copy(), alias=alias_of(part.alias))
    select = exp.Select(expressions=[*shown, column_of(one.column)]).from_(source)
    joins = block.select.args.get("joins") or []
    first = len(block.parts) - len(joins)
    for other in exploding:
        if any(not conditions.is_own(on, place, one) for on in block.parts[other].on):
            raise Unprovable("`unnest` joined on a condition with another input")
        select.append("joins", joins[other - first].copy())
    for condition in own:
        select = select.where(condition.copy())
    return Carried(
        input=one.input,
        column=one.column,
        is_list=one.is_list or is_list,
        passing=select,
        passes_lists=one.passes_lists,
        available=names,
        losses=(*one.losses, *_missed(block, parts, place, one, conditions)),
        is_whole=one.is_whole and not own and not exploding,
        removed="" if exploding else _removed(one, part, own),
    )


def _removed(one: Carried, part: Part, conditions: Sequence[exp.Expr]) -> str:
    """Gives how many rows conditions on an input alone remove, where they look at its own table."""
    if not conditions:
        return one.removed
    if part.kind != "table":
        return ""
    every = " and ".join(each.sql(dialect=DIALECT) for each in conditions)
    source = f"{quoted(one.input)} as {quoted(part.alias)}"
    return f"select count(*) from {source} where ({every}) is not true"


def _missed(
    block: Block,
    parts: list[Relation | None],
    place: int,
    one: Carried,
    conditions: Conditions,
) -> tuple[Loss, ...]:
    """What takes rows away, with a query of those that a join takes where it can be asked alone."""
    found = []
    part = block.parts[place]
    for loss in conditions.losses(place, one):
        if loss.partner is None or loss.join is None or part.kind != "table":
            found.append(loss)
            continue
        partner, relation = block.parts[loss.partner], parts[loss.partner]
        source = partner.node.copy() if relation is None else aliased(relation, partner.alias)
        select = exp.Select(expressions=[column_of(one.column)]).from_(
            exp.Subquery(this=one.passing.copy(), alias=alias_of(part.alias))
        )
        kind = "SEMI" if loss.is_for_a_partner else "ANTI"
        joined = block.parts[loss.join]
        using = [exp.to_identifier(name, quoted=True) for name in joined.using]
        on = exp.and_(*(each.copy() for each in joined.on)) if joined.on else None
        select.append("joins", exp.Join(this=source, kind=kind, on=on, using=using or None))
        found.append(replace(loss, missed=select))
    return tuple(found)


def _is_alone(block: Block, one: Carried, read: set[str]) -> bool:
    """Whether nothing but one input, read once, decides on a SELECT's rows."""
    is_joined = any(part.is_looked_at for part in block.parts)
    return read == {one.input} and not one.losses and not is_joined


def _read(select: exp.Select, inputs: Mapping[str, str]) -> set[str]:
    return {table.name.lower() for table in select.find_all(exp.Table)} & set(inputs)


def _modified(query: exp.Subquery) -> bool:
    return any(value for key, value in query.args.items() if key not in ("this", "alias"))
