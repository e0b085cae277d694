"""Profiles: what the values of a column show."""

from msgspec import Struct


class Profile(Struct, frozen=True, kw_only=True):
    """One column, counted."""

    name: str
    type: str
    """In the engine's words."""
    rows: int
    nulls: int
    distinct: int
    """Different values, missing ones apart."""

    @property
    def is_required(self) -> bool:
        """Whether there is a value in every row, and any row at all."""
        return self.rows > 0 and self.nulls == 0

    @property
    def is_unique(self) -> bool:
        """Whether no value is there twice, and there are two to tell."""
        return 1 < self.distinct == self.rows - self.nulls
