# ruff: noqa: S608  # queries made here
"""Conditions of queries made by chance, in SQL and worked out row by row."""

from collections.abc import Mapping
from dataclasses import dataclass

Value = int | None
Tables = Mapping[str, list[tuple[Value, ...]]]

COLUMNS = {"a": ("i", "k", "g"), "b": ("i", "k", "w"), "c": ("i", "g", "n")}
"""The first one is unique."""


class Asked:
    """What a row must fulfil."""

    @property
    def columns(self) -> set[str]:
        """The columns it looks at."""
        raise NotImplementedError

    @property
    def reads(self) -> set[str]:
        """Tables that it reads by itself."""
        return set()

    def text(self) -> str:
        """In SQL."""
        raise NotImplementedError

    def holds(self, values: Mapping[str, Value], tables: Tables) -> bool | None:
        """True, false, or unknown."""
        raise NotImplementedError


@dataclass(frozen=True)
class Condition(Asked):
    """`column > number`, `column is null`, `column = column`, `column is not distinct from …`."""

    left: str
    kind: str
    right: str | int = 0

    @property
    def columns(self) -> set[str]:
        return {self.left, self.right} if isinstance(self.right, str) else {self.left}

    def text(self) -> str:
        if self.kind == "null":
            return f"{self.left} is null"
        word = "is not distinct from" if self.kind == "same" else self.kind
        return f"{self.left} {word} {self.right}"

    def holds(self, values: Mapping[str, Value], tables: Tables) -> bool | None:
        left = values[self.left]
        right = values[self.right] if isinstance(self.right, str) else self.right
        if self.kind == "null":
            return left is None
        if self.kind == "same":
            return left == right
        if left is None or right is None:
            return None
        return left == right if self.kind == "=" else left > right


@dataclass(frozen=True)
class Either(Asked):
    """One of two."""

    first: Asked
    second: Asked

    @property
    def columns(self) -> set[str]:
        return self.first.columns | self.second.columns

    @property
    def reads(self) -> set[str]:
        return self.first.reads | self.second.reads

    def text(self) -> str:
        return f"({self.first.text()} or {self.second.text()})"

    def holds(self, values: Mapping[str, Value], tables: Tables) -> bool | None:
        both = (self.first.holds(values, tables), self.second.holds(values, tables))
        return True if True in both else None if None in both else False


@dataclass(frozen=True)
class Not(Asked):
    """The opposite."""

    inner: Asked

    @property
    def columns(self) -> set[str]:
        return self.inner.columns

    @property
    def reads(self) -> set[str]:
        return self.inner.reads

    def text(self) -> str:
        return f"not ({self.inner.text()})"

    def holds(self, values: Mapping[str, Value], tables: Tables) -> bool | None:
        found = self.inner.holds(values, tables)
        return None if found is None else not found


@dataclass(frozen=True)
class Among(Asked):
    """`column in (select … from table)`, or `exists` with the column inside."""

    column: str
    table: str
    place: int
    is_exists: bool

    @property
    def columns(self) -> set[str]:
        return {self.column}

    @property
    def reads(self) -> set[str]:
        return {self.table}

    def text(self) -> str:
        name = COLUMNS[self.table][self.place]
        if self.is_exists:
            return f"exists (select 1 from {self.table} as z where z.{name} = {self.column})"
        return f"{self.column} in (select {name} from {self.table} as z)"

    def holds(self, values: Mapping[str, Value], tables: Tables) -> bool | None:
        found = [row[self.place] for row in tables[self.table]]
        value = values[self.column]
        if self.is_exists or not found:
            return value is not None and value in found
        if value is not None and value in found:
            return True
        return None if value is None or None in found else False
