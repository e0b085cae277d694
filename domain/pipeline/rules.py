"""Rules: what cleaning does to rows, and what a check demands of them.

In the file a rule is a map with exactly one rule key (the first field of each class here), beside
what belongs to it: `{deduplicate: [id], keep: last}`, `{unique: [id], severity: warn}`.
"""

import re
from typing import Literal

from msgspec import Struct

from domain.data.dataset import ColumnType
from domain.data.quality import Severity
from domain.pipeline.limits import allows
from domain.pipeline.units import Duration

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


class Trim(_Rule, frozen=True, kw_only=True):
    """Takes white space away at both ends of these columns' texts."""

    trim: tuple[str, ...]


class Fill(_Rule, frozen=True, kw_only=True):
    """Puts a value of its own in where a column has none."""

    fill: dict[str, Scalar]


class Map(_Rule, frozen=True, kw_only=True):
    """Gives values of a column others in their place: column → old → new; null is none at all."""

    map: dict[str, dict[str, Scalar | None]]
    others: Literal["keep", "null"] = "keep"
    """What becomes of values that are not listed."""


class _Quality(_Rule, frozen=True, kw_only=True):
    severity: Severity = "error"
    where: str = ""
    """The rule is about the rows for which this SQL condition is true; all where there is none."""


class _OfRows(_Quality, frozen=True, kw_only=True):
    tolerance: str | int = 0
    """A share of these rows that may break it, such as `0.1%`, or a number of rows."""

    def allows(self, broken: int, rows: int) -> bool:
        """Whether the rule is kept where so many of so many rows break it."""
        return allows(self.tolerance, broken, rows)


class NotNull(_OfRows, frozen=True, kw_only=True):
    """Each of these columns has a value in every row."""

    not_null: tuple[str, ...]


class Unique(_OfRows, frozen=True, kw_only=True):
    """No two rows agree in all of these columns."""

    unique: tuple[str, ...]


class AcceptedValues(_OfRows, frozen=True, kw_only=True):
    """Each column holds nothing but its list's values; a missing value passes."""

    accepted_values: dict[str, tuple[Scalar, ...]]


class Range(_OfRows, frozen=True, kw_only=True):
    """Each column lies between its two bounds, both included; null is no bound. A missing value
    passes."""

    range: dict[str, tuple[int | float | str | None, int | float | str | None]]


class Pattern(_OfRows, frozen=True, kw_only=True):
    """Each column's text matches its regular expression as a whole; a missing value passes."""

    pattern: dict[str, str]


class RowLimits(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """At least and at most so many."""

    min: int | None = None
    max: int | None = None


class RowCount(_Quality, frozen=True, kw_only=True):
    """So many rows there are."""

    row_count: RowLimits


class Freshness(_Quality, frozen=True, kw_only=True):
    """Each column's newest moment lies at most so long before the run. Where there is none at all,
    the rule is broken."""

    freshness: dict[str, Duration]


class References(_OfRows, frozen=True, kw_only=True):
    """The values of these columns, together, are there in another step's rows. A row in which one
    of them is missing passes."""

    references: tuple[str, ...]
    to: str
    """The other step."""
    columns: tuple[str, ...] = ()
    """Its columns, in the same order; of the same names where they are left out."""

    @property
    def found_in(self) -> tuple[str, ...]:
        """The other step's columns."""
        return self.columns or self.references


_QUERY = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*(?:select|with|from)\b", re.I | re.S)


class Sql(_OfRows, frozen=True, kw_only=True):
    """A condition that is true of every row (a missing answer passes), or a query that gives the
    rows that should not be there."""

    sql: str
    inputs: tuple[str, ...] = ()
    """Other steps that the query reads. Binding writes them in here."""

    @property
    def is_query(self) -> bool:
        """Whether it is a query: it begins with `select`, `with` or `from`."""
        return _QUERY.match(self.sql) is not None


CleanRule = DropNulls | Deduplicate | KeepRows | Cast | Rename | Trim | Fill | Map
RowRule = NotNull | Unique | AcceptedValues | Range | Pattern | References | Sql
"""Rules that single rows break."""

QualityRule = RowRule | RowCount | Freshness


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
    "trim": Trim,
    "fill": Fill,
    "map": Map,
}
QUALITY_RULES: dict[str, type[QualityRule]] = {
    "not_null": NotNull,
    "unique": Unique,
    "accepted_values": AcceptedValues,
    "range": Range,
    "pattern": Pattern,
    "row_count": RowCount,
    "freshness": Freshness,
    "references": References,
    "sql": Sql,
}
_KEYS = {kind: key for key, kind in [*CLEAN_RULES.items(), *QUALITY_RULES.items()]}


def key_of(rule: CleanRule | QualityRule) -> str:
    """The rule's key in the file, such as `not_null`."""
    return _KEYS[type(rule)]


def named_by(rule: QualityRule) -> tuple[str, ...]:
    """Ids of the steps that a rule names."""
    match rule:
        case References(to=step):
            return (step,)
        case Sql(inputs=steps):
            return steps
        case _:
            return ()


def columns_of(rule: QualityRule) -> tuple[str, ...]:
    """The columns that a rule names."""
    match rule:
        case NotNull(not_null=names) | Unique(unique=names) | References(references=names):
            return names
        case AcceptedValues(accepted_values=by_column):
            return tuple(by_column)
        case Range(range=ranges):
            return tuple(ranges)
        case Pattern(pattern=patterns):
            return tuple(patterns)
        case Freshness(freshness=ages):
            return tuple(ages)
        case RowCount() | Sql():
            return ()


def describe(rule: CleanRule | QualityRule) -> str:
    """The rule in one line, such as `not_null(airline, month)`."""
    where = getattr(rule, "where", "")
    return f"{key_of(rule)}({_arguments(rule)})" + (f" where {_cut(where)}" if where else "")


_text_chars_max = 120
"""Of a condition or a query, in one line."""

_values_shown = 6


def _arguments(rule: CleanRule | QualityRule) -> str:
    match rule:
        case KeepRows(keep_rows=text) | Sql(sql=text):
            return _cut(text)
        case Range(range=ranges):
            return ", ".join(f"{column}: {low}…{high}" for column, (low, high) in ranges.items())
        case RowCount(row_count=limits):
            return f"{limits.min or 0}…{'' if limits.max is None else limits.max}"
        case AcceptedValues(accepted_values=lists):
            return ", ".join(f"{column}: {_list(values)}" for column, values in lists.items())
        case Cast(cast=pairs) | Rename(rename=pairs) | Pattern(pattern=pairs):
            return ", ".join(f"{column}: {other}" for column, other in pairs.items())
        case Fill(fill=values):
            return ", ".join(f"{column}: {value}" for column, value in values.items())
        case Freshness(freshness=ages):
            return ", ".join(f"{column}: {age}" for column, age in ages.items())
        case Map(map=maps):
            return ", ".join(f"{column}: {_pairs(pairs)}" for column, pairs in maps.items())
        case References(references=columns, to=step):
            return f"{', '.join(columns)}: {step}.{', '.join(rule.found_in)}"
        case DropNulls() | Deduplicate() | NotNull() | Unique() | Trim():
            return ", ".join(getattr(rule, key_of(rule)))


def _list(values: tuple[Scalar, ...]) -> str:
    shown = (str(one).lower() if isinstance(one, bool) else str(one) for one in values)
    return f"[{', '.join(shown)}]"


def _pairs(pairs: dict[str, Scalar | None]) -> str:
    shown = [f"{old} → {new}" for old, new in [*pairs.items()][:_values_shown]]
    return ", ".join([*shown, *(["…"] if len(pairs) > _values_shown else [])])


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _text_chars_max else line[: _text_chars_max - 1] + "…"


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
