"""Changes of a whole batch, merged per row: a run's many events become one write per row."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from domain.errors import Defect
from projections.ports import Add, Change, Delete, DeleteWhere, Put, Table, Value

Key = tuple[Value, ...]


class _Slot(Struct, gc=False):
    """What a batch does to one row: remove it or not, then set and add."""

    removed: bool
    values: Mapping[str, Value] | None = None
    own: dict[str, Value] | None = None
    """The same as `values`, once it is ours to change."""
    amounts: dict[str, int | float] | None = None


class ChangeSet:
    """Collects changes in order and gives out fewer ones with the same effect.

    The last value of a column wins, amounts are summed, and a row that is removed forgets what
    was done to it before. Given out are removals first, then puts and adds, with changes of the
    same shape side by side, so that a store can write them in bulk.
    """

    def __init__(self, tables: Iterable[Table]) -> None:
        self._keys = {table.name: table.key for table in tables}
        # Rows are grouped by the first value of their key, by which whole groups are removed.
        self._slots: dict[str, dict[Value, dict[Key, _Slot]]] = {name: {} for name in self._keys}
        self._cleared: list[DeleteWhere] = []

    def add(self, changes: Sequence[Change]) -> None:
        """Take changes behind those taken before."""
        slots = self._slots
        for change in changes:
            # Puts are tried first: they are most of all changes.
            if not isinstance(change, Put) and isinstance(change, DeleteWhere):
                self._clear(change)
                continue
            groups = slots[change.table]
            key = change.key
            group = groups.get(key[0])
            if group is None:
                group = groups[key[0]] = {}
            slot = group.get(key)
            if isinstance(change, Put):
                if slot is None:
                    group[key] = _Slot(False, change.values)
                elif slot.own is not None and slot.amounts is None:
                    slot.own.update(change.values)
                else:
                    _put(slot, change.values)
            elif isinstance(change, Add):
                if slot is None:
                    slot = group[key] = _Slot(False)
                _add(slot, change.amounts)
            else:
                group[key] = _Slot(True)

    def drain(self) -> list[Change]:
        """All changes since the last drain, merged."""
        merged: list[Change] = list(self._cleared)
        for table, groups in self._slots.items():
            rows = [row for group in groups.values() for row in group.items()]
            merged.extend(Delete(table, key) for key, slot in rows if slot.removed)
            merged.extend(_by_shape(_puts(table, rows)))
            merged.extend(_by_shape(_adds(table, rows)))
            groups.clear()
        self._cleared = []
        return merged

    def _clear(self, change: DeleteWhere) -> None:
        self._cleared.append(change)
        columns = self._keys[change.table]
        groups = self._slots[change.table]
        wanted = [(columns.index(column), value) for column, value in change.values.items()]
        if len(wanted) == 1 and wanted[0][0] == 0:
            groups.pop(wanted[0][1], None)
            return
        for group in groups.values():
            matching = [key for key in group if all(key[place] == v for place, v in wanted)]
            for key in matching:
                del group[key]


def _put(slot: _Slot, values: Mapping[str, Value]) -> None:
    if slot.amounts:
        for column in values:
            slot.amounts.pop(column, None)
    if slot.values is None:
        slot.values = values
    else:
        _owned(slot).update(values)


def _owned(slot: _Slot) -> dict[str, Value]:
    """The slot's values, copied when they are changed for the first time."""
    if slot.own is None:
        slot.own = dict(slot.values or ())
        slot.values = slot.own
    return slot.own


def _add(slot: _Slot, amounts: Mapping[str, int | float]) -> None:
    for column, amount in amounts.items():
        if slot.values is not None and column in slot.values:
            _owned(slot)[column] = _number(slot.values[column]) + amount
        else:
            if slot.amounts is None:
                slot.amounts = {}
            slot.amounts[column] = slot.amounts.get(column, 0) + amount


def _number(value: Value) -> int | float:
    if isinstance(value, str):
        raise Defect(f"an amount was added to the text {value!r}")
    return 0 if value is None else value


def _puts(table: str, rows: Iterable[tuple[Key, _Slot]]) -> Iterator[Put]:
    for key, slot in rows:
        if slot.values is not None:
            yield Put(table, key, slot.values)


def _adds(table: str, rows: Iterable[tuple[Key, _Slot]]) -> Iterator[Add]:
    for key, slot in rows:
        if slot.amounts:
            yield Add(table, key, slot.amounts)


def _by_shape(changes: Iterable[Put | Add]) -> Iterator[Put | Add]:
    shapes: dict[tuple[str, ...], list[Put | Add]] = {}
    for change in changes:
        columns: Mapping[str, object] = change.values if type(change) is Put else change.amounts  # type: ignore[union-attr]  # a Put or an Add
        shapes.setdefault(tuple(columns), []).append(change)
    for same in shapes.values():
        yield from same
