"""Row accounts of a step, per input."""

from typing import Literal

from msgspec import Struct

LedgerStatus = Literal["balanced", "unproven", "unbalanced", "none"]


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


def status_of(inputs: tuple[InputLedger, ...]) -> LedgerStatus:
    """`none` without inputs, `unproven` where something was not counted, else the sum's verdict."""
    if not inputs:
        return "none"
    verdict: LedgerStatus = "balanced"
    for entry in inputs:
        parts = (entry.reached, entry.filtered, entry.unmatched, entry.quarantined)
        counted = [part for part in parts if part is not None]
        if entry.rows_in is None or len(counted) < len(parts):
            verdict = "unproven" if verdict == "balanced" else verdict
        elif sum(counted) != entry.rows_in:
            verdict = "unbalanced"
    return verdict
