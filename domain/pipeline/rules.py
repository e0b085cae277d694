"""Rules: what cleaning does to rows, and what a check demands of them.

In the file a rule is a map with exactly one rule key (the first field of each class here), beside
what belongs to it: `{deduplicate: [id], keep: last}`, `{unique: [id], severity: warn}`.
"""

from typing import Literal

from msgspec import Struct

from domain.data.dataset import ColumnType
from domain.data.quality import Severity

Scalar = str | int | float | bool


class _Rule(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    name: str = ""


class DropNulls(_Rule, frozen=True, kw_only=True):
    """Removes rows in which any of these columns is missing."""

    drop_nulls: tuple[str, ...]


class Deduplicate(_Rule, frozen=True, kw_only=True):
    """Of the rows that agree in these columns, keeps one."""

    deduplicate: tuple[str, ...]
    keep: Literal["first", "last"] = "first"
    order_by: tuple[str, ...] = ()
    """The order that `keep` speaks of; ties go by the input's order."""


class KeepRows(_Rule, frozen=True, kw_only=True):
    """Keeps the rows for which this SQL condition is true."""

    keep_rows: str


class Cast(_Rule, frozen=True, kw_only=True):
    """Gives columns another type."""

    cast: dict[str, ColumnType]
    on_error: Literal["fail", "null", "quarantine"] = "fail"


class Rename(_Rule, frozen=True, kw_only=True):
    """Gives columns other names: old → new."""

    rename: dict[str, str]


class _Quality(_Rule, frozen=True, kw_only=True):
    severity: Severity = "error"


class NotNull(_Quality, frozen=True, kw_only=True):
    """Each of these columns has a value in every row."""

    not_null: tuple[str, ...]


class Unique(_Quality, frozen=True, kw_only=True):
    """No two rows agree in all of these columns."""

    unique: tuple[str, ...]


class AcceptedValues(_Quality, frozen=True, kw_only=True):
    """Each column holds nothing but its list's values; a missing value passes."""

    accepted_values: dict[str, tuple[Scalar, ...]]


class Range(_Quality, frozen=True, kw_only=True):
    """Each column lies between its two bounds, both included; null is no bound. A missing value
    passes."""

    range: dict[str, tuple[int | float | str | None, int | float | str | None]]


class Pattern(_Quality, frozen=True, kw_only=True):
    """Each column's text matches its regular expression as a whole; a missing value passes."""

    pattern: dict[str, str]


class RowLimits(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """At least and at most so many."""

    min: int | None = None
    max: int | None = None


class RowCount(_Quality, frozen=True, kw_only=True):
    """So many rows there are."""

    row_count: RowLimits


CleanRule = DropNulls | Deduplicate | KeepRows | Cast | Rename
QualityRule = NotNull | Unique | AcceptedValues | Range | Pattern | RowCount


class CleanRules(tuple[CleanRule, ...]):
    """The rules of a clean step, in the order in which they are applied."""

    __slots__ = ()


class QualityRules(tuple[QualityRule, ...]):
    """The rules of a check step, or of a step's `checks`."""

    __slots__ = ()


CLEAN_RULES: dict[str, type[CleanRule]] = {
    "drop_nulls": DropNulls,
    "deduplicate": Deduplicate,
    "keep_rows": KeepRows,
    "cast": Cast,
    "rename": Rename,
}
QUALITY_RULES: dict[str, type[QualityRule]] = {
    "not_null": NotNull,
    "unique": Unique,
    "accepted_values": AcceptedValues,
    "range": Range,
    "pattern": Pattern,
    "row_count": RowCount,
}
_KEYS = {kind: key for key, kind in [*CLEAN_RULES.items(), *QUALITY_RULES.items()]}


def key_of(rule: CleanRule | QualityRule) -> str:
    """The rule's key in the file, such as `not_null`."""
    return _KEYS[type(rule)]


def describe(rule: CleanRule | QualityRule) -> str:
    """The rule in one line, such as `not_null(airline, month)`."""
    return f"{key_of(rule)}({_arguments(rule)})"


def _arguments(rule: CleanRule | QualityRule) -> str:
    match rule:
        case KeepRows(keep_rows=condition):
            return " ".join(condition.split())
        case Range(range=ranges):
            return ", ".join(f"{column}: {low}…{high}" for column, (low, high) in ranges.items())
        case RowCount(row_count=limits):
            return f"{limits.min or 0}…{'' if limits.max is None else limits.max}"
        case AcceptedValues(accepted_values=lists):
            return ", ".join(f"{column}: {list(values)}" for column, values in lists.items())
        case Cast(cast=pairs) | Rename(rename=pairs) | Pattern(pattern=pairs):
            return ", ".join(f"{column}: {other}" for column, other in pairs.items())
        case DropNulls() | Deduplicate() | NotNull() | Unique():
            return ", ".join(getattr(rule, key_of(rule)))


class Ordering(Struct, frozen=True):
    """One entry of an `order_by`. Missing values come last."""

    column: str
    descending: bool = False


def orderings(order_by: tuple[str, ...]) -> tuple[Ordering, ...]:
    """`[month, "arr_delay desc"]` read: a column, and `desc` or `asc` where it is written."""
    return tuple(_ordering(entry) for entry in order_by)


def _ordering(entry: str) -> Ordering:
    column, _, direction = entry.rpartition(" ")
    if column and direction.lower() in ("asc", "desc"):
        return Ordering(column.strip(), direction.lower() == "desc")
    return Ordering(entry)
