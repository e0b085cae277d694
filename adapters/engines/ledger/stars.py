# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""Counting without doing the query a second time, where its first input is looked up in others.

In such a query each row of the first input meets at most one of each other input, as long as the
keys of these are unique, which is asked first. So the rows that went into the result, counted by
the query itself while it makes it, are as many different rows of the first input. Groups that
`having` drops stand in the table as well, with the rows that they are made from.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from adapters.engines.sql.blocks import Fate
from commands.steps.sql import listed, literal, quoted
from commands.steps.tally import LOST_ROWS, MADE, CountedFile

ROWS = "headwater rows"
"""Hidden column: how many joined rows a row of the result is made from."""
KEPT = "headwater kept"
"""Hidden column: whether the query keeps the group."""
ROW = quoted("headwater row")
"""Column: the number of an input's row."""
_DROPPED = f"(select coalesce(sum({quoted(ROWS)}), 0) from {MADE} where {quoted(KEPT)} is not true)"
_KEYS = quoted("headwater keys")
"""Table with the keys of the first input's rows."""
stretched_rows_min = 1_000_000
"""Rows of the first input above which a part of them is looked at first."""
_stretches_max = 4
_stretched_share = 16
"""One row of so many is in a stretch."""
_few_share = 16
"""An input with one row to so many of the first one's has few keys: these are put together first
and looked up then."""


class Spoke(Struct, frozen=True, kw_only=True):
    """An input that the first one is looked up in."""

    input: str
    alias: str
    fate: Fate
    pairs: tuple[tuple[str, str], ...]
    """Columns that must be equal: the first input's, and its own."""
    where: str
    """Conditions on it alone."""

    @property
    def is_left(self) -> bool:
        """Whether rows of the first input stay without it."""
        return self.fate == "left"

    @property
    def is_looked_at(self) -> bool:
        """Whether its rows only decide about the first input's."""
        return self.fate in ("semi", "anti")

    @property
    def keeping(self) -> str:
        """The join that leaves rows of the first input as this one does."""
        return "anti join" if self.fate == "anti" else "semi join"

    @property
    def losing(self) -> str:
        """The join that leaves those that this one takes away."""
        return "semi join" if self.fate == "anti" else "anti join"

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


class Pick(Struct, frozen=True):
    """Rows that are picked from those which are alike in some expressions."""

    by: tuple[str, ...]
    kept: str
    """How many of `n` rows."""

    def left(self, rows: str) -> str:
        """Gives how many are not picked."""
        keys = (
            ", ".join(f"{one} as {_key(n)}" for n, one in enumerate(self.by)) or f"0 as {_key(0)}"
        )
        names = ", ".join(_key(n) for n in range(len(self.by) or 1))
        groups = f"select count(*) as n from (select {keys} from {rows}) group by {names}"
        return f"(select coalesce(sum(n - ({self.kept})), 0) from ({groups}))"


class Star(Struct, frozen=True, kw_only=True):
    """A query whose first input is looked up in others by their keys."""

    input: str
    alias: str
    where: str
    """Conditions on the first input alone."""
    asking: tuple[str, ...]
    """Conditions on it that look at other inputs."""
    spokes: tuple[Spoke, ...]
    is_grouped: bool
    """Whether rows are put together."""
    merges: bool
    """Whether an input's row counts once in each row of the result, however often it was met."""
    drops: bool
    """Whether `having` drops groups."""
    picks: "Pick | None"
    """What rows are picked from each group, if that is all the query does with its only input."""
    is_alone: bool
    """Whether the query reads nothing but its first input."""
    promised: frozenset[str]
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

    @property
    def inputs(self) -> list[str]:
        """Those that are counted, the first one first."""
        return [self.input, *(one.input for one in self._counted())]

    def unique(self) -> str:
        """Gives 0 if the statements hold: how many keys stand more than once in the inputs that are
        looked up in, and how many rows are in groups that were dropped for more than their own.
        Empty where they hold in any case."""
        found = [one.repeated() for one in self._counted()]
        if self.drops and not self.is_alone:
            found.append(_DROPPED)
        return f"select {' + '.join(found)}" if found else ""

    def reached(self, place: int) -> str:
        """Gives how often rows of the input at `place` reach the result, and how many do."""
        rows = self._sum(ROWS) if self.is_grouped else f"(select count(*) from {MADE})"
        if place == 0:
            return f"select {rows}, {rows}"
        spoke = self._counted()[place - 1]
        return f"select {self._times(spoke, rows)}, (select count(*) from {spoke.found})"

    def prepare(self, place: int, inputs: Mapping[str, CountedFile]) -> tuple[str, ...]:
        """Statements that gather the rows of an input that is looked up in and the first one meets.

        A few stretches of the first input tell nearly all of them. The others are then looked for
        in the whole, which is quick, as there are few keys to look for.
        """
        if place == 0:
            return ()
        spoke = self._counted()[place - 1]
        first = inputs[self.input]
        rows = _passing(spoke, numbered_rows(inputs[spoke.input].path))
        whole = quoted(self.input)
        if first.rows < stretched_rows_min:
            return (self._gathered(spoke, rows, whole),)
        rest = f"select * from {rows} anti join {spoke.found} using ({ROW})"
        left = f"{spoke.missing} as {quoted(spoke.alias)}"
        return (
            self._gathered(spoke, rows, _stretches(first)),
            f"create or replace temp table {spoke.missing} as {rest}",
            f"insert into {spoke.found} select {ROW} from {left}"
            f" {self._meeting(spoke, whole, is_many=False)}",
        )

    def filtered(self, place: int) -> str:
        """Gives how many rows conditions on an input alone remove; empty where there are none."""
        one = self._counted()[place - 1] if place else self
        found = []
        if one.where:
            source = f"{quoted(one.input)} as {quoted(one.alias)}"
            found.append(f"(select count(*) from {source} where ({one.where}) is not true)")
        if not place and self.drops:
            found.append(_DROPPED)
        if not place and self.picks is not None:
            found.append(self.picks.left(_passing(self)))
        return f"select {' + '.join(found)}" if found else ""

    def lost(self, place: int, path: str) -> str:
        """Gives the numbers of rows without a match; empty where none can be."""
        numbered = numbered_rows(path)
        if place:
            spoke = self._counted()[place - 1]
            rows = _passing(spoke, numbered)
            return f"select {ROW} from {rows} anti join {spoke.found} using ({ROW})"
        needed = self._needed()
        found = [
            f"select {ROW} from {self._joined(needed[:n], numbered)}"
            f" {one.losing} {one.keys()} on {one.on(self.alias)}"
            for n, one in enumerate(needed)
        ]
        for n, one in enumerate(self.asking):
            asked = " and ".join((*self.asking[:n], f"({one}) is not true"))
            found.append(f"select {ROW} from {self._joined(needed, numbered)} where {asked}")
        return " union all ".join(found)

    def gather_keys(self, inputs: Mapping[str, CountedFile]) -> tuple[str, ...]:
        """Statements that put the keys together by which the first input is looked up in the only
        thing it needs, with how many rows have each; none where that could be as many as rows."""
        needed = self._needed()
        if len(needed) != 1 or self.asking:
            return ()
        if inputs[needed[0].input].rows * _few_share > inputs[self.input].rows:
            return ()
        keys = listed(self.lost_by())
        rows = f"select {keys}, count(*) as {LOST_ROWS} from {_passing(self)} group by {keys}"
        return (f"create or replace temp table {_KEYS} as {rows}",)

    def lost_keys(self, inputs: Mapping[str, CountedFile]) -> str:
        """Gives how many of the first input's rows are lost, by their keys if these are all that
        decides; empty where several things do."""
        needed = self._needed()
        if len(needed) + len(self.asking) != 1:
            return ""
        if self.asking:
            asked = f"({self.asking[0]}) is not true"
            return f"select count(*) as {LOST_ROWS} from {_passing(self)} where {asked}"
        (spoke,) = needed
        join = f"{spoke.losing} {spoke.keys()} on {spoke.on(self.alias)}"
        if self.gather_keys(inputs):
            return f"from {_KEYS} as {quoted(self.alias)} {join}"
        keys = listed(self.lost_by())
        rows = f"{_passing(self)} {join}"
        return f"select {keys}, count(*) as {LOST_ROWS} from {rows} group by {keys}"

    def prepare_by_keys(self, place: int, inputs: Mapping[str, CountedFile]) -> tuple[str, ...]:
        """Instead of `prepare`, once the keys are gathered; empty where they are of no use."""
        if not place or not self.gather_keys(inputs):
            return ()
        spoke = self._counted()[place - 1]
        if spoke.is_left:
            return ()
        keys = [f"{quoted(mine)} as {_key(n)}" for n, (mine, _) in enumerate(spoke.pairs)]
        rows = _passing(spoke, numbered_rows(inputs[spoke.input].path))
        met = f"(select {', '.join(keys)} from {_KEYS}) as {quoted(spoke.met)}"
        return (
            f"create or replace temp table {spoke.found} as select {ROW} from {rows}"
            f" semi join {met} on {spoke.on(spoke.alias, is_own=True)}",
        )

    def lost_by(self) -> tuple[str, ...]:
        """The columns of the first input by which it is looked up in what it needs."""
        pairs = [pair for one in self._needed() for pair in one.pairs]
        return tuple(dict.fromkeys(mine for mine, _ in pairs))

    def _times(self, spoke: Spoke, rows: str) -> str:
        if self.merges:
            return "null"
        if not spoke.is_left:
            return rows
        if spoke.input not in self.promised:
            return "null"
        if self.is_grouped:
            return self._sum(spoke.met)
        return f"(select count(*) from {self._looked_up([*self._needed(), spoke])})"

    def _sum(self, column: str) -> str:
        where = f" where {quoted(KEPT)}" if self.drops else ""
        return f"(select coalesce(sum({quoted(column)}), 0) from {MADE}{where})"

    def _gathered(self, spoke: Spoke, rows: str, source: str) -> str:
        met = self._meeting(spoke, source)
        return f"create or replace temp table {spoke.found} as select {ROW} from {rows} {met}"

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

    def _counted(self) -> list[Spoke]:
        return [one for one in self.spokes if not one.is_looked_at]

    def _needed(self) -> list[Spoke]:
        return [one for one in self.spokes if not one.is_left]

    def _looked_up(self, spokes: Sequence[Spoke], source: str = "") -> str:
        """Rows of the first input that pass all conditions and are found in others."""
        where = f" where {' and '.join(self.asking)}" if self.asking else ""
        return self._joined(spokes, source) + where

    def _joined(self, spokes: Sequence[Spoke], source: str = "") -> str:
        joins = [f" {one.keeping} {one.keys()} on {one.on(self.alias)}" for one in spokes]
        return _passing(self, source) + "".join(joins)


def _passing(one: Star | Spoke, source: str = "") -> str:
    """Rows of an input that pass the conditions on it alone, under its alias."""
    where = f" where {one.where}" if one.where else ""
    alias = quoted(one.alias)
    return f"(select * from {source or quoted(one.input)} as {alias}{where}) as {alias}"


def _key(place: int) -> str:
    return quoted(f"headwater key {place + 1}")


def numbered_rows(path: str) -> str:
    """The rows of a file with their numbers."""
    return (
        f"(select * exclude (file_row_number), file_row_number as {ROW}"
        f" from read_parquet({literal(path)}, file_row_number = true))"
    )


def _stretches(first: CountedFile) -> str:
    """Some of the first input's rows, from several places."""
    wide = first.rows // _stretched_share // _stretches_max
    starts = [first.rows * n // _stretches_max for n in range(_stretches_max)]
    parts = [
        f"select * exclude ({ROW}) from {numbered_rows(first.path)}"
        f" where {ROW} between {start} and {start + wide}"
        for start in starts
    ]
    return f"({' union all '.join(parts)})"
