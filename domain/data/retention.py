"""Which data is given up where there is more than may be kept."""

from collections.abc import Iterable

from msgspec import Struct


class Holding(Struct, frozen=True, kw_only=True):
    """One content that is kept, as far as the decision needs it."""

    fingerprint: str
    bytes: int
    used: float
    """When it was last made, found or read: Unix time in seconds."""
    is_quarantine: bool = False


class Bounds(Struct, frozen=True, kw_only=True):
    """What must be kept."""

    bytes_max: int
    needed: frozenset[str] = frozenset()
    """Fingerprints that open runs have made or taken over."""
    used_before: float = float("inf")
    """What was used at this moment or later stays."""


def given_up(holdings: Iterable[Holding], bounds: Bounds) -> list[Holding]:
    """What goes until the rest fits: what was used longest ago first, and quarantines last, since
    nobody can make the rows again that somebody has still to look at."""
    held = list(holdings)
    excess = sum(one.bytes for one in held) - bounds.bytes_max
    goes: list[Holding] = []
    for one in sorted(held, key=lambda one: (one.is_quarantine, one.used, one.fingerprint)):
        if excess <= 0:
            break
        if one.fingerprint in bounds.needed or one.used >= bounds.used_before:
            continue
        goes.append(one)
        excess -= one.bytes
    return goes
