# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""Counting without doing the query a second time, where its first input is looked up in others.

In such a query each row of the first input meets at most one of each other input, as long as the
keys of these are unique, which is asked first. So the rows that went into the result, counted by
the query itself while it makes it, are as many different rows of the first input.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from sqlglot import exp

from adapters.engines.sql.blocks import Block, Part
from adapters.engines.sql.conditions import Conditions
from adapters.engines.sql.queries import DIALECT
from adapters.engines.sql.relations import Carried, Relation
from commands.steps.sql import listed, literal, quoted
from commands.steps.tally import MADE, CountedFile

ROWS = "headwater rows"
"""Hidden column: how many joined rows a row of the result is made from."""
_ROW = quoted("headwater row")
stretched_rows_min = 1_000_000
"""Rows of the first input above which a part of them is looked at first."""
_stretches_max = 4
_stretched_share = 16
"""One row of so many is in a stretch."""
_NOT_SCALAR = ("STRUCT", "[", "MAP", "UNION", "JSON", "VARIANT")
"""Types of which values can be equal that are not the same."""


class Spoke(Struct, frozen=True, kw_only=True):
    """An input that the first one is looked up in."""

    input: str
    alias: str
    is_left: bool
    """Whether rows of the first input stay without it."""
    pairs: tuple[tuple[str, str], ...]
    """Columns that must be equal: the first input's, and its own."""
    where: str
    """Conditions on it alone."""

    @property
    def met(self) -> str:
        """Hidden column: how many joined rows this input is in."""
        return f"headwater met {self.alias}"

    @property
    def found(self) -> str:
        """Table with the numbers of the rows that the first input meets."""
        return quoted(f"headwater found {self.alias}")

    @property
    def missing(self) -> str:
        """Table with the rows that were not met yet."""
        return quoted(f"headwater missing {self.alias}")

    def keys(self) -> str:
        """Its keys, to be looked up in."""
        names = [f"{quoted(own)} as {_key(n)}" for n, (_, own) in enumerate(self.pairs)]
        return f"(select {', '.join(names)} from {_passing(self)}) as {quoted(self.met)}"

    def on(self, alias: str, *, is_own: bool = False) -> str:
        """Its keys are those of the source called `alias`."""
        return " and ".join(
            f"{quoted(alias)}.{quoted(own if is_own else mine)} = {quoted(self.met)}.{_key(n)}"
            for n, (mine, own) in enumerate(self.pairs)
        )

    def repeated(self) -> str:
        """Gives how many of its keys stand there before."""
        names = [quoted(own) for _, own in self.pairs]
        key = names[0] if len(names) == 1 else f"row({', '.join(names)})"
        full = " and ".join(f"{name} is not null" for name in names)
        return f"(select count(*) - count(distinct {key}) from {_passing(self)} where {full})"


class Star(Struct, frozen=True, kw_only=True):
    """A query whose first input is looked up in others by their keys."""

    input: str
    alias: str
    where: str
    """Conditions on the first input alone."""
    spokes: tuple[Spoke, ...]
    is_grouped: bool
    promised: frozenset[str] = frozenset()
    """Inputs about whose rows the step promises something."""

    @property
    def hidden(self) -> dict[str, str]:
        """Hidden columns that count, and what they count, if the query puts rows together."""
        if not self.is_grouped:
            return {}
        met = {
            one.met: f"count({quoted(one.alias)}.{quoted(one.pairs[0][1])})"
            for one in self.spokes
            if one.is_left and one.input in self.promised
        }
        return {ROWS: "count(*)", **met}

    def unique(self) -> str:
        """Gives how many keys stand more than once in the inputs that are looked up in."""
        return f"select {' + '.join(one.repeated() for one in self.spokes) or '0'}"

    def reached(self, place: int) -> str:
        """Gives how often rows of the input at `place` reach the result, and how many do."""
        rows = f"(select coalesce(sum({quoted(ROWS)}), 0) from {MADE})"
        if not self.is_grouped:
            rows = f"(select count(*) from {MADE})"
        if place == 0:
            return f"select {rows}, {rows}"
        spoke = self.spokes[place - 1]
        return f"select {self._times(spoke, rows)}, (select count(*) from {spoke.found})"

    def prepare(self, place: int, inputs: Mapping[str, CountedFile]) -> tuple[str, ...]:
        """Statements that gather the rows of an input that is looked up in and the first one meets.

        A few stretches of the first input tell nearly all of them. The others are then looked for
        in the whole, which is quick, as there are few keys to look for.
        """
        if place == 0:
            return ()
        spoke = self.spokes[place - 1]
        first = inputs[self.input]
        rows = _passing(spoke, _numbered(inputs[spoke.input].path))
        whole = quoted(self.input)
        if first.rows < stretched_rows_min:
            return (self._gathered(spoke, rows, whole),)
        rest = f"select * from {rows} anti join {spoke.found} using ({_ROW})"
        left = f"{spoke.missing} as {quoted(spoke.alias)}"
        return (
            self._gathered(spoke, rows, _stretches(first)),
            f"create or replace temp table {spoke.missing} as {rest}",
            f"insert into {spoke.found} select {_ROW} from {left}"
            f" {self._meeting(spoke, whole, is_many=False)}",
        )

    def filtered(self, place: int) -> str:
        """Gives how many rows conditions on an input alone remove; empty where there are none."""
        one = self._input(place)
        if not one.where:
            return ""
        source = f"{quoted(one.input)} as {quoted(one.alias)}"
        return f"select count(*) from {source} where ({one.where}) is not true"

    def lost(self, place: int, path: str) -> str:
        """Gives the numbers of rows without a match; empty where none can be."""
        numbered = _numbered(path)
        if place:
            spoke = self.spokes[place - 1]
            rows = _passing(spoke, numbered)
            return f"select {_ROW} from {rows} anti join {spoke.found} using ({_ROW})"
        needed = self._needed()
        shown = listed(("headwater row", *self.lost_by(place)))
        return " union all ".join(
            f"select {shown} from {self._looked_up(needed[:n], numbered)}"
            f" anti join {one.keys()} on {one.on(self.alias)}"
            for n, one in enumerate(needed)
        )

    def lost_by(self, place: int) -> tuple[str, ...]:
        """Columns of the first input behind the numbers of its lost rows: its keys in the only
        input that it needs."""
        needed = self._needed()
        if place or len(needed) != 1:
            return ()
        return tuple(dict.fromkeys(mine for mine, _ in needed[0].pairs))

    def _input(self, place: int) -> "Star | Spoke":
        return self if place == 0 else self.spokes[place - 1]

    def _times(self, spoke: Spoke, rows: str) -> str:
        if not spoke.is_left:
            return rows
        if spoke.input not in self.promised:
            return "null"
        if self.is_grouped:
            return f"(select coalesce(sum({quoted(spoke.met)}), 0) from {MADE})"
        found = self._looked_up([*self._needed(), spoke])
        return f"(select count(*) from {found})"

    def _gathered(self, spoke: Spoke, rows: str, source: str) -> str:
        met = self._meeting(spoke, source)
        return f"create or replace temp table {spoke.found} as select {_ROW} from {rows} {met}"

    def _meeting(self, spoke: Spoke, source: str, *, is_many: bool = True) -> str:
        """A join that leaves the rows of an input that the first one's rows from `source` meet.
        `is_many`: whether it is many rows that are looked for, and better once for each key."""
        others = [one for one in self._needed() if one is not spoke]
        keys = [
            f"{quoted(self.alias)}.{quoted(mine)} as {_key(n)}"
            for n, (mine, _) in enumerate(spoke.pairs)
        ]
        word = "distinct " if is_many else ""
        met = f"(select {word}{', '.join(keys)} from {self._looked_up(others, source)})"
        return f"semi join {met} as {quoted(spoke.met)} on {spoke.on(spoke.alias, is_own=True)}"

    def _needed(self) -> list[Spoke]:
        return [one for one in self.spokes if not one.is_left]

    def _looked_up(self, spokes: Sequence[Spoke], source: str = "") -> str:
        """Rows of the first input that pass its conditions and are found in others."""
        joins = [f" semi join {one.keys()} on {one.on(self.alias)}" for one in spokes]
        return _passing(self, source) + "".join(joins)


def star_of(block: Block, parts: Sequence[Relation | None], conditions: Conditions) -> Star | None:
    """The query as a star; None where it is none."""
    if block.is_distinct or block.picks or block.explodes or not block.parts:
        return None
    if block.select.args.get("having") is not None:
        return None
    if block.is_grouped and not block.has_aggregates:
        return None
    inputs = [part.node.name.lower() for part in block.parts]
    if any(part.kind != "table" for part in block.parts) or len(set(inputs)) < len(inputs):
        return None
    spokes = []
    for place in range(1, len(block.parts)):
        spoke = _spoke(block, parts, conditions, place)
        if spoke is None:
            return None
        spokes.append(spoke)
    deciding = [0, *(n for n, one in enumerate(spokes, start=1) if not one.is_left)]
    for one in conditions.everywhere:
        if not any(conditions.is_own(one, n, _seen(parts, n)) for n in deciding):
            return None
    return Star(
        input=inputs[0],
        alias=block.parts[0].alias,
        where=_conditions(parts, conditions, 0),
        spokes=tuple(spokes),
        is_grouped=block.is_grouped,
    )


def _spoke(
    block: Block, parts: Sequence[Relation | None], conditions: Conditions, place: int
) -> Spoke | None:
    part = block.parts[place]
    if part.fate not in ("inner", "left"):
        return None
    pairs = [(name, name) for name in part.using]
    if not all(_is_of_the_first(block, name, place) for name in part.using):
        return None
    for condition in part.on:
        if conditions.is_own(condition, place, _seen(parts, place)):
            continue
        found = _between(block, place, condition)
        if found is None:
            return None
        pairs.append(found)
    if not pairs or any(not _is_same(block.parts[0], part, pair) for pair in pairs):
        return None
    return Spoke(
        input=part.node.name.lower(),
        alias=part.alias,
        is_left=part.fate == "left",
        pairs=tuple(pairs),
        where=_conditions(parts, conditions, place),
    )


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
    mine, theirs = first.columns[pair[0]], other.columns[pair[1]]
    return mine == theirs and not any(word in mine for word in _NOT_SCALAR)


def _seen(parts: Sequence[Relation | None], place: int) -> Carried:
    relation = parts[place]
    if relation is None:
        raise ValueError("a source that is no table")
    return relation.carried[0]


def _conditions(parts: Sequence[Relation | None], conditions: Conditions, place: int) -> str:
    own = conditions.own(place, _seen(parts, place))
    return " and ".join(f"({one.sql(dialect=DIALECT)})" for one in own)


def _passing(one: Star | Spoke, source: str = "") -> str:
    """Rows of an input that pass the conditions on it alone, under its alias."""
    where = f" where {one.where}" if one.where else ""
    alias = quoted(one.alias)
    return f"(select * from {source or quoted(one.input)} as {alias}{where}) as {alias}"


def _key(place: int) -> str:
    return quoted(f"headwater key {place + 1}")


def _numbered(path: str) -> str:
    """The rows of a file with their numbers."""
    return (
        f"(select * exclude (file_row_number), file_row_number as {_ROW}"
        f" from read_parquet({literal(path)}, file_row_number = true))"
    )


def _stretches(first: CountedFile) -> str:
    """Some of the first input's rows, from several places."""
    wide = first.rows // _stretched_share // _stretches_max
    starts = [first.rows * n // _stretches_max for n in range(_stretches_max)]
    parts = [
        f"select * exclude ({_ROW}) from {_numbered(first.path)}"
        f" where {_ROW} between {start} and {start + wide}"
        for start in starts
    ]
    return f"({' union all '.join(parts)})"
