"""Row accounts of a step, per input."""

from typing import Literal

from msgspec import Struct

LedgerStatus = Literal["balanced", "unproven", "unbalanced", "none"]


lost_values_max = 5
"""Values of a column that are named where rows are lost: enough to see what they have in common."""
lost_text_max = 80
"""Characters of such a value."""
lost_inputs_max = 4
"""Inputs of a step whose lost rows are told by value: an event has only so much room."""


class LostValue(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A value that lost rows have in common."""

    value: str | None
    rows: int
    """Lost rows with this value."""
    of: int | None = None
    """All rows of the input with this value."""


class LostRows(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Lost rows by one column, or by several together."""

    columns: tuple[str, ...]
    values: tuple[LostValue, ...] = ()
    """Those with the most lost rows, the first ones first."""
    distinct: int = 0
    """How many values there are."""


class InputLedger(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one input's rows. A count that was not taken is null, never 0.

    Where all are counted: rows_in = reached + filtered + unmatched + quarantined.
    """

    dataset: str
    fingerprint: str
    rows_in: int | None = None
    reached: int | None = None
    filtered: int | None = None
    unmatched: int | None = None
    duplicated: int | None = None
    quarantined: int | None = None
    looked_at: bool = False
    """Its rows only decide about others': none of them goes into the result, so none is counted."""
    unproven: str = ""
    """Why nothing was counted, where something should have been."""
    lost: tuple[LostRows, ...] = ()
    """What unmatched rows have in common."""


def status_of(inputs: tuple[InputLedger, ...]) -> LedgerStatus:
    """`none` without inputs, `unproven` where something was not counted, else the sum's verdict."""
    if not inputs:
        return "none"
    verdict: LedgerStatus = "balanced"
    for entry in inputs:
        if entry.looked_at:
            continue
        parts = (entry.reached, entry.filtered, entry.unmatched, entry.quarantined)
        counted = [part for part in parts if part is not None]
        if entry.rows_in is None or len(counted) < len(parts):
            verdict = "unproven" if verdict == "balanced" else verdict
        elif sum(counted) != entry.rows_in:
            verdict = "unbalanced"
    return verdict
