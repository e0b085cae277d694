"""How much may go wrong before a step does."""

import re
from fractions import Fraction

from msgspec import Struct

_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*%")


class Limits(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Bounds of what a step may set apart."""

    max_quarantined: str | int = "5%"
    """A share of the rows that went in, such as `2%`, or a number of rows."""

    def allow(self, quarantined: int, rows_in: int) -> bool:
        """Whether so many of so many rows may be set apart."""
        if isinstance(self.max_quarantined, int):
            return quarantined <= self.max_quarantined
        share = percent(self.max_quarantined) or Fraction(0)
        return quarantined * 100 <= share * rows_in


def percent(text: str) -> Fraction | None:
    """`2.5%` as a number; None for what is no share. Exact, so that a limit has no grey edge."""
    found = _PERCENT.fullmatch(text.strip())
    return Fraction(found[1]) if found else None
