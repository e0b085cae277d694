"""What read models promise, whatever they keep their tables in."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import anyio
import pytest

from adapters.readmodels.open_steps import ViewOpenSteps
from commands.ports import OpenStep, Task
from domain.errors import Conflict, Defect, NotFound, StorageFull
from projections.dispatch import DISPATCH
from projections.ports import (
    Add,
    Bulk,
    Change,
    Checkpoint,
    Column,
    Delete,
    DeleteWhere,
    Difference,
    Put,
    Shadow,
    Table,
    Value,
)
from tests.contracts.read_models import (
    KINDS,
    Kind,
    Models,
    loop_of,
    one_by_one,
    open_read_models,
    place_for,
    rows_of,
    tamper,
)

pytestmark = pytest.mark.anyio

STORE = UUID(int=7)
TABLE = Table(
    name="some_rows",
    columns=(Column("a"), Column("b", "integer"), Column("text"), Column("n", "integer")),
    key=("a", "b"),
    indexes=(("n",),),
)


def at(position: int) -> Checkpoint:
    return Checkpoint(
        store_id=STORE,
        position=position,
        event_id=UUID(int=position),
        events=position,
        digest=f"{position:032x}",
    )


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


@pytest.fixture
def anyio_backend(kind: Kind) -> str:
    return loop_of(kind)


@pytest.fixture
async def models(kind: Kind, request: pytest.FixtureRequest) -> AsyncIterator[Models]:
    async with open_read_models(kind, place_for(kind, request)) as opened:
        await opened.create("some", 1, [TABLE])
        yield opened


async def apply(models: Models, *changes: Change) -> list[tuple[object, ...]]:
    before = await models.checkpoint("some", 1)
    await models.apply_once(
        "some", before, one_by_one(changes), at(before.position + 1 if before else 1)
    )
    return await rows_of(models, "some_rows")


async def test_a_view_starts_without_rows_and_without_a_checkpoint(
    models: Models,
) -> None:
    assert await models.checkpoint("some", 1) is None
    assert await rows_of(models, "some_rows") == []


async def test_puts_set_the_columns_they_name(models: Models) -> None:
    await apply(models, Put("some_rows", ("x", 1), {"text": "old", "n": 5}))
    assert await apply(models, Put("some_rows", ("x", 1), {"text": "new"})) == [("x", 1, "new", 5)]


async def test_a_put_without_values_makes_the_row(models: Models) -> None:
    assert await apply(models, Put("some_rows", ("x", 1), {})) == [("x", 1, None, None)]
    assert await apply(models, Put("some_rows", ("x", 1), {})) == [("x", 1, None, None)]


async def test_adding_starts_at_zero(models: Models) -> None:
    await apply(models, Add("some_rows", ("x", 1), {"n": 2}))
    await apply(models, Put("some_rows", ("y", 1), {"text": "t"}))
    changes = (Add("some_rows", ("x", 1), {"n": 3}), Add("some_rows", ("y", 1), {"n": 4}))
    assert await apply(models, *changes) == [("x", 1, None, 5), ("y", 1, "t", 4)]


async def test_changes_are_applied_in_order(models: Models) -> None:
    changes = (
        Put("some_rows", ("x", 1), {"n": 1}),
        Delete("some_rows", ("x", 1)),
        Put("some_rows", ("x", 1), {"text": "again"}),
        Put("some_rows", ("x", 2), {"n": 2}),
        Put("some_rows", ("y", 1), {"n": 3}),
        DeleteWhere("some_rows", {"a": "x"}),
        Put("some_rows", ("x", 3), {"n": 4}),
    )
    assert await apply(models, *changes) == [("x", 3, None, 4), ("y", 1, None, 3)]


async def test_removing_what_is_not_there_changes_nothing(models: Models) -> None:
    assert await apply(models, Delete("some_rows", ("x", 1))) == []


async def test_changes_and_checkpoint_are_applied_once(models: Models) -> None:
    change = Add("some_rows", ("x", 1), {"n": 1})
    await models.apply_once("some", None, one_by_one([change]), at(5))
    for expected in (None, at(4), at(6)):
        with pytest.raises(Conflict):
            await models.apply_once("some", expected, one_by_one([change]), at(9))
    assert await models.checkpoint("some", 1) == at(5)
    assert await rows_of(models, "some_rows") == [("x", 1, None, 1)]


async def test_a_change_that_fails_takes_all_others_with_it(models: Models) -> None:
    good = Put("some_rows", ("x", 1), {"n": 1})
    for bad in (
        Put("some_rows", ("x", 2), {"nowhere": 1}),
        Put("no_table", ("x",), {}),
        Put("some_rows", (None, 2), {"n": 1}),
    ):
        with pytest.raises(Defect):
            await models.apply_once("some", None, one_by_one([good, bad]), at(1))
    assert await models.checkpoint("some", 1) is None
    assert await rows_of(models, "some_rows") == []


async def test_views_that_move_at_once_do_not_fail_for_each_other(models: Models) -> None:
    names = ["one", "two", "three", "four"]
    for name in names:
        table = Table(name=f"{name}_rows", columns=(Column("a"),), key=("a",))
        await models.create(name, 1, [table])
    failed: list[str] = []

    async def move(name: str, expected: Checkpoint | None, table: str) -> None:
        try:
            change = Put(table, ("x",), {})
            await models.apply_once(name, expected, one_by_one([change]), at(3))
        except (Conflict, Defect) as error:
            failed.append(f"{name}: {type(error).__name__}")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(move, "one", None, "one_rows")
        tasks.start_soon(move, "two", at(2), "two_rows")
        tasks.start_soon(move, "three", None, "nowhere")
        tasks.start_soon(move, "four", None, "four_rows")

    assert sorted(failed) == ["three: Defect", "two: Conflict"]
    moved = [await models.checkpoint(name, 1) == at(3) for name in names]
    assert moved == [True, False, False, True]
    assert await rows_of(models, "four_rows") == [("x",)]


async def test_many_rows_are_written_as_they_are(models: Models) -> None:
    rows = [(f"k{number}", number, f"t{number}", -number) for number in range(1_000)]
    put = Bulk("put", "some_rows", ("text", "n"), rows)
    add = Bulk("add", "some_rows", ("n",), [(*row[:2], 2 * row[1]) for row in rows])
    gone = Bulk("delete", "some_rows", ("a", "b"), [row[:2] for row in rows[::3]])
    await models.apply_once("some", None, [put, add, gone], at(1))
    left = sorted((*row[:3], row[1]) for place, row in enumerate(rows) if place % 3)
    assert await rows_of(models, "some_rows") == left


async def test_another_version_has_no_checkpoint_and_replaces_the_tables(
    models: Models,
) -> None:
    await apply(models, Put("some_rows", ("x", 1), {"n": 1}))
    assert await models.checkpoint("some", 2) is None
    other = Table(name="other_rows", columns=(Column("a"),), key=("a",))
    await models.create("some", 2, [other])
    assert await rows_of(models, "other_rows") == []
    assert await models.checkpoint("some", 1) is None
    with pytest.raises(Defect, match="no such table"):
        await rows_of(models, "some_rows")


async def test_a_view_that_somebody_has_moved_is_not_made_anew(models: Models) -> None:
    rows = await apply(models, Put("some_rows", ("x", 1), {"n": 1}))
    for expected in (None, at(2)):
        with pytest.raises(Conflict):
            await models.create("some", 1, [TABLE], expected)
    assert await rows_of(models, "some_rows") == rows
    await models.create("some", 1, [TABLE], at(1))
    assert await models.checkpoint("some", 1) is None
    assert await rows_of(models, "some_rows") == []


async def test_a_view_whose_table_is_gone_has_no_checkpoint(models: Models) -> None:
    await apply(models, Put("some_rows", ("x", 1), {"n": 1}))
    await tamper(models, "DROP TABLE some_rows")
    assert await models.checkpoint("some", 1) is None


async def test_a_view_that_nobody_asked_for_is_not_written(models: Models) -> None:
    with pytest.raises(Defect):
        await models.apply_once("unknown", None, [], at(1))


async def test_an_unknown_query_is_told(models: Models) -> None:
    with pytest.raises(NotFound):
        await models.query("some.nonsense", {})


async def fold(shadow: Shadow, *changes: Change) -> list[Difference]:
    await shadow.apply(one_by_one(changes))
    return list(await shadow.differences(10))


async def test_a_fold_beside_tells_missing_doubled_and_altered_rows(
    models: Models,
) -> None:
    await apply(
        models,
        Put("some_rows", ("same", 1), {"n": 1}),
        Put("some_rows", ("altered", 1), {"n": 1, "text": "live"}),
        Put("some_rows", ("doubled", 2), {"n": 2}),
    )
    async with models.beside("some", 1, [TABLE]) as shadow:
        assert await shadow.pin() == at(1)
        found = await fold(
            shadow,
            Put("some_rows", ("same", 1), {"n": 1}),
            Put("some_rows", ("altered", 1), {"n": 1}),
            Put("some_rows", ("missing", 1), {"n": 3}),
        )
        assert await shadow.rows() == 3
    assert [(d.key, d.expected, d.found) for d in found] == [
        (
            {"a": "altered", "b": 1},
            {"a": "altered", "b": 1, "text": None, "n": 1},
            {"a": "altered", "b": 1, "text": "live", "n": 1},
        ),
        ({"a": "doubled", "b": 2}, None, {"a": "doubled", "b": 2, "text": None, "n": 2}),
        ({"a": "missing", "b": 1}, {"a": "missing", "b": 1, "text": None, "n": 3}, None),
    ]


async def test_differences_end_at_the_limit(models: Models) -> None:
    async with models.beside("some", 1, [TABLE]) as shadow:
        await shadow.pin()
        await shadow.apply(one_by_one(Put("some_rows", ("x", n), {"n": n}) for n in range(9)))
        assert len(await shadow.differences(4)) == 4


async def test_a_pinned_view_is_compared_as_it_was(models: Models) -> None:
    change = Put("some_rows", ("x", 1), {"n": 1})
    await apply(models, change)
    async with models.beside("some", 1, [TABLE]) as shadow:
        assert await shadow.pin() == at(1)
        await apply(models, Put("some_rows", ("y", 1), {"n": 2}))
        assert await fold(shadow, change) == []
        assert await shadow.pin() == at(2)
        assert [d.key for d in await fold(shadow)] == [{"a": "y", "b": 1}]


async def test_a_missing_table_is_one_difference(models: Models) -> None:
    await tamper(models, "DROP TABLE some_rows")
    async with models.beside("some", 1, [TABLE]) as shadow:
        await shadow.pin()
        found = await fold(shadow, Put("some_rows", ("x", 1), {"n": 1}))
    assert [(d.table, d.key, d.found) for d in found] == [("some_rows", {}, None)]


async def test_a_swap_puts_the_fold_in_place(models: Models) -> None:
    await apply(models, Put("some_rows", ("wrong", 1), {"n": 1}))
    async with models.beside("some", 1, [TABLE]) as shadow:
        await shadow.apply(one_by_one([Put("some_rows", ("right", 1), {"n": 1})]))
        await shadow.swap(at(3))
    assert await rows_of(models, "some_rows") == [("right", 1, None, 1)]
    assert await models.checkpoint("some", 1) == at(3)
    assert len(await apply(models, Put("some_rows", ("more", 1), {}))) == 2


async def test_a_swap_never_moves_a_view_back(models: Models) -> None:
    await models.apply_once("some", None, one_by_one([Put("some_rows", ("x", 1), {})]), at(5))
    async with models.beside("some", 1, [TABLE]) as shadow:
        with pytest.raises(Conflict):
            await shadow.swap(at(4))
        assert await models.checkpoint("some", 1) == at(5)
        await shadow.swap(at(6))
        await shadow.pin()
        await shadow.swap(at(2))  # the store has no more than this
        assert await models.checkpoint("some", 1) == at(2)
    assert await rows_of(models, "some_rows") == []


async def test_two_folds_stand_beside_one_view(models: Models) -> None:
    async with (
        models.beside("some", 1, [TABLE]) as first,
        models.beside("some", 1, [TABLE]) as second,
    ):
        await first.apply(one_by_one([Put("some_rows", ("x", 1), {})]))
        assert (await first.rows(), await second.rows()) == (1, 0)


async def test_open_steps_are_told_in_pages(models: Models) -> None:
    await models.create(DISPATCH.name, DISPATCH.version, DISPATCH.tables)
    values: dict[str, Value] = {
        "attempt": 2,
        "engine": "duckdb",
        "in_work": 0,
        "due": "2026-03-01T12:00:00Z",
    }
    runs = [UUID(int=n) for n in range(3)]
    puts = [Put("dispatch_steps", (str(run), step), values) for run in runs for step in ("a", "b")]
    await models.apply_once("dispatch", None, one_by_one(puts), at(1))
    steps = ViewOpenSteps(models)
    first = await steps.open(None, 4)
    last = first[-1].task
    rest = await steps.open((str(last.run), last.step), 4)
    assert [(s.task.run, s.task.step) for s in (*first, *rest)] == [
        (run, step) for run in runs for step in ("a", "b")
    ]
    assert first[0] == OpenStep(
        task=Task(run=runs[0], step="a", attempt=2), due=first[0].due, in_work=False
    )
    assert first[0].due is not None
    assert first[0].due.isoformat() == "2026-03-01T12:00:00+00:00"


def shadows(folder: Path) -> list[Path]:
    return list(folder.glob("*.shadow-*"))


@pytest.mark.parametrize("kind", ["file"])
async def test_a_file_keeps_views_and_drops_leftovers(kind: Kind, tmp_path: Path) -> None:
    async with open_read_models(kind, tmp_path) as opened:
        await opened.create("some", 1, [TABLE])
        await apply(opened, Put("some_rows", ("x", 1), {"n": 1}))
        async with opened.beside("some", 1, [TABLE]):
            assert len(shadows(tmp_path)) == 1
        assert shadows(tmp_path) == []
    (tmp_path / "views.db.shadow-9").write_bytes(b"left by a crash")
    async with open_read_models(kind, tmp_path) as opened:
        assert await opened.checkpoint("some", 1) == at(1)
        assert len(await apply(opened, Put("some_rows", ("y", 1), {}))) == 2
        assert shadows(tmp_path) == []


@pytest.mark.parametrize("kind", ["file"])
async def test_a_file_that_is_no_database_is_replaced(kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "views.db").write_bytes(b"not a database" * 1000)
    async with open_read_models(kind, tmp_path) as opened:
        assert await opened.checkpoint("some", 1) is None


@pytest.mark.parametrize("kind", ["file", "memory"])
async def test_a_full_disk_changes_nothing(models: Models) -> None:
    await apply(models, Put("some_rows", ("x", 1), {"n": 1}))
    before = await models.checkpoint("some", 1)
    await tamper(models, "PRAGMA max_page_count = 1")
    large = [Put("some_rows", ("y", n), {"text": "t" * 4000}) for n in range(50)]
    with pytest.raises(StorageFull):
        await models.apply_once("some", before, one_by_one(large), at(2))
    assert await models.checkpoint("some", 1) == before
    assert await rows_of(models, "some_rows") == [("x", 1, None, 1)]


async def test_any_identifier_can_be_a_name(models: Models) -> None:
    odd = Table(
        name='a "table"; drop',
        columns=(Column('k"'), Column("select"), Column("n o", "integer")),
        key=('k"',),
        indexes=(("select",),),
    )
    await models.create("odd", 1, [odd])
    change = Put(odd.name, ("x",), {"select": "'; --", "n o": 1})
    changes = one_by_one([change, Add(odd.name, ("x",), {"n o": 2})], odd.key)
    await models.apply_once("odd", None, changes, at(1))
    async with models.beside("odd", 1, [odd]) as shadow:
        assert await shadow.pin() == at(1)
        await shadow.apply(one_by_one([Put(odd.name, ("x",), {"select": "'; --", "n o": 3})]))
        assert await shadow.differences(5) == []
