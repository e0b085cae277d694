"""Long lists are cut so that each part fits into an event."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from domain.parts import in_parts


@given(st.lists(st.text(max_size=40)), st.integers(8, 200))
def test_parts_keep_the_order_and_the_limit(items: list[str], bytes_max: int) -> None:
    parts = in_parts(items, bytes_max)
    assert [item for part in parts for item in part] == items
    for part in parts:
        assert part
        # One byte more for the brackets than for the commas between the items.
        assert len(part) == 1 or len(msgspec.json.encode(part)) <= bytes_max + 1


def test_an_item_above_the_limit_stands_alone() -> None:
    assert in_parts(["a", "b" * 50, "c"], 10) == [("a",), ("b" * 50,), ("c",)]
    assert in_parts([]) == []
