"""What a rule found."""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

Severity = Literal["error", "warn"]
Effect = Literal["removed", "changed", "quarantined"]


class CheckResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One rule of a step, evaluated."""

    name: str
    rule: str
    """The rule's kind and its arguments in one line, such as `not_null(airline)`."""
    severity: Severity = "error"
    passed: bool
    checked_rows: int | None = None
    """Rows that the rule is about; null where that was not recorded yet."""
    failing_rows: int | None = None
    """Rows that break the rule; null where rows are not what it counts."""
    tolerance: str = ""
    """How many of the checked rows may break it, such as `0.1%` or `5 rows`; none where empty."""
    null_rows: int | None = None
    """Rows that passed only because their value is missing."""
    observed: str = ""
    """What was found, where a number of rows does not tell it, such as `rows = 97`."""


def told_breaking(failing: int, of: int | None = None) -> str:
    """How many rows break a rule, in words: `1 row breaks it`, `2 of 5 rows break it`."""
    verb = "breaks" if failing == 1 else "break"
    if of is not None:
        return f"{failing} of {of} rows {verb} it"
    return f"{failing} row{'' if failing == 1 else 's'} {verb} it"


class RuleCount(Struct, frozen=True, kw_only=True):
    """What one cleaning rule did."""

    rule: str
    rows: int
    """Rows that it removed or set apart, or changed where it does neither."""
    effect: Effect = "removed"
    cells: int | UnsetType = UNSET
    """Values that it changed in these rows; left out where they are not counted one by one."""
