"""Changes of a whole batch, merged per row: a run's many events become one write per row."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TypeVar

from domain.errors import Defect
from projections.ports import Add, Bulk, Change, Delete, Put, Table, Value

Key = tuple[Value, ...]
V = TypeVar("V", bound=Value)


class ChangeSet:
    """Collects changes in order and gives out fewer ones with the same effect.

    The last value of a column wins, amounts are summed, and a row that is removed forgets what
    was done to it before. Given out are removals first, then puts and adds, like with like, so
    that a store can write them in bulk.
    """

    def __init__(self, tables: Iterable[Table]) -> None:
        self._tables = {table.name: table for table in tables}
        self._rows: dict[str, _Rows] = {}
        """Of those tables that anything was done to."""

    def add(self, changes: Sequence[Change]) -> None:
        """Take changes behind those taken before."""
        for change in changes:
            rows = self._rows.get(change.table)
            if rows is None:
                rows = self._rows[change.table] = _Rows(self._tables[change.table])
            # Puts are tried first: they are most of all changes.
            if isinstance(change, Put):
                rows.put(change.key, change.values)
            elif isinstance(change, Add):
                rows.add(change.key, change.amounts)
            elif isinstance(change, Delete):
                rows.delete(change.key)
            else:
                rows.delete_where(change.values)

    def drain(self) -> list[Bulk]:
        """All changes since the last drain, merged."""
        merged = [bulk for rows in self._rows.values() for bulk in rows.bulks()]
        self._rows = {}
        return merged


class _Rows:
    """What a batch does to the rows of one table: remove them or not, then set and add."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._cleared: dict[tuple[str, ...], list[Key]] = {}
        self._removed: dict[Key, None] = {}
        self._values: dict[Key, Mapping[str, Value]] = {}
        self._amounts: dict[Key, dict[str, int | float]] = {}
        self._groups: dict[Value, dict[Key, None]] | None = None
        """All keys above by their first value, once whole groups are removed by it."""

    def put(self, key: Key, values: Mapping[str, Value]) -> None:
        known = self._values.get(key)
        if known is None:
            self._values[key] = values
            if self._groups is not None:
                self._note(key)
        else:
            self._values[key] = {**known, **values}
        if self._amounts:
            amounts = self._amounts.get(key, {})
            for column in amounts.keys() & values.keys():
                del amounts[column]

    def add(self, key: Key, amounts: Mapping[str, int | float]) -> None:
        values = self._values.get(key)
        for column, amount in amounts.items():
            if values is not None and column in values:
                values = {**values, column: _number(values[column]) + amount}
                self._values[key] = values
            else:
                self._note(key)
                sums = self._amounts.setdefault(key, {})
                sums[column] = sums.get(column, 0) + amount

    def delete(self, key: Key) -> None:
        self._note(key)
        self._forget(key)
        self._removed[key] = None

    def delete_where(self, values: Mapping[str, Value]) -> None:
        self._cleared.setdefault(tuple(values), []).append(tuple(values.values()))
        for key in self._matching(values):
            self._forget(key)
            self._removed.pop(key, None)

    def bulks(self) -> Iterator[Bulk]:
        """Everything that was collected."""
        name = self.table.name
        for columns, cleared in self._cleared.items():
            yield Bulk("delete", name, columns, cleared)
        if self._removed:
            yield Bulk("delete", name, self.table.key, list(self._removed))
        for columns, rows in _by_columns(self._values):
            yield Bulk("put", name, columns, rows)
        for columns, rows in _by_columns(self._amounts):
            yield Bulk("add", name, columns, rows)

    def _note(self, key: Key) -> None:
        if self._groups is not None:
            self._groups.setdefault(key[0], {})[key] = None

    def _forget(self, key: Key) -> None:
        self._values.pop(key, None)
        self._amounts.pop(key, None)

    def _matching(self, values: Mapping[str, Value]) -> Iterable[Key]:
        """The keys of rows that have these values."""
        if self._groups is None:
            self._groups = _grouped(chain(self._removed, self._values, self._amounts))
        columns = self.table.key
        if tuple(values) == columns[:1]:
            return self._groups.pop(values[columns[0]], ())
        wanted = [(columns.index(column), value) for column, value in values.items()]
        return [
            key
            for group in self._groups.values()
            for key in group
            if all(key[place] == value for place, value in wanted)
        ]


def _grouped(keys: Iterable[Key]) -> dict[Value, dict[Key, None]]:
    """Keys by their first value."""
    groups: dict[Value, dict[Key, None]] = {}
    for key in keys:
        groups.setdefault(key[0], {})[key] = None
    return groups


def _number(value: Value) -> int | float:
    if isinstance(value, str):
        raise Defect(f"an amount was added to the text {value!r}")
    return 0 if value is None else value


def _by_columns(
    changes: Mapping[Key, Mapping[str, V]],
) -> Iterable[tuple[tuple[str, ...], list[Key]]]:
    """Rows of the same columns together: the key, then the values."""
    found: dict[tuple[str, ...], list[Key]] = {}
    for key, values in changes.items():
        columns = tuple(values)
        rows = found.get(columns)
        if rows is None:
            rows = found[columns] = []
        rows.append((*key, *values.values()))
    return found.items()
