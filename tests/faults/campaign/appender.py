"""A writer among many: it reads a stream, adds what follows, and tells what was acknowledged.

python -m tests.faults.campaign.appender STORE WRITER SEED

Each event is an entry of a list, as in list-append histories of consistency checkers: it names its
writer and its place among that writer's entries. A line on standard output is an acknowledged
entry: `{"stream": …, "version": …, "position": …, "entry": "<writer>/<number>"}`.
"""

import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import anyio
import msgspec

from adapters.clock import SystemClock
from adapters.eventstore.postgres import PostgresEventStore
from adapters.eventstore.sqlite import SqliteEventStore
from adapters.postgres import Database
from commands.ports import EventStore
from domain.envelope import EventEnvelope, Metadata
from domain.errors import Conflict
from domain.ids import StreamId
from domain.run.events import CancelRequested

STREAMS = 100
"""One that all want, and others."""
hot_share = 0.3


def stream_of(number: int) -> StreamId:
    """A stream of this history; number 0 is the hot one."""
    return StreamId("run", UUID(int=1_000 + number))


@asynccontextmanager
async def opened(target: str) -> AsyncIterator[EventStore]:
    """A file of SQLite, or a database of PostgreSQL."""
    if target.startswith("postgresql:"):
        database = Database(target, os.environ["PGPASSWORD"])
        async with PostgresEventStore.open(database) as store:
            yield store
    else:
        async with SqliteEventStore.open(target) as file:
            yield file


async def write(target: str, writer: str, seed: str) -> None:
    """Until it is killed."""
    chance, clock = random.Random(f"{seed}/{writer}"), SystemClock()
    async with opened(target) as store:
        known: dict[StreamId, int] = {}
        entry = 0
        while True:
            number = 0 if chance.random() < hot_share else chance.randrange(1, STREAMS)
            stream = stream_of(number)
            if stream not in known:
                known[stream] = len(await store.load(stream))
            entry += 1
            envelope = EventEnvelope(
                event_id=clock.new_id(),
                stream=stream,
                version=known[stream] + 1,
                tag="run.cancel_requested.v1",
                recorded_at=clock.now(),
                metadata=_metadata(writer),
                data=CancelRequested(reason=f"{writer}/{entry}"),
            )
            try:
                (position,) = await store.append(stream, known[stream], [envelope])
            except Conflict:
                del known[stream]
                continue
            known[stream] += 1
            told = {
                "stream": str(stream.id),
                "version": known[stream],
                "position": position,
                "entry": f"{writer}/{entry}",
            }
            sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
            sys.stdout.buffer.flush()


def _metadata(writer: str) -> Metadata:
    command = uuid4()
    return Metadata(
        command_id=command,
        command_type="run.cancel",
        payload_hash="",
        correlation_id=command,
        causation_id=command,
        principal=f"writer:{writer}",
    )


if __name__ == "__main__":
    _target, _writer, _seed = sys.argv[1:]
    anyio.run(write, _target, _writer, _seed)
