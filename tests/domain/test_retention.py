"""What is given up: used longest ago first, quarantines last, never what is needed."""

import pytest

from domain.data.retention import Bounds, Holding, given_up


def holding(name: str, used: float, **words: bool) -> Holding:
    return Holding(fingerprint=name, bytes=10, used=used, **words)


HELD = [holding("c", 3), holding("q", 1, is_quarantine=True), holding("a", 1), holding("b", 2)]


@pytest.mark.parametrize(
    ("bounds", "goes"),
    [
        (Bounds(bytes_max=40), ""),
        (Bounds(bytes_max=39), "a"),
        (Bounds(bytes_max=20), "ab"),
        (Bounds(bytes_max=10), "abc"),
        (Bounds(bytes_max=0), "abcq"),
        (Bounds(bytes_max=20, needed=frozenset("a")), "bc"),
        (Bounds(bytes_max=0, used_before=2), "aq"),
    ],
)
def test_as_much_as_must_go_goes(bounds: Bounds, goes: str) -> None:
    assert [one.fingerprint for one in given_up(HELD, bounds)] == list(goes)
