# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""The layers of a cleaning: one query that grows with each rule."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from commands.steps.sql import careful_cast, literal, misfit, quoted
from domain.pipeline.rules import Fill, Map, Scalar, Trim

ROW = quoted("file_row_number")
BY = quoted("headwater removed by")

_SPACES = "".join(map(chr, (*range(9, 14), *range(28, 33), 0x85, 0xA0, 0x1680)))
_SPACES += "".join(map(chr, (*range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000)))
"""White space in the sense of Unicode, as Python's `str.strip` has it; the engine's own `trim`
knows the space alone."""


@dataclass
class Layers:
    """The query so far, twice: as it is written, and with each row's fate beside it for counting.

    Rows that were removed stay in the counting form, marked with the number of their rule.
    """

    columns: dict[str, str]
    written: str
    counting: str
    lost: dict[int, str] = field(default_factory=dict)
    """Rule number → column that is true where a cast could not be made."""
    changed: dict[int, str] = field(default_factory=dict)
    """Rule number → column with the number of values that it changed."""
    reasons: dict[int, str] = field(default_factory=dict)
    """Rule number → column that says why a row is set apart; null where it is not."""
    is_shuffled: bool = False
    """Whether the written form may have lost the order of the input: a join keeps none."""

    def keep(self, number: int, right: str) -> None:
        """Rows for which `right` is not true go, and are counted for rule `number`."""
        self.written = f"from ({self.written}) where {right}"
        self._mark(number, f"({right}) is not true")

    def remove_losers(self, number: int, losers: str) -> None:
        """Rows listed in the table `losers` go."""
        row = ROW
        self.written = f"from ({self.written}) anti join {losers} using ({row})"
        self.is_shuffled = True
        self._mark(number, f"{row} in (select {row} from {losers})")

    def cast(self, number: int, types: Mapping[str, str]) -> None:
        """Columns get other types; what cannot be said in them is null."""
        made = {name: careful_cast(name, self.columns[name], want) for name, want in types.items()}
        lost = " or ".join(
            f"({quoted(name)} is not null and {expression} is null)"
            for name, expression in made.items()
        )
        shown = ", ".join(
            f"{made[name]} as {quoted(name)}" if name in made else quoted(name)
            for name in self.columns
        )
        name = quoted(f"headwater lost {number}")
        self._select(shown, f"{lost} as {name}")
        self.lost[number] = name
        self.columns.update(types)

    def change(self, number: int, made: Mapping[str, str]) -> None:
        """Columns get other values of the same type, each made by an expression."""
        shown = ", ".join(
            f"{made[name]} as {quoted(name)}" if name in made else quoted(name)
            for name in self.columns
        )
        cells = " + ".join(
            f"cast({quoted(name)} is distinct from {expression} as integer)"
            for name, expression in made.items()
        )
        name = quoted(f"headwater changed {number}")
        self._select(shown, f"{cells} as {name}")
        self.changed[number] = name

    def set_apart(self, number: int, types: Mapping[str, str], says: Mapping[str, str]) -> None:
        """Rows with a value that cannot be said in its new type go to quarantine."""
        wrong = {
            name: f"{quoted(name)} is not null and "
            f"{careful_cast(name, self.columns[name], want)} is null"
            for name, want in types.items()
        }
        self.reasons[number] = quoted(f"headwater reason {number}")
        told = f"{misfit(wrong, says)} as {self.reasons[number]}"
        self.written = f"from ({self.written}) where not ({' or '.join(wrong.values())})"
        self.counting = f"select *, {told} from ({self.counting})"
        self._mark(number, f"{self.reasons[number]} is not null")

    def rename(self, names: Mapping[str, str]) -> None:
        """Columns get other names."""
        shown = ", ".join(
            f"{quoted(name)} as {quoted(names.get(name, name))}" for name in self.columns
        )
        self._select(shown)
        self.columns = {names.get(name, name): type_ for name, type_ in self.columns.items()}

    def _mark(self, number: int, wrong: str) -> None:
        # A removed row is not looked at again: what comes later may fail on it.
        mark = f"case when {BY} <> 0 then {BY} when {wrong} then {number} else 0 end as {BY}"
        self.counting = f"select * replace ({mark}) from ({self.counting})"

    def _select(self, shown: str, more: str = "") -> None:
        marks = (*self.reasons.values(), *self.lost.values(), *self.changed.values())
        carried = [ROW, BY, *marks, *([more] if more else [])]
        self.written = f"select {shown}, {ROW} from ({self.written})"
        self.counting = f"select {shown}, {', '.join(carried)} from ({self.counting})"


def changed(rule: Trim | Fill | Map, columns: Mapping[str, str]) -> dict[str, str]:
    """Column → SQL for the value that the rule gives it, of the column's own type."""
    match rule:
        case Trim(trim=names):
            return {name: f"trim({quoted(name)}, {literal(_SPACES)})" for name in names}
        case Fill(fill=values):
            return {
                name: f"coalesce({quoted(name)}, {constant(value, columns[name])})"
                for name, value in values.items()
            }
        case Map(map=maps, others=others):
            return {
                name: _mapped(name, values, columns[name], keeps=others == "keep")
                for name, values in maps.items()
            }


def constant(value: Scalar | None, type_: str) -> str:
    """SQL: a value of the pipeline file as the engine's type."""
    match value:
        case None:
            text = "null"
        case bool():
            text = "true" if value else "false"
        case _:
            text = literal(str(value))
    return f"cast({text} as {type_})"


def _mapped(name: str, values: Mapping[str, Scalar | None], type_: str, *, keeps: bool) -> str:
    cases = " ".join(
        f"when {constant(old, type_)} then {constant(new, type_)}" for old, new in values.items()
    )
    rest = quoted(name) if keeps else constant(None, type_)
    return f"case {quoted(name)} {cases} else {rest} end"
