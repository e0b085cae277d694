"""What the readers of all kinds of files have in common."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from msgspec import Struct

from adapters.datasets.scan import Scan
from commands.steps.ports import SourceRead, StepBroken, broken
from commands.steps.sql import quoted, sql_type
from domain.data.dataset import OuterDataset

_text_chars_max = 200
_INTEGER = "BIGINT"


class Reading(Struct, frozen=True, kw_only=True):
    """One source being read."""

    name: str
    path: str
    target: str
    types: dict[str, str]
    """Column → declared or sniffed type."""
    declared: bool

    @property
    def sql_types(self) -> dict[str, str]:
        """Column → the engine's type."""
        return {name: sql_type(type_) for name, type_ in self.types.items()}

    @property
    def integers(self) -> tuple[str, ...]:
        """Columns in which a fraction would get lost unnoticed."""
        return tuple(name for name, type_ in self.sql_types.items() if type_ == _INTEGER)

    def hint(self) -> str:
        """What to do about a value that does not fit its column."""
        if self.declared:
            return "mend the file, or declare another type in `columns:`"
        return f"declare its type: sources.{self.name}.columns"

    def seen(self, scan: Scan, records: int) -> SourceRead:
        """The file as the outcome names it."""
        return SourceRead(
            source=OuterDataset(
                namespace="file", name=self.path, fingerprint=scan.fingerprint, bytes=scan.bytes
            ),
            records=records,
            columns=tuple(self.types),
        )


def fractions(columns: Iterable[str]) -> str:
    """SQL: whether any of these columns, read as doubles, is no whole number."""
    return " or ".join(f"{quoted(name)} <> trunc({quoted(name)})" for name in columns)


def bad_row(reading: Reading, line: int, what: str, text: str, hint: str) -> StepBroken:
    """The report of a record that cannot be read."""
    shown = text.rstrip("\r\n").encode(errors="replace").decode()
    if len(shown) > _text_chars_max:
        shown = shown[:_text_chars_max] + "…"
    return broken("bad_row", f"{what}: {shown}", where=f"{reading.path}:{line}", hint=hint)


def hold_columns(reading: Reading, found: Sequence[str], where: str) -> None:
    """Raise `StepBroken` where a source's columns are not those that were declared or sniffed."""
    folded = [name.lower() for name in found]
    doubled = [name for name in found if folded.count(name.lower()) > 1]
    if doubled:
        raise broken(
            "duplicate_column",
            f"more than one column is called {', '.join(doubled)}",
            where=where,
            hint="columns are told apart without regard to capital letters",
        )
    missing = [name for name in reading.types if name not in found]
    if missing:
        near = get_close_matches(missing[0], found, n=3)
        there = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(found)}"
        raise broken(
            "missing_column", f"column {', '.join(missing)} is missing", where=where, hint=there
        )
    extra = [name for name in found if name not in reading.types]
    if extra:
        hint = (
            "declare it in `columns:`"
            if reading.declared
            else "the file has changed since its columns were looked at: apply the pipeline again"
        )
        raise broken(
            "extra_column", f"column {', '.join(extra)} is not declared", where=where, hint=hint
        )
