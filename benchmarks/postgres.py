"""The store and the views on PostgreSQL: `python -m benchmarks.postgres [EVENTS]`.

Appends stand beside a bare group commit through asyncpg on the same server, tried in turns.
"""

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from statistics import median
from time import perf_counter, process_time

import anyio
import psycopg
from eventsourcing.persistence import StoredEvent

from adapters.clock import SystemClock
from adapters.eventstore.mapper import EnvelopeMapper, Mapped
from adapters.eventstore.postgres import PostgresEventStore
from adapters.postgres import Database, Sessions
from adapters.readmodels.postgres import PostgresReadModels
from adapters.readmodels.progress import ViewProgress
from benchmarks.refold import VIEWS, Silence, realistic
from benchmarks.report import Figure, table
from projections.limits import log_events_max
from projections.projection import Projection
from projections.replay import verify
from projections.worker import ProjectionPorts, ProjectionWorker
from tests.contracts.events import envelopes, new_stream
from tests.postgres import PASSWORD, postgres_server

writers = (1, 10, 100, 1_000)
"""Callers that wait for their append at the same time."""

turns = 5

usual = ("shared_buffers=128MB", "max_wal_size=1GB", "min_wal_size=80MB")
"""What a server comes with; that of the tests is made smaller."""

events_each = {1: 400, 10: 2_000, 100: 8_000, 1_000: 16_000}

_BARE = """
INSERT INTO bare (originator_id, originator_version, topic, state)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bytea[]) RETURNING notification_id
"""
_BARE_TABLE = """
CREATE TABLE IF NOT EXISTS bare (
    originator_id uuid NOT NULL, originator_version bigint NOT NULL, topic text, state bytea,
    notification_id bigserial, PRIMARY KEY (originator_id, originator_version));
CREATE UNIQUE INDEX IF NOT EXISTS bare_notification_id_idx ON bare (notification_id)
"""

Append = Callable[[], Awaitable[object]]


class BareGroups:
    """Group commit of the same events with nothing around it: no versions, positions or chain."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._waiting: list[tuple[StoredEvent, asyncio.Future[None]]] = []
        self._mapper = EnvelopeMapper()
        self._writer: asyncio.Task[None] | None = None

    async def append(self) -> None:
        """One event of a new stream."""
        (envelope,) = envelopes(new_stream(), 0, 1)
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append((self._mapper.to_stored_event(Mapped(envelope)), answer))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        await answer

    async def _write(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)
            group, self._waiting = self._waiting, []
            events = [event for event, _ in group]
            async with self._sessions.session() as session:
                await session.fetch(
                    _BARE,
                    [event.originator_id for event in events],
                    [event.originator_version for event in events],
                    [event.topic for event in events],
                    [event.state for event in events],
                )
            for _, answer in group:
                answer.set_result(None)
        self._writer = None


async def rate(append: Append, at_once: int, count: int) -> tuple[float, float]:
    """Appends a second, and microseconds of this process's time for one."""

    async def write() -> None:
        for _ in range(count // at_once):
            await append()

    start, worked = perf_counter(), process_time()
    await asyncio.gather(*(write() for _ in range(at_once)))
    done = count // at_once * at_once
    return done / (perf_counter() - start), (process_time() - worked) / done * 1e6


async def appends(database: Database) -> list[Figure]:
    """Appends a second beside those of a bare group commit, by the number of callers."""
    found = []
    async with (
        PostgresEventStore.open(database) as store,
        database.sessions("bare appends", 1) as sessions,
    ):
        async with sessions.session() as session:
            await session.execute(_BARE_TABLE)
        bare = BareGroups(sessions)

        async def ours() -> None:
            stream = new_stream()
            await store.append(stream, 0, envelopes(stream, 0, 1))

        for at_once in writers:
            pairs = [
                (
                    await rate(ours, at_once, events_each[at_once]),
                    await rate(bare.append, at_once, events_each[at_once]),
                )
                for _ in range(turns)
            ]
            mine, theirs = ([pair[side] for pair in pairs] for side in (0, 1))
            ratio = median(a[0] / b[0] for a, b in pairs)
            found.append(
                Figure(
                    what=f"appends, {at_once:,} waiting",
                    value=median(one[0] for one in mine),
                    unit="events/s",
                    reach="≥ 0.7 of bare",
                    baseline=f"bare {median(one[0] for one in theirs):,.0f}/s, ratio {ratio:.2f}",
                    method=f"{median(one[1] for one in mine):.0f} µs of our processor time each,"
                    f" bare {median(one[1] for one in theirs):.0f} µs",
                )
            )
    return found


def fill(url: str, events: int) -> None:
    """A store with `events` events, written at once."""
    with psycopg.connect(url, password=PASSWORD) as connection, connection.cursor() as cursor:
        columns = "originator_id, originator_version, topic, state, notification_id"
        with cursor.copy(f"COPY stored_events ({columns}) FROM STDIN") as rows:
            for record in realistic(events):
                rows.write_row(
                    (record.stream.id, record.version, record.tag, record.state, record.position)
                )
        cursor.execute("ANALYZE stored_events")


async def read(store: PostgresEventStore) -> None:
    """The whole log, without folding it."""
    position = 0
    while records := await store.read(position, log_events_max):
        position = records[-1].position


async def rebuild(
    store: PostgresEventStore, models: PostgresReadModels, projection: Projection
) -> None:
    """One view from nothing."""
    ports = ProjectionPorts(
        log=store,
        feed=Silence(),
        read_models=models,
        progress=ViewProgress(),
        ticker=SystemClock(),
    )
    worker = ProjectionWorker(projection, ports)
    await worker.start()
    assert worker.halted is None, worker.halted


async def timed(work: Awaitable[object]) -> tuple[float, float]:
    """Seconds that passed, and seconds of this process's time."""
    start, worked = perf_counter(), process_time()
    await work
    return perf_counter() - start, process_time() - worked


async def views(database: Database, url: str, events: int) -> list[Figure]:
    """Events a second of each view, built alone."""
    async with PostgresEventStore.open(database) as store:
        await asyncio.to_thread(fill, url, events)
        async with PostgresReadModels.open(database) as models:
            bare, _ = await timed(read(store))
            found = []
            for projection in VIEWS:
                seconds, worked = await timed(rebuild(store, models, projection))
                proof, _ = await timed(verify(store, models, [projection]))
                found.append(
                    Figure(
                        what=f"rebuild of {projection.name}",
                        value=events / seconds,
                        unit="events/s",
                        reach="≥ 100,000/s",
                        baseline=f"reading alone {events / bare:,.0f}/s;"
                        f" verify {events / proof:,.0f}/s",
                        method=f"{events:,} events, {worked / events * 1e6:.1f} µs of our"
                        " processor time each",
                    )
                )
            return found


async def main(events: int) -> Sequence[Figure]:
    """All figures, on a server of our own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with postgres_server(port) as server:
        server.stop()
        server.start(*usual)
        first, second = server.database(), server.database()
        return [
            *await appends(server.way_to(first)),
            *await views(server.way_to(second), server.url(second), events),
        ]


if __name__ == "__main__":
    print(table(anyio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)))
