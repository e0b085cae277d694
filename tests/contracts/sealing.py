"""Stores whose runs can be sealed, and looking at all that is in them."""

import random
import sqlite3
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from adapters.eventstore.chain import SqliteEventChain
from adapters.eventstore.postgres import PostgresEventStore
from adapters.eventstore.postgres_chain import PostgresEventChain
from adapters.eventstore.postgres_sealing import PostgresSealing
from adapters.eventstore.sealing import SqliteSealing
from adapters.eventstore.sqlite import SqliteEventStore
from adapters.postgres import Database
from domain.envelope import EventEnvelope
from domain.ids import StreamId, pipeline_stream
from domain.pipeline.events import PipelinePaused
from domain.run.events import RunCancelled, RunCompleted, StepSkipped
from domain.sealing import sealable
from projections.chain import ChainReport, verify_chain
from projections.ports import EventChain
from runtime.wiring.retention import Sealing
from tests.contracts.events import envelope, new_stream

NOW = datetime(2026, 6, 1, tzinfo=UTC)

Store = SqliteEventStore | PostgresEventStore


class Ground(Protocol):
    """A store, and hands that reach into its storage past all rules."""

    def store(self) -> AbstractAsyncContextManager[Store]: ...
    def sealing(self) -> AbstractAsyncContextManager[Sealing]: ...
    def chain(self) -> AbstractAsyncContextManager[EventChain]: ...
    async def live(self) -> int:
        """Events that are not sealed."""

    async def spoil(self, position: int) -> None:
        """Alter the event at a position."""

    async def spoil_segment(self) -> str:
        """Alter one bit of the only segment; returns its name."""


class SqliteGround:
    """In a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def store(self) -> AbstractAsyncContextManager[SqliteEventStore]:
        return SqliteEventStore.open(self._path)

    def sealing(self) -> AbstractAsyncContextManager[SqliteSealing]:
        return SqliteSealing.open(self._path)

    def chain(self) -> AbstractAsyncContextManager[SqliteEventChain]:
        return SqliteEventChain.open(self._path)

    async def live(self) -> int:
        with closing(sqlite3.connect(self._path)) as connection:
            return int(connection.execute("SELECT count(*) FROM stored_events").fetchone()[0])

    async def spoil(self, position: int) -> None:
        with closing(sqlite3.connect(self._path)) as connection, connection:
            connection.execute(
                "UPDATE stored_events SET state = CAST(CAST(state AS TEXT) || ' ' AS BLOB)"
                " WHERE rowid = ?",
                (position,),
            )

    async def spoil_segment(self) -> str:
        (segment,) = (self._path.parent / "segments").glob("*.parquet")
        segment.write_bytes(_flipped(segment.read_bytes()))
        return segment.name


class PostgresGround:
    """In a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def store(self) -> AbstractAsyncContextManager[PostgresEventStore]:
        return PostgresEventStore.open(self._database)

    def sealing(self) -> AbstractAsyncContextManager[PostgresSealing]:
        return PostgresSealing.open(self._database)

    def chain(self) -> AbstractAsyncContextManager[PostgresEventChain]:
        return PostgresEventChain.open(self._database)

    async def live(self) -> int:
        return int(await self._ask("SELECT count(*) FROM stored_events"))

    async def spoil(self, position: int) -> None:
        await self._ask(
            "UPDATE stored_events SET state = state || ' ' WHERE notification_id = $1", position
        )

    async def spoil_segment(self) -> str:
        content = await self._ask("SELECT content FROM sealed_segments")
        return str(
            await self._ask(
                "UPDATE sealed_segments SET content = $1 RETURNING name", _flipped(content)
            )
        )

    async def _ask(self, statement: str, *values: object) -> Any:
        async with self._database.sessions("a test", 1) as sessions, sessions.session() as session:
            return await session.fetchval(statement, *values)


def _flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def run_of(stream: StreamId, steps: int, end: object | None) -> list[EventEnvelope[Any]]:
    """The events of a run, with an end or without."""
    facts: list[object] = [StepSkipped(step=f"s{step}", because="s0") for step in range(steps)]
    facts += [] if end is None else [end]
    return [envelope(stream, version, fact) for version, fact in enumerate(facts, 1)]


async def filled(ground: Ground, runs: int = 12, seed: int = 1) -> Sequence[StreamId]:
    """Runs whose events stand between each other's; every fourth has not ended."""
    chance = random.Random(seed)
    pipeline = pipeline_stream("flights")
    waiting = []
    for number in range(runs):
        end = (RunCompleted(), RunCompleted(), None, RunCancelled())[number % 4]
        waiting.append(run_of(new_stream(), chance.randrange(2, 9), end))
    streams = [pipeline, *(events[0].stream for events in waiting)]
    async with ground.store() as store:
        await store.append(pipeline, 0, [envelope(pipeline, 1, PipelinePaused(pipeline="flights"))])
        while waiting:
            events = chance.choice(waiting[:4])
            part = events[: chance.randrange(1, 4)]
            await store.append(part[0].stream, part[0].version - 1, part)
            del events[: len(part)]
            waiting = [events for events in waiting if events]
        await store.append(pipeline, 1, [envelope(pipeline, 2, PipelinePaused(pipeline="x"))])
    return streams


async def everything(ground: Ground, streams: Sequence[StreamId]) -> list[object]:
    """All that can be read of a store, in every way."""
    async with ground.store() as store:
        head = await store.head()
        whole = await store.read(0, 10_000)
        found: list[object] = [store.store_id, head, whole]
        for after in range(0, head + 1, 2):
            found.append(await store.event_id_at(after))
            for limit in (1, 1_000):
                assert list(await store.read(after, limit)) == list(whole[after : after + limit])
                stretch = await store.stretch(after, limit)
                assert [*stretch.positions] == [*range(after + 1, min(after + limit, head) + 1)]
                found.append(stretch)
        for stream in streams:
            found += [await store.load(stream, after) for after in range(4)]
        return found


async def seal(ground: Ground, *, share: float = 1.0, seed: int = 1, groups: int = 1) -> int:
    """Seal some of the ended runs in segments; returns how many runs."""
    chance = random.Random(seed)
    async with ground.sealing() as sealing:
        ended, head = await sealing.ended()
        chosen = [run for run in sealable(ended, NOW, head) if chance.random() <= share]
        for group in range(groups):
            if part := chosen[group::groups]:
                await sealing.seal(part, NOW)
        return len(chosen)


async def report_of(ground: Ground) -> ChainReport:
    async with ground.chain() as chain:
        return await verify_chain(chain)
