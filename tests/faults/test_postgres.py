"""PostgreSQL taken away: sessions dropped, the server killed and started again, unsafe settings."""

import json
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from anyio import to_thread

from adapters.eventstore.postgres import PostgresEventStore
from adapters.eventstore.postgres_chain import PostgresEventChain
from adapters.eventstore.postgres_sealing import PostgresSealing
from adapters.postgres import Database, check_server
from adapters.readmodels.postgres import PostgresReadModels
from domain.errors import Conflict, Unavailable
from domain.ids import StreamId
from projections.chain import verify_chain
from projections.dispatch import DISPATCH
from projections.lineage import LINEAGE
from projections.monitoring import MONITORING
from projections.quality import QUALITY
from projections.replay import verify
from runtime.wiring.retention import Sealing, retain
from tests.contracts.events import envelopes, new_stream
from tests.contracts.sealing import NOW, PostgresGround, filled, report_of
from tests.e2e.project import Project
from tests.postgres import PASSWORD, PostgresServer, postgres_server
from tests.projections.histories import all_kinds
from tests.projections.support import ListLog, Stage

pytestmark = pytest.mark.anyio

VIEWS = (MONITORING, LINEAGE, QUALITY, DISPATCH)


@pytest.fixture
def server(free_port: Callable[[], int]) -> Iterator[PostgresServer]:
    """One that a test may do anything to."""
    with postgres_server(free_port()) as running:
        yield running


@pytest.fixture
def way(server: PostgresServer) -> Database:
    return server.way_to(server.database())


def drop_sessions(server: PostgresServer) -> None:
    server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'headwater'"
    )


async def insist(store: PostgresEventStore, stream: StreamId, count: int) -> int:
    """Append so many events one by one, whatever fails; returns how many were acknowledged."""
    acknowledged = 0
    while True:
        try:
            version = len(await store.load(stream))
            if version >= count:
                return acknowledged
            await store.append(stream, version, envelopes(stream, version, 1))
        except (Conflict, Unavailable):
            # Unknown: the next look at the stream tells whether it was stored.
            await anyio.lowlevel.checkpoint()
        else:
            acknowledged += 1


async def test_a_dropped_session_is_no_matter_for_who_reads(
    server: PostgresServer, way: Database
) -> None:
    async with PostgresEventStore.open(way) as store:
        stream = new_stream()
        await store.append(stream, 0, envelopes(stream, 0, 2))
        for _ in range(3):
            await to_thread.run_sync(drop_sessions, server)
            assert len(await store.load(stream)) == 2
            assert await store.head() == 2


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
async def test_a_server_that_comes_back_has_all_that_was_acknowledged(
    server: PostgresServer, way: Database, how: signal.Signals
) -> None:
    streams = [new_stream() for _ in range(8)]
    acknowledged: list[int] = []

    async def write(store: PostgresEventStore, stream: StreamId) -> None:
        acknowledged.append(await insist(store, stream, 60))

    async with PostgresEventStore.open(way) as store:
        async with anyio.create_task_group() as group:
            for stream in streams:
                group.start_soon(write, store, stream)
            for target in (60, 200):
                while await store.wait(target, 5) < target:
                    pass
                await to_thread.run_sync(server.stop, how)
                with pytest.raises(Unavailable):
                    await store.head()
                server.start()
        for stream in streams:
            assert [event.version for event in await store.load(stream)] == list(range(1, 61))
        # What was stored and not acknowledged was at most one append of each for each stop.
        assert 8 * 60 - 2 * 8 <= sum(acknowledged) <= 8 * 60
    async with PostgresEventChain.open(way) as chain:
        report = await verify_chain(chain)
        assert (report.ok, report.events) == (True, 8 * 60)


async def test_whoever_waits_hears_again_of_appends_elsewhere(
    server: PostgresServer, way: Database
) -> None:
    async with PostgresEventStore.open(way) as first, PostgresEventStore.open(way) as second:
        heads: list[int] = []

        async def watch() -> None:
            heads.append(await first.wait(len(heads), 3_600))

        for _ in range(3):
            with anyio.fail_after(60):
                async with anyio.create_task_group() as group:
                    group.start_soon(watch)
                    await to_thread.run_sync(drop_sessions, server)
                    await insist(second, new_stream(), 1)
        assert heads == [1, 2, 3]


async def test_views_go_on_after_a_crash_of_the_server(
    server: PostgresServer, way: Database
) -> None:
    events = all_kinds().records
    log = ListLog(events[:60])
    async with PostgresReadModels.open(way) as models:
        for view in VIEWS:
            await Stage(view, log, models).worker.start()
        await to_thread.run_sync(server.stop, signal.SIGQUIT)
        log.records = list(events)
        for view in VIEWS:
            with pytest.raises(Unavailable):
                await Stage(view, log, models).worker.start()
        server.start()
        for view in VIEWS:
            stage = Stage(view, log, models)
            await stage.worker.start()
            assert stage.worker.position == len(events)
        assert (await verify(log, models, VIEWS)).ok


async def test_a_server_that_does_not_sync_is_refused(
    server: PostgresServer, way: Database
) -> None:
    server.stop()
    server.start("fsync=off")
    with pytest.raises(Unavailable, match="runs with fsync = off"):
        async with PostgresEventStore.open(way):
            pass


async def test_torn_pages_are_told_and_commits_are_synced(
    server: PostgresServer, way: Database
) -> None:
    server.stop()
    server.start("full_page_writes=off", "synchronous_commit=off")
    async with way.sessions("a test", 1) as sessions, sessions.session() as session:
        _, [odd] = await check_server(session, way)
        assert "full_page_writes" in odd
        assert await session.fetchval("SHOW synchronous_commit") == "on"


def test_a_run_ends_well_though_the_server_was_away(server: PostgresServer, tmp_path: Path) -> None:
    url = server.url(server.database())
    project = Project(tmp_path, HEADWATER_STORE=url, HEADWATER_STORE_PASSWORD=PASSWORD)
    with project.up():
        run = str(project.json("run", "slow.yaml", "--detach")["run"])
        for step in ("first", "second"):
            project.until(partial(is_running, project, run, step))
            server.stop(signal.SIGQUIT)
            assert project.run("show", run).returncode == 7
            server.start()
        project.until(lambda: project.run("show", run).returncode == 0)
        project.until(lambda: project.status(run) in ("completed", "failed"), 60)
        assert project.status(run) == "completed"
        assert project.json("verify")["ok"] is True
    lines = project.run("events", "--run", run, "--json").stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["version"] for event in events] == list(range(1, len(events) + 1))
    ended = [event["data"]["step"] for event in events if "outcome" in event["data"]]
    assert sorted(ended) == sorted(set(ended))
    assert len(ended) == 5
    assert project.json("verify", "--chain")["ok"] is True


def is_running(project: Project, run: str, step: str) -> bool:
    """Whether it is in work, or done."""
    done = project.run("show", run, "--json")
    steps = json.loads(done.stdout)["steps"] if done.returncode == 0 else []
    return step in [one["id"] for one in steps if one["status"] in ("running", "succeeded")]


async def test_what_is_sealed_is_told_though_the_session_is_lost(
    server: PostgresServer, way: Database
) -> None:
    @asynccontextmanager
    async def losing() -> AsyncIterator[Sealing]:
        async with PostgresSealing.open(way) as sealing:
            shrink = sealing.shrink

            async def shrink_and_lose() -> None:
                await shrink()
                drop_sessions(server)

            sealing.shrink = shrink_and_lose  # type: ignore[method-assign]  # and then the session is lost
            yield sealing

    ground = PostgresGround(way)
    await filled(ground)
    told = await retain(losing(), NOW, dry_run=False, shrink=True)
    assert (told["runs"], len(told["segments"])) == (9, 1)
    assert told["file_bytes_after"] is None
    assert (await report_of(ground)).ok
