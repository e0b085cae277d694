"""A persistent vector behaves like a list that is copied for each change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.vector import Vector


@given(
    st.integers(0, 3_000),
    st.lists(st.tuples(st.integers(0, 2_999), st.integers()), max_size=30),
)
def test_it_is_a_list_copied_for_each_change(size: int, changes: list[tuple[int, int]]) -> None:
    vector, model = Vector(range(size)), list(range(size))
    snapshots = [(vector, list(model))]
    for index, item in changes:
        if index < size:
            vector = vector.replace(index, item)
            model[index] = item
            snapshots.append((vector, list(model)))
    for earlier, as_it_was in snapshots:
        assert list(earlier) == as_it_was
        assert len(earlier) == size


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 1_023, 1_024, 1_025, 32_768, 32_769])
def test_every_size_has_its_first_and_last_item(size: int) -> None:
    vector = Vector(range(size))
    assert len(vector) == size
    if size:
        assert (vector[0], vector[size - 1]) == (0, size - 1)
        assert vector.replace(size - 1, -1)[size - 1] == -1
        assert vector[size - 1] == size - 1


@pytest.mark.parametrize("index", [-1, 3, 32, 1_000])
def test_there_is_nothing_outside(index: int) -> None:
    vector = Vector("abc")
    with pytest.raises(IndexError):
        vector[index]
    with pytest.raises(IndexError):
        vector.replace(index, "z")


def test_equal_items_make_equal_vectors() -> None:
    assert Vector("abc") == Vector(["a", "b", "c"])
    assert hash(Vector("abc")) == hash(Vector("abc"))
    assert Vector("abc") != Vector("abd")
    assert Vector("abc") != "abc"
    assert repr(Vector("ab")) == "Vector(['a', 'b'])"
