"""Any program with the `eventsourcing` library can read the store, with nothing of ours."""

from pathlib import Path

import pytest
from eventsourcing.persistence import PersistenceError, StoredEvent
from eventsourcing.sqlite import (
    SQLiteAggregateRecorder,
    SQLiteApplicationRecorder,
    SQLiteDatastore,
)

from adapters.eventstore.mapper import EnvelopeMapper
from adapters.eventstore.sqlite import SqliteEventStore
from domain.ids import StreamId, pipeline_stream
from domain.pipeline.events import PipelinePaused
from tests.contracts.events import envelope, envelopes, new_stream

pytestmark = pytest.mark.anyio


async def filled(path: Path) -> list[StreamId]:
    """A store with a pipeline and three runs, whose events lie between each other."""
    pipeline = pipeline_stream("flights")
    runs = [new_stream() for _ in range(3)]
    async with SqliteEventStore.open(path) as store:
        await store.append(pipeline, 0, [envelope(pipeline, 1, PipelinePaused(pipeline="flights"))])
        for after in (0, 2, 4):
            for run in runs:
                await store.append(run, after, envelopes(run, after, 2))
    return [pipeline, *runs]


async def test_the_stock_recorder_reads_every_stream(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    streams = await filled(path)
    datastore = SQLiteDatastore(str(path))
    try:
        async with SqliteEventStore.open(path) as store:
            for recorder in (
                SQLiteApplicationRecorder(datastore),
                SQLiteAggregateRecorder(datastore),
            ):
                for stream in streams:
                    theirs = recorder.select_events(stream.id)
                    ours = await store.load(stream)
                    assert [event.originator_version for event in theirs] == [
                        event.version for event in ours
                    ]
                    assert [event.topic for event in theirs] == [event.tag for event in ours]
                    mapped = [EnvelopeMapper().to_domain_event(event) for event in theirs]
                    assert [event.envelope.data for event in mapped] == [
                        event.data for event in ours
                    ]
    finally:
        datastore.close()


async def test_the_stock_recorder_reads_every_notification(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    await filled(path)
    datastore = SQLiteDatastore(str(path))
    try:
        recorder = SQLiteApplicationRecorder(datastore)
        theirs = recorder.select_notifications(1, 100)
        async with SqliteEventStore.open(path) as store:
            ours = await store.read(0, 100)
            assert recorder.max_notification_id() == await store.head() == 19
        assert [
            (event.id, event.originator_id, event.originator_version, event.topic, event.state)
            for event in theirs
        ] == [
            (record.position, record.stream.id, record.version, record.tag, record.state)
            for record in ours
        ]
        tail = recorder.select_notifications(17, 100, inclusive_of_start=False)
        assert [event.id for event in tail] == [18, 19]
    finally:
        datastore.close()


async def test_the_stock_recorder_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    streams = await filled(path)
    datastore = SQLiteDatastore(str(path))
    try:
        recorder = SQLiteApplicationRecorder(datastore)
        foreign = StoredEvent(
            originator_id=streams[0].id, originator_version=2, topic="elsewhere", state=b"{}"
        )
        with pytest.raises(PersistenceError):
            recorder.insert_events([foreign])
        assert len(recorder.select_events(streams[0].id)) == 1
    finally:
        datastore.close()
