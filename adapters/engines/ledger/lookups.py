# ruff: noqa: S608  # names go through `commands.steps.sql`
"""Queries whose first input is looked up in others, found by taking them apart."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace
from sqlglot import exp

from adapters.engines.ledger.stars import ROW, Pick, Spoke, Star, numbered_rows
from adapters.engines.ledger.steadiness import numbering_in
from adapters.engines.ledger.weaving import stars_of
from adapters.engines.sql.blocks import Asked, Block, Part, aggregates, block_of, conjuncts, windows
from adapters.engines.sql.conditions import Conditions, Loss, Seen
from adapters.engines.sql.flattening import Unprovable
from adapters.engines.sql.queries import DIALECT
from adapters.engines.sql.relations import parsed_select
from commands.steps.sql import listed, quoted

_NOT_SCALAR = ("STRUCT", "[", "MAP", "UNION", "JSON", "VARIANT")
"""Types of which values can be equal that are not the same."""
_PLAIN = frozenset(("expressions", "from_", "where"))


class Lookup(NamedTuple):
    """A query as a star, and what can take rows of its inputs away."""

    star: Star
    losses: Mapping[str, tuple[Loss, ...]]
    """By input."""


def lookup_in(
    query: exp.Query, inputs: Mapping[str, str], columns_of: Asked, promised: frozenset[str]
) -> Lookup | None:
    """The query as a star; None where it is none. Raises `Unprovable`."""
    select = query.unnest()
    if query is not select or not isinstance(select, exp.Select):
        return None
    block = block_of(select, inputs, columns_of)
    if not _is_one_pass(block) or any(part.kind != "table" for part in block.parts):
        return None
    stars_of(select)  # refuses those that are not understood
    finder = _Finder(block, inputs, columns_of)
    spokes = []
    for place in range(1, len(block.parts)):
        spoke = finder.spoke(place)
        if spoke is None:
            return None
        spokes.append(spoke)
    return finder.lookup(tuple(spokes), _read(select, inputs), promised)


def _is_one_pass(block: Block) -> bool:
    """Whether rows are only chosen and put together, and groups kept or dropped whole."""
    inputs = [part.node.name.lower() for part in block.parts]
    if block.picks and (len(inputs) > 1 or block.is_grouped or block.is_distinct):
        return False
    if block.explodes or not inputs or len(set(inputs)) < len(inputs):
        return False
    after = [*block.select.expressions, block.select.args.get("order")]
    has_windows = any(one is not None and windows(one) for one in after)
    if block.is_distinct:
        return not block.is_grouped and not has_windows
    return block.select.args.get("having") is None or not has_windows


class _Finder:
    """Finds what a SELECT does with its sources, all of which are inputs."""

    def __init__(self, block: Block, inputs: Mapping[str, str], columns_of: Asked) -> None:
        self._block = block
        self._inputs = inputs
        self._columns_of = columns_of
        self._conditions = Conditions(block, inputs, columns_of)
        self._seen = [
            Seen(input=part.node.name.lower(), available=frozenset(part.columns))
            for part in block.parts
        ]

    def spoke(self, place: int) -> Spoke | None:
        """The source at a place as one that the first is looked up in; None if it is none."""
        block, part = self._block, self._block.parts[place]
        if part.fate not in ("inner", "left", "semi", "anti"):
            return None
        pairs = [(name, name) for name in part.using]
        if not all(_is_of_the_first(block, name, place) for name in part.using):
            return None
        own = []
        for condition in part.on:
            if self._is_own(condition, place):
                own.append(condition)
                continue
            if part.fate in ("inner", "semi") and self._is_own(condition, 0):
                continue
            found = _between(block, place, condition)
            if found is None:
                return None
            pairs.append(found)
        if not pairs or any(not _is_same(block.parts[0], part, pair) for pair in pairs):
            return None
        if part.fate in ("inner", "left"):
            own = self._conditions.own(place, self._seen[place])
        return Spoke(
            input=self._seen[place].input,
            alias=part.alias,
            fate=part.fate,
            pairs=tuple(pairs),
            where=_all_of(own),
        )

    def lookup(
        self, spokes: tuple[Spoke, ...], read: set[str], promised: frozenset[str]
    ) -> Lookup | None:
        """The star with these spokes; None where something else decides on rows, too."""
        block, having = self._block, self._conditions.having
        deciding = [0, *(n for n, one in enumerate(spokes, start=1) if one.fate == "inner")]
        drops = not all(any(self._is_own(one, n) for n in deciding) for one in having)
        group = block.select.args.get("group")
        if drops and group and group.args.get("all") and not all(map(aggregates, having)):
            return None  # a condition on a key would be a key itself
        is_alone = not spokes and read == {self._seen[0].input}
        picks = self._pick() if block.picks and is_alone else None
        if block.picks and picks is None:
            return None
        apart = {id(one) for one in having} if drops else set()
        single = [one for one in self._conditions.everywhere if id(one) not in apart]
        asked = self._asked(
            [
                one
                for one in single
                if not (picks and windows(one)) and not any(self._is_own(one, n) for n in deciding)
            ],
            spokes,
        )
        if asked is None:
            return None
        counted = [n for n, one in enumerate(spokes, start=1) if not one.is_looked_at]
        merges = block.is_distinct or (block.is_grouped and not block.has_aggregates)
        if merges and promised & {self._seen[n].input for n in counted}:
            return None
        star = Star(
            input=self._seen[0].input,
            alias=block.parts[0].alias,
            where=_all_of([one for one in self.own() if id(one) not in apart]),
            asking=asked[1],
            spokes=asked[0],
            is_grouped=block.is_grouped or block.is_distinct,
            merges=merges,
            drops=drops,
            picks=picks,
            is_alone=is_alone,
            promised=promised,
        )
        losses = {self._seen[0].input: self._losses()}
        for n in counted:
            losses[self._seen[n].input] = (*self._conditions.losses(n, self._seen[n]),)[:1]
        return Lookup(star, losses)

    def _asked(
        self, conditions: Sequence[exp.Expr], spokes: tuple[Spoke, ...]
    ) -> tuple[tuple[Spoke, ...], tuple[str, ...]] | None:
        """Conditions on the first input that look at others: those that are semi joins, behind the
        spokes there are, and the rest. None where one looks at another source."""
        found = [*spokes]
        asking = []
        for one in conditions:
            if not self._is_of_the_first_alone(one):
                return None
            member = self._membership(one)
            if member is None or member.alias in [spoke.alias for spoke in found]:
                asking.append(one.sql(dialect=DIALECT))
            else:
                found.append(member)
        return tuple(found), tuple(asking)

    def _pick(self) -> Pick | None:
        """`distinct on (…)`, and `qualify row_number() over (partition by …) = 1`."""
        select = self._block.select
        if self._block.picks == ("distinct on",):
            try:
                keys = self._conditions.named(select.args["distinct"].args["on"].expressions)
            except Unprovable:
                return None
            if any(windows(one) or isinstance(one.unnest(), exp.Literal) for one in keys):
                return None
            return Pick(_texts(keys), "1")
        if self._block.picks != ("qualify",):
            return None
        (condition, *more) = self._conditions.named(conjuncts(select.args["qualify"].this))
        found = numbering_in(condition)
        if more or found is None or found[0].args.get("alias"):
            return None
        return Pick(_texts(found[0].args.get("partition_by") or []), found[1])

    def _membership(self, condition: exp.Expr) -> Spoke | None:
        """`column in (select column from input where …)`, which is what a semi join does."""
        inner = condition.unnest()
        if not isinstance(inner, exp.In) or not isinstance(inner.this, exp.Column):
            return None
        query = inner.args.get("query")
        select = query.unnest() if query is not None else None
        if not isinstance(select, exp.Select) or set(_clauses(select)) - _PLAIN:
            return None
        try:
            block = block_of(select, self._inputs, self._columns_of)
            within = _Finder(block, self._inputs, self._columns_of)
        except Unprovable:
            return None
        if len(block.parts) != 1 or len(select.expressions) != 1 or not within.is_alone():
            return None
        shown, part = select.expressions[0], block.parts[0]
        if not isinstance(shown, exp.Column) or part.kind != "table":
            return None
        if shown.table.lower() not in ("", part.alias) or len(inner.this.parts) > 2:
            return None
        pair = (inner.this.name.lower(), shown.name.lower())
        if not _is_same(self._block.parts[0], part, pair):
            return None
        return Spoke(
            input=part.node.name.lower(),
            alias=part.alias,
            fate="semi",
            pairs=(pair,),
            where=_all_of(within.own()),
        )

    def is_alone(self) -> bool:
        """Whether all conditions are on the first input alone."""
        return all(self._is_own(one, 0) for one in self._conditions.everywhere)

    def own(self) -> list[exp.Expr]:
        """Those that are."""
        return self._conditions.own(0, self._seen[0])

    def _losses(self) -> tuple[Loss, ...]:
        """What can take rows of the first input away, with those that each join alone takes."""
        first = self._block.parts[0].alias
        losses = tuple(self._conditions.losses(0, self._seen[0]))
        if len(losses) == 1:
            return losses
        found = []
        for loss in losses:
            if loss.join is None:
                found.append(loss)
                continue
            part = self._block.parts[loss.join]
            numbered = numbered_rows(self._inputs[self._seen[0].input])
            kind = "semi" if loss.is_for_a_partner else "anti"
            on = f"using ({listed(part.using)})" if part.using else f"on {_all_of(part.on)}"
            missed = parsed_select(
                f"select {ROW} from {numbered} as {quoted(first)}"
                f" {kind} join {part.node.sql(dialect=DIALECT)} {on}"
            )
            found.append(replace(loss, missed=missed))
        return tuple(found)

    def _is_own(self, condition: exp.Expr, place: int) -> bool:
        return self._conditions.is_own(condition, place, self._seen[place])

    def _is_of_the_first_alone(self, condition: exp.Expr) -> bool:
        """Whether a condition can be asked of the first input alone, whatever it looks at."""
        if aggregates(condition) or windows(condition):
            return False
        source = f"{quoted(self._seen[0].input)} as {quoted(self._block.parts[0].alias)}"
        try:
            self._columns_of(f"select 1 from {source} where {condition.sql(dialect=DIALECT)}")
        except Unprovable:
            return False
        return True


def _is_of_the_first(block: Block, name: str, place: int) -> bool:
    """Whether `using (name)` compares with the first input's column."""
    between = block.parts[1:place]
    return name in block.parts[0].columns and all(
        name in one.using for one in between if name in one.columns
    )


def _between(block: Block, place: int, condition: exp.Expr) -> tuple[str, str] | None:
    """The columns that a condition wants to be equal, the first input's and that of the part at
    `place`; None where it is another condition."""
    inner = condition.unnest()
    if not isinstance(inner, exp.EQ):
        return None
    found: dict[int, str] = {}
    for column in (inner.this, inner.expression):
        if not isinstance(column, exp.Column) or len(column.parts) > 2:
            return None
        name, table = column.name.lower(), column.table.lower()
        places = [
            at
            for at, one in enumerate(block.parts)
            if name in one.columns and table in ("", one.alias)
        ]
        if len(places) != 1:
            return None
        found[places[0]] = name
    return (found[0], found[place]) if set(found) == {0, place} else None


def _is_same(first: Part, other: Part, pair: tuple[str, str]) -> bool:
    mine, theirs = first.columns.get(pair[0]), other.columns.get(pair[1])
    return mine is not None and mine == theirs and not any(word in mine for word in _NOT_SCALAR)


def _texts(expressions: Sequence[exp.Expr]) -> tuple[str, ...]:
    return tuple(one.sql(dialect=DIALECT) for one in expressions)


def _clauses(select: exp.Select) -> list[str]:
    return [key for key, value in select.args.items() if value]


def _all_of(conditions: Sequence[exp.Expr]) -> str:
    return " and ".join(f"({one.sql(dialect=DIALECT)})" for one in conditions)


def _read(select: exp.Select, inputs: Mapping[str, str]) -> set[str]:
    return {table.name.lower() for table in select.find_all(exp.Table)} & set(inputs)
