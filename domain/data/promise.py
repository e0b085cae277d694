"""What a step promises about the rows of an input, and whether that was kept."""

from typing import Literal

Promise = Literal["exactly_once", "at_least_once", "at_most_once"]
"""How often each row of an input reaches the result, apart from those that conditions on that input
alone remove."""

Strictness = Literal["warn", "strict"]
"""What rows without a match mean where nothing is promised: a warning, or a failure."""

Breach = Literal["rows_lost", "rows_duplicated"]


def breach(promise: Promise, unmatched: int, duplicated: int) -> Breach | None:
    """How a promise was broken; None where it was kept."""
    if unmatched and promise != "at_most_once":
        return "rows_lost"
    if duplicated and promise != "at_least_once":
        return "rows_duplicated"
    return None
