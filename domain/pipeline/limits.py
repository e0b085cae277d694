"""How much may go wrong before a step does."""

import re
from collections.abc import Iterator
from fractions import Fraction

from msgspec import Struct

from domain.pipeline.problems import Problem

_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*%")


class Limits(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Bounds of what a step may set apart."""

    max_quarantined: str | int = "5%"
    """A share of the rows that went in, such as `2%`, or a number of rows."""

    def allow(self, quarantined: int, rows_in: int) -> bool:
        """Whether so many of so many rows may be set apart."""
        return allows(self.max_quarantined, quarantined, rows_in)


def allows(most: str | int, rows: int, of: int) -> bool:
    """Whether `rows` of so many rows are at most a share, such as `2%`, or a number of rows."""
    if isinstance(most, int):
        return rows <= most
    return rows * 100 <= (percent(most) or Fraction(0)) * of


def percent(text: str) -> Fraction | None:
    """`2.5%` as a number; None for what is no share. Exact, so that a limit has no grey edge."""
    found = _PERCENT.fullmatch(text.strip())
    return Fraction(found[1]) if found else None


def share_demands(most: str | int, path: str) -> Iterator[Problem]:
    """A share of rows, or a number of them."""
    share = percent(most) if isinstance(most, str) else None
    if isinstance(most, str) and (share is None or share > 100):
        message = f"{most!r} is no share from 0% to 100%"
    elif isinstance(most, int) and most < 0:
        message = "a number of rows is never below 0"
    else:
        return
    yield Problem(path=path, message=message, hint="write a share such as 5%, or a number of rows")
