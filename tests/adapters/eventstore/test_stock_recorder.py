"""Any program with the `eventsourcing` library can read the store, with nothing of ours."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    PersistenceError,
    StoredEvent,
)
from eventsourcing.postgres import (
    PostgresAggregateRecorder,
    PostgresApplicationRecorder,
    PostgresDatastore,
)
from eventsourcing.sqlite import (
    SQLiteAggregateRecorder,
    SQLiteApplicationRecorder,
    SQLiteDatastore,
)
from msgspec import Struct

from adapters.eventstore.mapper import EnvelopeMapper
from adapters.eventstore.postgres import PostgresEventStore
from adapters.eventstore.sqlite import SqliteEventStore
from adapters.postgres import Database
from domain.ids import StreamId, pipeline_stream
from domain.pipeline.events import PipelinePaused
from tests.contracts.events import envelope, envelopes, new_stream
from tests.postgres import PASSWORD

pytestmark = pytest.mark.anyio


Store = SqliteEventStore | PostgresEventStore


class Filled(Struct, frozen=True):
    """A store with a pipeline and three runs, whose events lie between each other."""

    store: Store
    streams: list[StreamId]
    recorder: ApplicationRecorder
    aggregates: AggregateRecorder


@asynccontextmanager
async def in_file(path: Path) -> AsyncIterator[Filled]:
    async with SqliteEventStore.open(path) as store:
        streams = await fill(store)
        with closing(SQLiteDatastore(str(path))) as datastore:
            yield Filled(
                store,
                streams,
                SQLiteApplicationRecorder(datastore),
                SQLiteAggregateRecorder(datastore),
            )


@asynccontextmanager
async def in_database(database: Database) -> AsyncIterator[Filled]:
    place = urlsplit(str(database))
    async with PostgresEventStore.open(database) as store:
        streams = await fill(store)
        with PostgresDatastore(
            dbname=place.path[1:],
            host=place.hostname or "",
            port=str(place.port),
            user=place.username or "",
            password=PASSWORD,
        ) as datastore:
            yield Filled(
                store,
                streams,
                PostgresApplicationRecorder(datastore),
                PostgresAggregateRecorder(datastore),
            )


async def fill(store: Store) -> list[StreamId]:
    pipeline = pipeline_stream("flights")
    runs = [new_stream() for _ in range(3)]
    await store.append(pipeline, 0, [envelope(pipeline, 1, PipelinePaused(pipeline="flights"))])
    for after in (0, 2, 4):
        for run in runs:
            await store.append(run, after, envelopes(run, after, 2))
    return [pipeline, *runs]


@pytest.fixture(params=["sqlite", "postgres"])
async def filled(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Filled]:
    opened = (
        in_file(tmp_path / "events.db")
        if request.param == "sqlite"
        else in_database(request.getfixturevalue("database"))
    )
    async with opened as found:
        yield found


async def test_the_stock_recorder_reads_every_stream(filled: Filled) -> None:
    for recorder in (filled.recorder, filled.aggregates):
        for stream in filled.streams:
            theirs = recorder.select_events(stream.id)
            ours = await filled.store.load(stream)
            assert [event.originator_version for event in theirs] == [e.version for e in ours]
            assert [event.topic for event in theirs] == [event.tag for event in ours]
            mapped = [EnvelopeMapper().to_domain_event(event) for event in theirs]
            assert [event.envelope.data for event in mapped] == [event.data for event in ours]


async def test_the_stock_recorder_reads_every_notification(filled: Filled) -> None:
    theirs = filled.recorder.select_notifications(1, 100)
    ours = await filled.store.read(0, 100)
    assert filled.recorder.max_notification_id() == await filled.store.head() == 19
    assert [
        (event.id, event.originator_id, event.originator_version, event.topic, event.state)
        for event in theirs
    ] == [
        (record.position, record.stream.id, record.version, record.tag, record.state)
        for record in ours
    ]
    tail = filled.recorder.select_notifications(17, 100, inclusive_of_start=False)
    assert [event.id for event in tail] == [18, 19]


async def test_the_stock_recorder_cannot_write(filled: Filled) -> None:
    stream = filled.streams[0]
    foreign = StoredEvent(
        originator_id=stream.id, originator_version=2, topic="elsewhere", state=b"{}"
    )
    with pytest.raises(PersistenceError):
        filled.recorder.insert_events([foreign])
    assert len(filled.recorder.select_events(stream.id)) == 1
