"""Events under an old tag come out of every store in the shape of today."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from msgspec import Struct

from adapters.eventstore.sqlite import SqliteEventStore
from adapters.memory.eventstore import MemoryEventStore
from domain.catalog import Catalog, Payload, Upcast
from domain.envelope import EventEnvelope
from domain.errors import Malformed
from domain.ids import StreamId
from domain.record import from_record
from tests.contracts.events import AT, metadata, new_stream

pytestmark = pytest.mark.anyio

Store = SqliteEventStore | MemoryEventStore
Opener = Callable[[Catalog], AbstractAsyncContextManager[Store]]


class RowsCountedV1(Struct, frozen=True, kw_only=True):
    """As it was written first: one number, and the step by its label."""

    label: str
    rows: int


class RowsCountedV2(Struct, frozen=True, kw_only=True):
    """Then rows were told apart."""

    label: str
    good: int
    bad: int


class RowsCounted(Struct, frozen=True, kw_only=True):
    """As it is written today: the label became the step's id."""

    step: str
    good: int
    bad: int


def _told_apart(old: Payload) -> Payload:
    return {"label": old["label"], "good": old["rows"], "bad": 0}


def _named(old: Payload) -> Payload:
    return {"step": old["label"].lower(), "good": old["good"], "bad": old["bad"]}


TODAY = Catalog(
    {"run.rows_counted.v3": RowsCounted},
    {
        "run.rows_counted.v1": Upcast("run.rows_counted.v2", _told_apart),
        "run.rows_counted.v2": Upcast("run.rows_counted.v3", _named),
    },
)


@pytest.fixture(params=["sqlite", "memory"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Opens a store that reads by a catalogue; what is appended is stored as it is."""
    if request.param == "sqlite":
        return partial(SqliteEventStore.open, tmp_path / "events.db")

    @asynccontextmanager
    async def memory(catalog: Catalog) -> AsyncIterator[Store]:
        yield MemoryEventStore(catalog=catalog)

    return memory


def stored(stream: StreamId, version: int, tag: str, event: object) -> EventEnvelope[Any]:
    """An event as the code of its time stored it."""
    return EventEnvelope(
        event_id=uuid4(),
        stream=stream,
        version=version,
        tag=tag,
        recorded_at=AT,
        metadata=metadata(),
        data=event,
    )


def history(stream: StreamId) -> list[EventEnvelope[Any]]:
    """One event of each time."""
    return [
        stored(stream, 1, "run.rows_counted.v1", RowsCountedV1(label="Flown", rows=7)),
        stored(stream, 2, "run.rows_counted.v2", RowsCountedV2(label="Valid", good=5, bad=2)),
        stored(stream, 3, "run.rows_counted.v3", RowsCounted(step="stored", good=5, bad=0)),
    ]


async def test_old_events_are_read_in_the_shape_of_today(opener: Opener) -> None:
    stream = new_stream()
    expected = [
        RowsCounted(step="flown", good=7, bad=0),
        RowsCounted(step="valid", good=5, bad=2),
        RowsCounted(step="stored", good=5, bad=0),
    ]
    async with opener(TODAY) as store:
        await store.append(stream, 0, history(stream))
        assert [event.data for event in await store.load(stream)] == expected
        records = await store.read(0, 10)
        assert [from_record(record, TODAY).data for record in records] == expected


async def test_reading_old_events_rewrites_nothing(opener: Opener) -> None:
    stream = new_stream()
    async with opener(TODAY) as store:
        await store.append(stream, 0, history(stream))
        before = await store.read(0, 10)
        await store.load(stream)
        after = await store.read(0, 10)
    assert after == before
    assert [record.tag for record in after] == [
        "run.rows_counted.v1",
        "run.rows_counted.v2",
        "run.rows_counted.v3",
    ]
    assert b'"label":"Flown","rows":7' in after[0].state


async def test_an_event_that_today_no_longer_knows_is_malformed(opener: Opener) -> None:
    stream = new_stream()
    async with opener(Catalog({})) as store:
        await store.append(stream, 0, history(stream)[:1])
        assert len(await store.read(0, 10)) == 1
        with pytest.raises(Malformed, match=r"run\.rows_counted\.v1"):
            await store.load(stream)
