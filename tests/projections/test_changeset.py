"""Merged changes have the same effect as all of them one by one."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.readmodels.sqlite import SqliteReadModels
from domain.errors import Defect
from projections.changeset import ChangeSet
from projections.ports import Add, Bulk, Change, Checkpoint, Column, Delete, DeleteWhere, Put, Table
from tests.contracts.read_models import Models, one_by_one, open_read_models, rows_of

pytestmark = pytest.mark.anyio

TABLE = Table(
    name="some_rows",
    columns=(Column("a"), Column("b", "integer"), Column("text"), Column("n", "integer")),
    key=("a", "b"),
)

keys = st.tuples(st.sampled_from("xyz"), st.integers(1, 2))
values = st.fixed_dictionaries(
    {}, optional={"text": st.sampled_from(["t", None]), "n": st.integers(0, 9) | st.none()}
)
changes = st.lists(
    st.one_of(
        st.builds(Put, st.just("some_rows"), keys, values),
        st.builds(Add, st.just("some_rows"), keys, st.just({"n": 1}) | st.just({"n": 10})),
        st.builds(Delete, st.just("some_rows"), keys),
        st.builds(
            DeleteWhere,
            st.just("some_rows"),
            st.sampled_from([{"a": "x"}, {"b": 1}, {"a": "y", "b": 2}]),
        ),
    ),
    max_size=30,
)


def merged(some: list[Change]) -> list[Bulk]:
    collected = ChangeSet([TABLE])
    collected.add(some)
    return collected.drain()


@pytest.fixture
async def models(tmp_path: Path) -> AsyncIterator[Models]:
    async with open_read_models("memory", tmp_path) as opened:
        yield opened


async def effect(models: Models, *batches: list[Bulk]) -> list[tuple[object, ...]]:
    await models.create("some", 1, [TABLE], await models.checkpoint("some", 1))
    before = None
    for position, batch in enumerate(batches, 1):
        after = Checkpoint(store_id=UUID(int=1), position=position, event_id=None)
        await models.apply_once("some", before, batch, after)
        before = after
    return await rows_of(models, "some_rows")


@given(first=changes, second=changes)
@settings(max_examples=150, deadline=None)
def test_merging_changes_nothing(first: list[Change], second: list[Change]) -> None:
    async def try_both() -> None:
        async with SqliteReadModels.open_in_memory(inline=True) as models:
            expected = await effect(models, one_by_one(first), one_by_one(second))
            assert await effect(models, merged(first), merged(second)) == expected
            assert await effect(models, merged([*first, *second])) == expected

    anyio.run(try_both, backend="trio")


def test_many_changes_of_a_row_become_one() -> None:
    put = Put("some_rows", ("x", 1), {"n": 1})
    other = Put("some_rows", ("x", 1), {"text": "t"})
    assert merged([put, other, Add(*_more(2)), Add(*_more(3))]) == [
        Bulk("put", "some_rows", ("n", "text"), [("x", 1, 6, "t")])
    ]
    assert merged([Add(*_more(2)), Add(*_more(3))]) == [
        Bulk("add", "some_rows", ("n",), [("x", 1, 5)])
    ]
    assert put.values == {"n": 1}  # what was given is left as it is


def _more(amount: int) -> tuple[str, tuple[str, int], dict[str, int | float]]:
    return "some_rows", ("x", 1), {"n": amount}


def test_changes_of_one_shape_stand_side_by_side() -> None:
    some: list[Change] = []
    for number in range(3):
        some.append(Put("some_rows", ("x", number), {"n": 1}))
        some.append(Put("some_rows", ("y", number), {"text": "t"}))
    assert [(bulk.columns, len(bulk.rows)) for bulk in merged(some)] == [
        (("n",), 3),
        (("text",), 3),
    ]


def test_an_amount_cannot_be_added_to_text() -> None:
    with pytest.raises(Defect):
        merged([Put("some_rows", ("x", 1), {"n": "text"}), Add(*_more(1))])


async def test_a_drained_set_is_empty(models: Models) -> None:
    collected = ChangeSet([TABLE])
    collected.add([DeleteWhere("some_rows", {"a": "x"}), Put("some_rows", ("x", 1), {})])
    assert len(collected.drain()) == 2
    assert collected.drain() == []
