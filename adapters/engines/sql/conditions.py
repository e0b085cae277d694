"""Which condition of a SELECT concerns which of its sources, and which rows it takes away."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct
from sqlglot import exp

from adapters.engines.sql.blocks import (
    Asked,
    Block,
    Fate,
    Part,
    aggregates,
    conjuncts,
    outside_queries,
    windows,
)
from adapters.engines.sql.flattening import Unprovable
from adapters.engines.sql.queries import DIALECT


class Seen(Struct, frozen=True, kw_only=True):
    """One input, as a part of a query shows it."""

    input: str
    available: frozenset[str]
    """The small names of the columns that are made from it alone."""


class Loss(Struct, frozen=True, kw_only=True):
    """Something that can take rows of an input away for want of something in another."""

    words: str
    """What becomes of these rows, behind their number."""
    fix: str = ""
    keys: tuple[str, ...] = ()
    """Columns of the input's own table that a join compares."""
    join: int | None = None
    """The place of the source that the join brings in."""
    partner: int | None = None
    """The place of the only source that it compares this one with, if that is so."""
    is_for_a_partner: bool = False
    """Whether rows go because they have a partner."""
    is_optional: bool = False
    """Whether an outer join says that only the other side's rows are kept."""
    missed: exp.Query | None = None
    """The numbers of the rows that this join alone takes."""


_FIXES: dict[tuple[Fate | None, bool], str] = {
    ("inner", True): "`left join {name}` keeps them",
    ("inner", False): "`right join {name}` keeps them",
    ("left", False): "`full join {name}` keeps them",
    ("right", True): "`full join {name}` keeps them",
}


class Conditions:
    """The conditions of one SELECT."""

    def __init__(self, block: Block, inputs: Mapping[str, str], columns_of: Asked) -> None:
        self._block = block
        self._inputs = inputs
        self._columns_of = columns_of
        self._aliases = {
            one.alias.lower(): one.this for one in block.select.expressions if one.alias
        }
        self._refuse_whole_rows()
        select = block.select
        self.everywhere = [
            self._expanded(one) for one in conjuncts(_condition(select.args.get("where")))
        ]
        """Conditions that each row of the result must meet, none of them a join's."""
        self.having = self.named(conjuncts(_condition(select.args.get("having"))))
        """Those of them that groups must meet."""
        qualify = conjuncts(_condition(select.args.get("qualify")))
        self.everywhere += [*self.having, *self.named(qualify)]

    def named(self, found: Sequence[exp.Expr]) -> list[exp.Expr]:
        """Expressions with names of the select list written out. Raises `Unprovable` for a name
        that may mean two things."""
        for one in found:
            self._refuse_two_meanings(one)
        return [self._expanded(one) for one in found]

    def own(self, place: int, seen: Seen) -> list[exp.Expr]:
        """Conditions on one input of the source at `place` alone: a row for which one of them does
        not hold is in no row of the result."""
        return [one for one in self._reaching(place) if self.is_own(one, place, seen)]

    def losses(self, place: int, seen: Seen) -> Iterator[Loss]:
        """What beside its own conditions can take rows of the source at `place`."""
        for other, part in enumerate(self._block.parts):
            if _takes(part, place, other):
                yield self._join_loss(place, other)
        for one in self.everywhere:
            if not self.is_own(one, place, seen):
                text = one.unnest().sql(dialect=DIALECT)
                yield Loss(words=f"are removed by `{text}`, which needs more than this input")
        for pick in self._block.picks:
            yield Loss(words=f"are removed by `{pick}`")

    def _join_loss(self, place: int, other: int) -> Loss:
        joining = self._block.parts[other]
        left = self._left_of(other)
        partner = other if place < other else (left if left is not None else -1)
        part = self._block.parts[partner] if partner >= 0 else None
        name = part.node.name if part and part.kind == "table" else part.alias if part else ""
        is_anti = joining.fate == "anti"
        joined = joining.node.alias_or_name
        verb = "matched something" if is_anti else "matched nothing"
        return Loss(
            words=f"{verb} in {name or 'what it is joined with'}",
            fix=_FIXES.get((joining.fate, place < other), "").format(name=joined),
            keys=self._keys(place, joining),
            join=other,
            partner=partner if left is not None and place in (left, other) else None,
            is_for_a_partner=is_anti,
            is_optional=joining.fate in ("left", "right"),
        )

    def _left_of(self, other: int) -> int | None:
        """The one source that a join compares the one it brings in with; None for several."""
        joining = self._block.parts[other]
        before = self._block.parts[:other]
        found = {
            next((place for place, one in enumerate(before) if name in one.columns), -1)
            for name in joining.using
        }
        for condition in joining.on:
            for column in columns_in(condition):
                places = {place for place, _ in self._places_for_keys(column)}
                found |= places - {other} if len(places) == 1 else {-1}
            if any(isinstance(one, exp.Query) for one in outside_queries(condition)):
                found.add(-1)
        return found.pop() if len(found) == 1 and found != {-1} else None

    def _keys(self, place: int, joining: Part) -> tuple[str, ...]:
        """Columns of the source at `place` that a join compares."""
        if self._block.parts[place].kind != "table":
            return ()
        known = self._block.parts[place].columns
        found = [name for name in joining.using if name in known]
        for condition in joining.on:
            for column in columns_in(condition):
                if any(at == place for at, _ in self._places_for_keys(column)):
                    found.append(column.name.lower())
        return tuple(dict.fromkeys(found))

    def _places_for_keys(self, column: exp.Column) -> list[tuple[int, str]]:
        name, table = column.name.lower(), column.table.lower()
        return [
            (place, name)
            for place, one in enumerate(self._block.parts)
            if name in one.columns and table in ("", one.alias)
        ]

    def projected(self, place: int, seen: Seen) -> tuple[list[exp.Expr], frozenset[str]]:
        """Columns of the SELECT that are made from one input alone, and their names."""
        found: list[exp.Expr] = []
        names = list[str]()
        for one in self._block.select.expressions:
            if one.is_star:
                for name in self._starred(one, place, seen.available):
                    found.append(exp.column(exp.to_identifier(name, quoted=True)))
                    names.append(name)
                continue
            name = one.alias_or_name.lower()
            plain = not aggregates(one) and not windows(one)
            if plain and name and self.is_own(one, place, seen):
                value = self._expanded(one.this if isinstance(one, exp.Alias) else one)
                found.append(exp.alias_(value, exp.to_identifier(name, quoted=True)))
                names.append(name)
        if len(set(names)) < len(names):
            raise Unprovable("two columns with one name")
        return found, frozenset(names)

    def _starred(self, star: exp.Expr, place: int, available: frozenset[str]) -> list[str]:
        inner = star.this if isinstance(star, exp.Column) else star
        if any(inner.args.get(word) for word in ("replace", "rename")):
            raise Unprovable("`* replace` in a query inside the query")
        part = self._block.parts[place]
        if isinstance(star, exp.Column) and star.table.lower() != part.alias:
            return []
        left_out = {one.name.lower() for one in inner.args.get("except_") or ()}
        return [name for name in part.columns if name in available and name not in left_out]

    def _reaching(self, place: int) -> Iterator[exp.Expr]:
        yield from self.everywhere
        for other, part in enumerate(self._block.parts):
            if _takes(part, place, other) and part.fate != "anti":
                yield from (self._expanded(one) for one in part.on)

    def is_own(self, node: exp.Expr, place: int, seen: Seen) -> bool:
        """Whether a condition concerns one input of the source at `place` alone."""
        if aggregates(node) or windows(node):
            return False
        for inner in outside_queries(node):
            if isinstance(inner, exp.Query) and not self._reads_only(inner, seen.input):
                return False
        return all(self._may_mean(one, place, seen.available) for one in columns_in(node))

    def _may_mean(self, column: exp.Column, place: int, available: frozenset[str]) -> bool:
        for other, name in self._places(column):
            if other == place and name in available:
                return True
            if self._block.parts[other].made_from == {place}:
                return True
        return False

    def _reads_only(self, query: exp.Query, input_: str) -> bool:
        read = {table.name.lower() for table in query.find_all(exp.Table)} & set(self._inputs)
        if read - {input_}:
            return False
        try:
            self._columns_of(query.unnest().sql(dialect=DIALECT))
        except Unprovable as refused:
            raise Unprovable("a query inside a condition that looks outwards") from refused
        return True

    def _places(self, column: exp.Column) -> list[tuple[int, str]]:
        """Where a column may be found: several places if a join with `using` made it one."""
        parts = [*enumerate(self._block.parts)]
        name, table = column.name.lower(), column.table.lower()
        if table:
            if found := [place for place, one in parts if one.alias == table]:
                return [(found[0], name)]
            name = column.parts[0].name.lower()  # a field of a struct
        found = [place for place, one in parts if name in one.columns and not one.is_looked_at]
        found = found or [place for place, one in parts if name in one.columns]
        if not found:
            raise Unprovable(f"the column `{column.sql(dialect=DIALECT)}`")
        types = {self._block.parts[place].columns[name] for place in found}
        return [(place, name) for place in (found if len(types) == 1 else found[:1])]

    def _expanded(self, condition: exp.Expr) -> exp.Expr:
        """The condition with names of the select list written out."""
        tree = exp.Paren(this=condition.copy())
        known = {name for part in self._block.parts for name in part.columns}
        for column in columns_in(tree):
            name = column.name.lower()
            if not column.table and name not in known and name in self._aliases:
                written = self._expanded(self._aliases[name])
                column.replace(written)
        return tree

    def _refuse_two_meanings(self, condition: exp.Expr) -> None:
        known = {name for part in self._block.parts for name in part.columns}
        for column in columns_in(condition):
            name = column.name.lower()
            meant = self._aliases.get(name)
            same = isinstance(meant, exp.Column) and meant.name.lower() == name
            if not column.table and name in known and meant is not None and not same:
                raise Unprovable(f"`{name}`, which is a column and a name of the select list")

    def _refuse_whole_rows(self) -> None:
        known = {name for part in self._block.parts for name in part.columns}
        for column in self._block.select.find_all(exp.Column):
            name = column.name.lower()
            sources = {one.alias for one in self._block.parts}
            if not column.table and name in sources and name not in known:
                raise Unprovable(f"`{name}` as a value: a whole row")


def columns_in(node: exp.Expr) -> list[exp.Column]:
    """The columns of an expression, without those of queries inside it."""
    return [one for one in outside_queries(node) if isinstance(one, exp.Column)]


def _condition(clause: exp.Expr | None) -> exp.Expr | None:
    return clause.this if clause is not None else None


def _takes(part: Part, place: int, other: int) -> bool:
    """Whether the join that brings in `part`, at `other`, can take rows of the source at `place`
    for want of a partner."""
    match part.fate:
        case "inner":
            return place <= other
        case "left":
            return place == other
        case "right" | "semi" | "anti":
            return place < other
        case "full" | None:
            return False
