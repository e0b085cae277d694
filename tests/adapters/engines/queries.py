# ruff: noqa: S608  # queries made here
"""Queries made by chance over small tables, each with its answer worked out row by row.

A query is a tree of plain objects. `text()` says it in SQL; `rows()` works it out in Python, where
each row carries the numbers of the rows it is made from; `passing()` says which rows of one
occurrence of a table the conditions on that table alone leave.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tests.adapters.engines.asked import Asked, Condition, Tables, Value
from tests.adapters.engines.sources import Join, Made, Query, Source, all_of, hold, joined

GROUPED = ("group", "having", "having_sum", "having_key")


@dataclass(frozen=True)
class Select(Query):
    """`select … from … join … where … group by …`."""

    first: Source
    joins: tuple[Join, ...] = ()
    where: tuple[Asked, ...] = ()
    shown: tuple[str, ...] = ()
    """Columns, under the names n0, n1 …"""
    after: str = ""
    """What comes then: one of `GROUPED`, or `distinct`, `newest`, `on`, `limit`, `window`."""

    @property
    def sources(self) -> list[Source]:
        """Those whose rows go into the result."""
        kept = [join.source for join in self.joins if join.kind not in ("semi", "anti")]
        return [self.first, *kept]

    @property
    def occurrences(self) -> dict[int, str]:  # type: ignore[override]
        return {n: t for source in self.sources for n, t in source.occurrences.items()}

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        names = tuple(f"n{place}" for place in range(len(self.shown)))
        return (*names, "c") if self.after in (*GROUPED, "window") else names

    @property
    def is_alone(self) -> bool:  # type: ignore[override]
        read = set(self.occurrences.values())
        reads = {table for one in self.where for table in one.reads}
        alone = len(self.occurrences) == 1 and reads <= read
        return not self.joins and alone and self.first.is_alone

    def withs(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for source in (self.first, *(join.source for join in self.joins)):
            found |= source.withs()
        return found

    def text(self) -> str:
        shown = [f"{one} as n{place}" for place, one in enumerate(self.shown)]
        if self.after in GROUPED:
            shown.append("count(*) as c")
        if self.after == "window":
            shown.append(f"count(*) over (partition by {self.shown[0]}) as c")
        word = {"distinct": "distinct ", "on": f"distinct on ({self.shown[0]}) "}
        parts = [f"select {word.get(self.after, '')}{', '.join(shown)} from {self.first.text()}"]
        parts += [join.text() for join in self.joins]
        if self.where:
            parts.append(f"where {all_of(self.where)}")
        order = ", ".join(source.unique for source in self.sources)
        ends = {
            "group": "group by all",
            "keys": "group by all",
            "having": "group by all having count(*) > 1",
            "having_sum": f"group by all having sum({self.shown[0]}) > 1",
            "having_key": f"group by all having {self.shown[0]} > 1",
            "newest": f"qualify row_number() over (partition by {self.shown[0]} order by {order})"
            " = 1",
            "on": f"order by {self.shown[0]}, {order}",
            "limit": f"order by {order} limit 2 offset 1",
        }
        return " ".join((*parts, ends.get(self.after, "")))

    def rows(self, tables: Tables) -> list[Made]:
        found = self.first.rows(tables)
        left = set(self.first.columns)
        for join in self.joins:
            found = list(joined(found, left, join, tables))
            if join.kind not in ("semi", "anti"):
                left |= {*join.source.columns, *([join.using] if join.using else [])}
        found = [row for row in found if hold(self.where, row.values, tables)]
        return list(self._after(found))

    def own(self, occurrence: int) -> set[str]:
        if self.is_alone:
            return set(self.names)
        own = self._columns_of(self._source(occurrence), occurrence)
        return {f"n{place}" for place, one in enumerate(self.shown) if one in own}

    def passing(self, occurrence: int, tables: Tables) -> list[Made]:
        if self.is_alone:
            return self.rows(tables)
        source = self._source(occurrence)
        own = self._columns_of(source, occurrence)
        mine = [
            one
            for one in self._reaching(self._place(source))
            if one.columns <= own and one.reads <= {self.occurrences[occurrence]}
        ]
        return [
            Made(
                {f"n{place}": values[one] for place, one in enumerate(self.shown) if one in own},
                tuple(one for one in row.origins if one[0] == occurrence),
            )
            for row in source.passing(occurrence, tables)
            for values in [self._with_merged(source, row.values)]
            if hold(mine, values, tables)
        ]

    def renumbered(self, by: int) -> "Select":
        joins = tuple(replace(one, source=one.source.renumbered(by)) for one in self.joins)
        return replace(self, first=self.first.renumbered(by), joins=joins)

    def _source(self, occurrence: int) -> Source:
        return next(one for one in self.sources if occurrence in one.occurrences)

    def _place(self, source: Source) -> int:
        if source is self.first:
            return 0
        return next(n for n, join in enumerate(self.joins, start=1) if join.source is source)

    def _reaching(self, at: int) -> list[Asked]:
        """Conditions without which no row of the source at a place is in the result."""
        found = [*self.where]
        if self.after == "having_key":
            found.append(Condition(self.shown[0], ">", 1))
        for place, join in enumerate(self.joins, start=1):
            takes = {
                "inner": at <= place,
                "left": at == place,
                "right": at < place,
                "semi": at < place,
            }
            if takes.get(join.kind):
                found += join.on
        return found

    def _columns_of(self, source: Source, occurrence: int) -> set[str]:
        """With those that a join with `using` made one of two."""
        own = source.own(occurrence)
        return own | {name for name in self.merged() if f"{source.alias}.{name}" in own}

    def _with_merged(self, source: Source, values: Mapping[str, Value]) -> dict[str, Value]:
        more = {
            name: values[f"{source.alias}.{name}"]
            for name in self.merged()
            if f"{source.alias}.{name}" in values
        }
        return {**values, **more}

    def merged(self) -> list[str]:
        """Columns that a join with `using` made one of two."""
        kept = [join for join in self.joins if join.kind not in ("semi", "anti")]
        return [join.using for join in kept if join.using]

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
        if self.after in GROUPED:
            for members in groups.values():
                if self._stays(members):
                    origins = tuple(one for row in members for one in row.origins)
                    yield Made({**members[0].values, "c": len(members)}, origins)
        elif self.after in ("distinct", "keys"):
            yield from distinct(shown, self.occurrences)
        elif self.after in ("newest", "on"):
            met = set()
            for place in self._ordered(found):
                value = shown[place].values["n0"]
                if value not in met:
                    met.add(value)
                    yield shown[place]
        elif self.after == "limit":
            yield from (shown[place] for place in self._ordered(found)[1:3])
        elif self.after == "window":
            counts = Counter(row.values["n0"] for row in shown)
            for row in shown:
                yield Made({**row.values, "c": counts[row.values["n0"]]}, row.origins)
        else:
            yield from shown

    def _stays(self, members: Sequence[Made]) -> bool:
        first = members[0].values["n0"]
        match self.after:
            case "having":
                return len(members) > 1
            case "having_sum":
                return first is not None and first * len(members) > 1
            case "having_key":
                return first is not None and first > 1
        return True

    def _ordered(self, found: list[Made]) -> list[int]:
        uniques = [source.unique for source in self.sources]

        def key(place: int) -> list[tuple[bool, int]]:
            values = [found[place].values[one] for one in uniques]
            return [(value is None, value or 0) for value in values]

        return sorted(range(len(found)), key=key)


@dataclass(frozen=True)
class Union(Query):
    """Two queries, one below the other."""

    first: Query
    second: Query
    is_distinct: bool

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.first.names

    @property
    def occurrences(self) -> dict[int, str]:  # type: ignore[override]
        return {**self.first.occurrences, **self.second.occurrences}

    @property
    def is_alone(self) -> bool:  # type: ignore[override]
        return False

    def text(self) -> str:
        word = "union" if self.is_distinct else "union all"
        return f"({self.first.text()}) {word} ({self.second.text()})"

    def withs(self) -> dict[str, str]:
        return {**self.first.withs(), **self.second.withs()}

    def rows(self, tables: Tables) -> list[Made]:
        both = [*self.first.rows(tables), *self._named(self.second.rows(tables))]
        return [*distinct(both, self.occurrences)] if self.is_distinct else both

    def own(self, occurrence: int) -> set[str]:
        if occurrence in self.first.occurrences:
            return self.first.own(occurrence)
        own = self.second.own(occurrence)
        pairs = zip(self.first.names, self.second.names, strict=True)
        return {mine for mine, theirs in pairs if theirs in own}

    def passing(self, occurrence: int, tables: Tables) -> list[Made]:
        if occurrence in self.first.occurrences:
            return self.first.passing(occurrence, tables)
        return self._named(self.second.passing(occurrence, tables))

    def renumbered(self, by: int) -> "Union":
        return replace(self, first=self.first.renumbered(by), second=self.second.renumbered(by))

    def _named(self, rows: Sequence[Made]) -> list[Made]:
        names = dict(zip(self.second.names, self.first.names, strict=True))
        return [Made({names[n]: v for n, v in row.values.items()}, row.origins) for row in rows]


def distinct(rows: Sequence[Made], occurrences: Mapping[int, str]) -> Iterator[Made]:
    """Rows without those that stand twice, each made from all that are like it: from each row of a
    table once, however often the table is read."""
    groups: dict[tuple[Value, ...], dict[tuple[str, int], tuple[int, int]]] = {}
    for row in rows:
        found = groups.setdefault(tuple(row.values.values()), {})
        for number, place in row.origins:
            found.setdefault((occurrences[number], place), (number, place))
    for values, origins in groups.items():
        names = [f"n{place}" for place in range(len(values))]
        yield Made(dict(zip(names, values, strict=True)), tuple(origins.values()))


def account(query: Query, table: str, tables: Tables) -> tuple[int, int, int, int]:
    """Reached, filtered, unmatched, duplicated: of all rows of a table."""
    numbers = {n for n, t in query.occurrences.items() if t == table}
    times = Counter(
        row for made in query.rows(tables) for number, row in made.origins if number in numbers
    )
    passing = {
        row
        for number in numbers
        for made in query.passing(number, tables)
        for at, row in made.origins
        if at == number
    }
    reached = set(times)
    filtered = set(range(len(tables[table]))) - passing
    return (
        len(reached),
        len(filtered),
        len(passing - reached),
        sum(times.values()) - len(reached),
    )
