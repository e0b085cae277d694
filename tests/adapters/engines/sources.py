"""What queries made by chance read from: tables, queries under a name, and joins of these."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tests.adapters.engines.asked import COLUMNS, Asked, Tables, Value

Origins = tuple[tuple[int, int], ...]
"""Occurrence of a table and row number, each."""


@dataclass(frozen=True)
class Made:
    """A row and what it is made from."""

    values: Mapping[str, Value]
    origins: Origins


class Query:
    """What gives rows."""

    names: tuple[str, ...]
    occurrences: dict[int, str]
    """Number of each occurrence → table."""
    is_alone: bool
    """Whether it reads one table, once."""

    def text(self) -> str:
        """In SQL."""
        raise NotImplementedError

    def withs(self) -> dict[str, str]:
        """Name → text of the `with` clauses that it wants."""
        raise NotImplementedError

    def rows(self, tables: Tables) -> list[Made]:
        """Worked out."""
        raise NotImplementedError

    def own(self, occurrence: int) -> set[str]:
        """Its columns that come from one occurrence alone."""
        raise NotImplementedError

    def passing(self, occurrence: int, tables: Tables) -> list[Made]:
        """Rows that conditions on one occurrence alone leave, with what comes from it alone."""
        raise NotImplementedError

    def renumbered(self, by: int) -> "Query":
        """The same with other numbers."""
        raise NotImplementedError


@dataclass(frozen=True)
class Plain:
    """A table under a name of its own."""

    alias: str
    table: str
    number: int

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(f"{self.alias}.{name}" for name in COLUMNS[self.table])

    @property
    def occurrences(self) -> dict[int, str]:
        return {self.number: self.table}

    @property
    def is_alone(self) -> bool:
        return True

    @property
    def unique(self) -> str:
        """A column in which no value stands twice."""
        return self.columns[0]

    def text(self) -> str:
        return f"{self.table} as {self.alias}"

    def withs(self) -> dict[str, str]:
        return {}

    def rows(self, tables: Tables) -> list[Made]:
        return [
            Made(dict(zip(self.columns, row, strict=True)), ((self.number, place),))
            for place, row in enumerate(tables[self.table])
        ]

    def own(self, occurrence: int) -> set[str]:
        return set(self.columns)

    def passing(self, occurrence: int, tables: Tables) -> list[Made]:
        return self.rows(tables)

    def renumbered(self, by: int) -> "Plain":
        return replace(self, number=self.number + by)


@dataclass(frozen=True)
class Nested:
    """A query in brackets, or by the name that a `with` gives it."""

    alias: str
    query: Query
    name: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(f"{self.alias}.{name}" for name in self.query.names)

    @property
    def occurrences(self) -> dict[int, str]:
        return self.query.occurrences

    @property
    def is_alone(self) -> bool:
        return self.query.is_alone

    @property
    def unique(self) -> str:
        return ""

    def text(self) -> str:
        return f"{self.name or f'({self.query.text()})'} as {self.alias}"

    def withs(self) -> dict[str, str]:
        more = {self.name: self.query.text()} if self.name else {}
        return {**self.query.withs(), **more}

    def rows(self, tables: Tables) -> list[Made]:
        return [self._named(row) for row in self.query.rows(tables)]

    def own(self, occurrence: int) -> set[str]:
        return {f"{self.alias}.{name}" for name in self.query.own(occurrence)}

    def passing(self, occurrence: int, tables: Tables) -> list[Made]:
        return [self._named(row) for row in self.query.passing(occurrence, tables)]

    def renumbered(self, by: int) -> "Nested":
        return replace(self, query=self.query.renumbered(by))

    def _named(self, row: Made) -> Made:
        return Made({f"{self.alias}.{name}": v for name, v in row.values.items()}, row.origins)


Source = Plain | Nested


@dataclass(frozen=True)
class Join:
    """A source and how it is joined."""

    source: Source
    kind: str
    on: tuple[Asked, ...]
    using: str = ""

    def text(self) -> str:
        """In SQL."""
        if self.using:
            return f"{self.kind} join {self.source.text()} using ({self.using})"
        if self.kind == "cross":
            return f"cross join {self.source.text()}"
        return f"{self.kind} join {self.source.text()} on {all_of(self.on)}"


def all_of(conditions: Sequence[Asked]) -> str:
    """In SQL."""
    return " and ".join(one.text() for one in conditions)


def hold(conditions: Sequence[Asked], values: Mapping[str, Value], tables: Tables) -> bool:
    """Whether each of them is true, and not merely unknown."""
    return all(one.holds(values, tables) is True for one in conditions)


def joined(left: list[Made], columns: set[str], join: Join, tables: Tables) -> Iterator[Made]:
    """Rows with their partners."""
    right = join.source.rows(tables)
    met: set[int] = set()
    for row in left:
        partners = []
        for place, other in enumerate(right):
            values = {**row.values, **other.values}
            if hold(join.on, values, tables):
                partners.append(_merged(join, values, (*row.origins, *other.origins)))
                met.add(place)
        if join.kind == "semi":
            yield from [row] if partners else []
        elif join.kind == "anti":
            yield from [] if partners else [row]
        elif not partners and join.kind in ("left", "full"):
            values = {**row.values, **dict.fromkeys(join.source.columns)}
            yield _merged(join, values, row.origins)
        else:
            yield from partners
    if join.kind in ("right", "full"):
        for place, other in enumerate(right):
            if place not in met:
                yield _merged(join, {**dict.fromkeys(columns), **other.values}, other.origins)


def _merged(join: Join, values: dict[str, Value], origins: Origins) -> Made:
    if join.using:
        pair = [values[column] for one in join.on for column in sorted(one.columns)]
        values[join.using] = next((value for value in pair if value is not None), None)
    return Made(values, origins)
