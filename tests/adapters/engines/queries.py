"""Small tables and queries over them, made by chance, each with its answer worked out row by row.

A query is a tree of plain objects. `text()` says it in SQL; `rows()` works it out in Python, where
each row carries the numbers of the rows it is made from; `passing()` says which rows of one
occurrence of a table the conditions on that table alone leave.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

Value = int | None
Origins = tuple[tuple[int, int], ...]
"""Occurrence of a table and row number, each."""

COLUMNS = {"a": ("i", "k", "g"), "b": ("i", "k", "w"), "c": ("i", "g", "n")}
"""The first one is unique."""


@dataclass(frozen=True)
class Made:
    """A row and what it is made from."""

    values: Mapping[str, Value]
    origins: Origins


Tables = Mapping[str, list[tuple[Value, ...]]]


@dataclass(frozen=True)
class Condition:
    """`column > number`, `column is null` or `column = column`."""

    left: str
    kind: str
    right: str | int = 0

    @property
    def columns(self) -> set[str]:
        """The columns it looks at."""
        return {self.left, self.right} if isinstance(self.right, str) else {self.left}

    def text(self) -> str:
        """In SQL."""
        if self.kind == "null":
            return f"{self.left} is null"
        return f"{self.left} {self.kind} {self.right}"

    def holds(self, values: Mapping[str, Value]) -> bool:
        """Whether it is true, and not merely unknown."""
        left = values[self.left]
        right = values[self.right] if isinstance(self.right, str) else self.right
        if self.kind == "null":
            return left is None
        if left is None or right is None:
            return False
        return left == right if self.kind == "=" else left > right


class Source:
    """What can stand in FROM under a name of its own."""

    alias: str
    columns: tuple[str, ...]
    occurrences: dict[int, str]
    """Number of each occurrence → table."""

    def text(self) -> str:
        """In SQL, with its name behind it."""
        raise NotImplementedError

    def rows(self, tables: Tables) -> list[Made]:
        """Its rows, under names with the source's own before them."""
        raise NotImplementedError

    def own(self, occurrence: int) -> set[str]:
        """Columns that come from one occurrence alone."""
        raise NotImplementedError

    def passing(self, occurrence: int, tables: Tables) -> list[Made]:
        """Rows that conditions on one occurrence alone leave, with what comes from it alone."""
        raise NotImplementedError


@dataclass(frozen=True)
class Plain(Source):
    """A table."""

    alias: str
    table: str
    number: int

    @property
    def columns(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(f"{self.alias}.{name}" for name in COLUMNS[self.table])

    @property
    def occurrences(self) -> dict[int, str]:  # type: ignore[override]
        return {self.number: self.table}

    def text(self) -> str:
        return f"{self.table} as {self.alias}"

    def rows(self, tables: Tables) -> list[Made]:
        return [
            Made(dict(zip(self.columns, row, strict=True)), ((self.number, place),))
            for place, row in enumerate(tables[self.table])
        ]

    def own(self, occurrence: int) -> set[str]:
        return set(self.columns)

    def passing(self, occurrence: int, tables: Tables) -> list[Made]:
        return self.rows(tables)


@dataclass(frozen=True)
class Nested(Source):
    """A query in brackets."""

    alias: str
    query: "Select"

    @property
    def columns(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(f"{self.alias}.{name}" for name in self.query.names)

    @property
    def occurrences(self) -> dict[int, str]:  # type: ignore[override]
        return self.query.occurrences

    def text(self) -> str:
        return f"({self.query.text()}) as {self.alias}"

    def rows(self, tables: Tables) -> list[Made]:
        return [self._named(row) for row in self.query.rows(tables)]

    def own(self, occurrence: int) -> set[str]:
        return {f"{self.alias}.{name}" for name in self.query.own(occurrence)}

    def passing(self, occurrence: int, tables: Tables) -> list[Made]:
        return [self._named(row) for row in self.query.passing(occurrence, tables)]

    def _named(self, row: Made) -> Made:
        return Made({f"{self.alias}.{name}": v for name, v in row.values.items()}, row.origins)


@dataclass(frozen=True)
class Join:
    """A source and how it is joined."""

    source: Source
    kind: str
    on: tuple[Condition, ...]

    def text(self) -> str:
        """In SQL."""
        on = " and ".join(one.text() for one in self.on)
        return f"{self.kind} join {self.source.text()} on {on}"


@dataclass(frozen=True)
class Select:
    """`select … from … join … where … group by …`."""

    first: Source
    joins: tuple[Join, ...] = ()
    where: tuple[Condition, ...] = ()
    shown: tuple[str, ...] = ()
    """Columns, under the names n0, n1 …"""
    after: str = ""
    """What comes then: nothing, `group`, `having`, `distinct`, `newest`, `limit` or `window`."""
    _known: dict[str, object] = field(default_factory=dict, compare=False)

    @property
    def sources(self) -> list[Source]:
        """Those whose rows go into the result."""
        kept = [join.source for join in self.joins if join.kind not in ("semi", "anti")]
        return [self.first, *kept]

    @property
    def occurrences(self) -> dict[int, str]:
        """Number of each occurrence of a table → the table."""
        return {n: t for source in self.sources for n, t in source.occurrences.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its columns."""
        names = tuple(f"n{place}" for place in range(len(self.shown)))
        return (*names, "c") if self.after in ("group", "having", "window") else names

    @property
    def is_alone(self) -> bool:
        """Whether it reads one table, once."""
        return not self.joins and len(self.occurrences) == 1 and self._inner_alone()

    def _inner_alone(self) -> bool:
        return not isinstance(self.first, Nested) or self.first.query.is_alone

    def text(self) -> str:
        """In SQL."""
        shown = [f"{one} as n{place}" for place, one in enumerate(self.shown)]
        if self.after in ("group", "having"):
            shown.append("count(*) as c")
        if self.after == "window":
            shown.append(f"count(*) over (partition by {self.shown[0]}) as c")
        words = "select distinct" if self.after == "distinct" else "select"
        parts = [f"{words} {', '.join(shown)} from {self.first.text()}"]
        parts += [join.text() for join in self.joins]
        if self.where:
            parts.append("where " + " and ".join(one.text() for one in self.where))
        unique = self.first.columns[0]
        match self.after:
            case "group":
                parts.append("group by all")
            case "having":
                parts.append("group by all having count(*) > 1")
            case "newest":
                window = f"partition by {self.shown[0]} order by {unique}"
                parts.append(f"qualify row_number() over ({window}) = 1")
            case "limit":
                parts.append(f"order by {unique} limit 2")
        return " ".join(parts)

    def rows(self, tables: Tables) -> list[Made]:
        """Worked out."""
        found = self.first.rows(tables)
        left = set(self.first.columns)
        for join in self.joins:
            found = list(_joined(found, left, join, tables))
            if join.kind not in ("semi", "anti"):
                left |= set(join.source.columns)
        found = [row for row in found if all(one.holds(row.values) for one in self.where)]
        return list(self._after(found))

    def own(self, occurrence: int) -> set[str]:
        """Its columns that come from one occurrence alone."""
        if self.is_alone:
            return set(self.names)
        source = next(one for one in self.sources if occurrence in one.occurrences)
        own = source.own(occurrence)
        return {f"n{place}" for place, one in enumerate(self.shown) if one in own}

    def passing(self, occurrence: int, tables: Tables) -> list[Made]:
        """Rows that conditions on one occurrence alone leave."""
        if self.is_alone:
            return self.rows(tables)
        source = next(one for one in self.sources if occurrence in one.occurrences)
        own = source.own(occurrence)
        conditions = [*self.where]
        for place, join in enumerate(self.joins):
            at = self._place(source)
            takes = {
                "inner": at <= place + 1,
                "left": at == place + 1,
                "right": at < place + 1,
                "semi": at < place + 1,
            }
            if takes.get(join.kind):
                conditions += join.on
        mine = [one for one in conditions if one.columns <= own]
        found = source.passing(occurrence, tables)
        return [
            Made(
                {
                    f"n{place}": row.values[one]
                    for place, one in enumerate(self.shown)
                    if one in own
                },
                tuple(one for one in row.origins if one[0] == occurrence),
            )
            for row in found
            if all(one.holds(row.values) for one in mine)
        ]

    def _place(self, source: Source) -> int:
        if source is self.first:
            return 0
        return next(n for n, join in enumerate(self.joins, start=1) if join.source is source)

    def _after(self, found: list[Made]) -> Iterator[Made]:
        shown = [
            Made(
                {f"n{place}": row.values[one] for place, one in enumerate(self.shown)}, row.origins
            )
            for row in found
        ]
        groups: dict[tuple[Value, ...], list[Made]] = {}
        for row in shown:
            groups.setdefault(tuple(row.values.values()), []).append(row)
        match self.after:
            case "group" | "having":
                for members in groups.values():
                    if self.after == "group" or len(members) > 1:
                        origins = tuple(one for row in members for one in row.origins)
                        yield Made({**members[0].values, "c": len(members)}, origins)
            case "distinct":
                for members in groups.values():
                    origins = tuple(sorted({one for row in members for one in row.origins}))
                    yield Made(members[0].values, origins)
            case "newest":
                yield from _first_of_each(found, shown, self.first.columns[0], self.shown[0])
            case "limit":
                unique = self.first.columns[0]
                order = sorted(range(len(found)), key=lambda n: found[n].values[unique] or 0)
                yield from (shown[n] for n in order[:2])
            case "window":
                counts = Counter(row.values["n0"] for row in shown)
                for row in shown:
                    yield Made({**row.values, "c": counts[row.values["n0"]]}, row.origins)
            case _:
                yield from shown


def _first_of_each(found: list[Made], shown: list[Made], unique: str, key: str) -> Iterator[Made]:
    best: dict[Value, int] = {}
    for place, row in enumerate(found):
        value = row.values[key]
        now = best.get(value)
        if now is None or (row.values[unique] or 0) < (found[now].values[unique] or 0):
            best[value] = place
    for place in best.values():
        yield shown[place]


def _joined(left: list[Made], columns: set[str], join: Join, tables: Tables) -> Iterator[Made]:
    right = join.source.rows(tables)
    met: set[int] = set()
    for row in left:
        partners = []
        for place, other in enumerate(right):
            values = {**row.values, **other.values}
            if all(one.holds(values) for one in join.on):
                partners.append(Made(values, (*row.origins, *other.origins)))
                met.add(place)
        if join.kind == "semi":
            yield from [row] if partners else []
        elif join.kind == "anti":
            yield from [] if partners else [row]
        elif not partners and join.kind in ("left", "full"):
            yield Made({**row.values, **dict.fromkeys(join.source.columns)}, row.origins)
        else:
            yield from partners
    if join.kind in ("right", "full"):
        for place, other in enumerate(right):
            if place not in met:
                yield Made({**dict.fromkeys(columns), **other.values}, other.origins)


def account(
    branches: list[Select], table: str, tables: Tables, rows: Callable[[], list[Made]]
) -> tuple[int, int, int, int]:
    """Reached, filtered, unmatched, duplicated: of all rows of a table."""
    numbers = [n for one in branches for n, t in one.occurrences.items() if t == table]
    times = Counter(
        row for made in rows() for number, row in made.origins if number in set(numbers)
    )
    passing = {
        row
        for branch in branches
        for number in numbers
        if number in branch.occurrences
        for made in branch.passing(number, tables)
        for _, row in made.origins
    }
    every = set(range(len(tables[table])))
    reached = set(times)
    filtered = every - passing
    unmatched = passing - reached
    return len(reached), len(filtered), len(unmatched), sum(times.values()) - len(reached)
