"""What the store on PostgreSQL does beyond its contract: other writers, layouts, servers."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress

import anyio
import anyio.lowlevel
import pytest
from anyio import to_thread

import adapters.eventstore.postgres
import adapters.postgres
from adapters.eventstore.migrations import MIGRATIONS, migrate
from adapters.eventstore.postgres import PostgresEventStore, lock_key
from adapters.eventstore.postgres_chain import PostgresEventChain
from adapters.postgres import Database
from domain.errors import Conflict, Malformed, Unavailable
from domain.ids import StreamId
from projections.chain import verify_chain
from tests.contracts.events import envelopes, new_stream
from tests.postgres import PASSWORD, PostgresServer

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(database: Database) -> AsyncIterator[PostgresEventStore]:
    async with PostgresEventStore.open(database) as opened:
        yield opened


async def append(
    store: PostgresEventStore, stream: StreamId, expected: int, count: int = 1
) -> list[int]:
    return list(await store.append(stream, expected, envelopes(stream, expected, count)))


async def everything(store: PostgresEventStore) -> list[int]:
    return [record.position for record in await store.read(0, 10_000)]


INSERT = (
    "INSERT INTO stored_events (originator_id, originator_version, topic, state, notification_id)"
    " VALUES (gen_random_uuid(), 1, 'run.step_skipped.v1',"
    """ '{"event_id":"00000000-0000-4000-8000-000000000000"}', DEFAULT)"""
)
OURS = f"SELECT pg_advisory_xact_lock({lock_key})"
LIBRARY = "LOCK TABLE stored_events IN EXCLUSIVE MODE"
NO_LOCK = "SELECT 1"


@pytest.mark.parametrize(
    ("lock", "before"), [(OURS, 0), (OURS, 3), (LIBRARY, 0), (NO_LOCK, 0), (NO_LOCK, 3)]
)
async def test_a_commit_that_is_held_back_holds_back_all_behind_it(
    store: PostgresEventStore, database: Database, postgres: PostgresServer, lock: str, before: int
) -> None:
    for _ in range(before):  # in the end this writer takes itself to be the only one
        await append(store, new_stream(), 0)
    given: list[int] = []

    async def later() -> None:
        given.extend(await append(store, new_stream(), 0))

    seen = list(range(1, before + 1))
    with postgres.connected(database) as other:
        other.execute(lock.encode())
        place = str(before + 1) if before else "DEFAULT"
        other.execute(INSERT.replace("DEFAULT", place).encode())
        async with anyio.create_task_group() as group:
            group.start_soon(later)
            await postgres.until_somebody_waits()
            # Nobody sees the later event before the one whose commit is held back.
            assert (given, await everything(store), await store.head()) == ([], seen, before)
            await to_thread.run_sync(other.commit)
    assert given == [before + 2]
    assert await everything(store) == [*seen, before + 1, before + 2]


async def test_whoever_follows_several_writers_misses_nothing(database: Database) -> None:
    seen: list[int] = []
    total = 3 * 60 * 2

    async def write(store: PostgresEventStore) -> None:
        for _ in range(20):
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(append, store, new_stream(), 0, 2)

    async def follow(store: PostgresEventStore) -> None:
        while len(seen) < total:
            for record in await store.read(seen[-1] if seen else 0, 7):
                assert record.previous == (seen[-1] if seen else 0)
                seen.append(record.position)

    async with AsyncExitStack() as stack:
        stores = [
            await stack.enter_async_context(PostgresEventStore.open(database)) for _ in range(4)
        ]
        with anyio.fail_after(100):
            async with anyio.create_task_group() as group:
                group.start_soon(follow, stores[0])
                for store in stores[1:]:
                    group.start_soon(write, store)
        assert seen == await everything(stores[0]) == list(range(1, total + 1))
        async with PostgresEventChain.open(database) as chain:
            assert (await verify_chain(chain)).ok


async def test_an_append_elsewhere_wakes_whoever_waits(database: Database) -> None:
    async with (
        PostgresEventStore.open(database) as first,
        PostgresEventStore.open(database) as second,
    ):
        heads: list[int] = []

        async def watch() -> None:
            heads.append(await first.wait(len(heads), 3_600))

        for expected in range(3):  # the first one may come before anybody listens
            with anyio.fail_after(60):
                async with anyio.create_task_group() as group:
                    group.start_soon(watch)
                    await append(second, new_stream(), 0)
            assert heads == list(range(1, expected + 2))


async def test_a_page_ends_where_it_would_be_too_large(
    store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await append(store, new_stream(), 0, 20)
    size = len((await store.read(0, 1))[0].state)
    monkeypatch.setattr(adapters.eventstore.postgres, "read_bytes_max", 3 * size)
    assert [record.position for record in await store.read(0, 10)] == [1, 2, 3]
    assert list((await store.stretch(3, 10)).positions) == [4, 5, 6]
    monkeypatch.setattr(adapters.eventstore.postgres, "read_bytes_max", 1)
    assert [record.position for record in await store.read(6, 10)] == [7]


async def test_a_position_is_never_given_again(
    store: PostgresEventStore, database: Database, postgres: PostgresServer
) -> None:
    await append(store, new_stream(), 0, 3)
    with postgres.connected(database) as other:
        other.execute("DELETE FROM stored_events WHERE notification_id = 3")
    assert await append(store, new_stream(), 0) == [4]
    assert [record.previous for record in await store.read(0, 10)] == [0, 1, 2]


async def opened(database: Database) -> None:
    async with PostgresEventStore.open(database):
        pass


LATER = "ALTER TABLE store_identity ADD COLUMN colour text NOT NULL DEFAULT 'blue'"


async def test_a_store_of_an_older_layout_is_brought_up_to_date(database: Database) -> None:
    stream = new_stream()
    async with PostgresEventStore.open(database) as store:
        await append(store, stream, 0, 3)
        before, store_id = await store.load(stream), store.store_id
    async with database.sessions("a test", 1) as sessions, sessions.session() as session:
        for _ in range(2):
            assert await migrate(session, [*MIGRATIONS, LATER]) == store_id
        assert await session.fetchval("SELECT colour FROM store_identity") == "blue"
        # What this code does not know it does not touch.
        newest = len(MIGRATIONS)
        told = f"layout {newest + 1}, this Headwater knows {newest}"
        with pytest.raises(Malformed, match=told) as refused:
            await opened(database)
        assert refused.value.hint == "update Headwater"
        await session.execute("DROP TABLE sealed_streams, sealed_ranges, sealed_segments")
        await session.execute("UPDATE store_identity SET layout = 1")
    async with PostgresEventChain.open(database) as chain:
        assert (await verify_chain(chain)).ok
    async with PostgresEventStore.open(database) as store:
        assert await store.load(stream) == before


async def test_a_migration_that_fails_changes_nothing(database: Database) -> None:
    await opened(database)
    async with database.sessions("a test", 1) as sessions, sessions.session() as session:
        with pytest.raises(Exception, match="no_such_table"):
            await migrate(session, [*MIGRATIONS, LATER, "DROP TABLE no_such_table"])
        assert await session.fetchval("SELECT layout FROM store_identity") == len(MIGRATIONS)
    await opened(database)


async def test_a_store_that_many_open_at_once_is_made_once(database: Database) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(opened, database)
    async with PostgresEventStore.open(database) as store:
        assert await append(store, new_stream(), 0) == [1]


async def test_events_of_another_program_are_left_alone(
    database: Database, postgres: PostgresServer
) -> None:
    with postgres.connected(database) as other:
        for statement in MIGRATIONS[0].split(";")[:2]:
            other.execute(statement.encode())
        other.execute(INSERT.encode())
    with pytest.raises(Malformed, match="events of another program"):
        await opened(database)
    with postgres.connected(database) as other:
        assert other.execute("SELECT to_regclass('store_identity')").fetchone() == (None,)


async def failure(database: Database) -> Unavailable:
    with pytest.raises(Unavailable) as told:
        await opened(database)
    assert PASSWORD not in f"{told.value} {told.value.hint} {database}"
    return told.value


async def test_a_server_that_is_not_there_is_named(free_port: Callable[[], int]) -> None:
    url = f"postgresql://headwater@127.0.0.1:{free_port()}/flights"
    told = await failure(Database(url, PASSWORD))
    assert url in told.message
    assert "cannot be reached" in told.message


@pytest.mark.parametrize(
    ("user", "database", "password", "message"),
    [
        ("headwater", "postgres", PASSWORD, "permission denied for schema public"),
        ("headwater", "nowhere", PASSWORD, 'database "nowhere" does not exist'),
        ("headwater", "postgres", "wrong", "password authentication failed"),
        ("stranger", "postgres", PASSWORD, "password authentication failed"),
    ],
)
async def test_a_server_that_refuses_is_told_in_its_own_words(
    postgres: PostgresServer, user: str, database: str, password: str, message: str
) -> None:
    told = await failure(Database(postgres.url(database, user), password))
    assert message in told.message
    assert told.hint


async def test_an_old_server_is_refused(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapters.postgres, "version_min", 99)
    assert "at least 99 is needed" in (await failure(database)).message


async def test_another_encoding_is_refused(postgres: PostgresServer) -> None:
    postgres.execute("CREATE DATABASE latin OWNER headwater ENCODING 'LATIN1' TEMPLATE template0")
    told = await failure(postgres.way_to("latin"))
    assert "has the encoding LATIN1" in told.message


async def test_two_writers_of_one_stream_have_one_winner(database: Database) -> None:
    stream = new_stream()
    won: list[int] = []

    async def attempt(store: PostgresEventStore) -> None:
        with suppress(Conflict):
            won.extend(await append(store, stream, 0))

    async with (
        PostgresEventStore.open(database) as first,
        PostgresEventStore.open(database) as second,
    ):
        async with anyio.create_task_group() as group:
            for store in (first, second) * 10:
                group.start_soon(attempt, store)
        assert len(won) == 1
        assert await everything(second) == won


async def test_a_name_of_a_database_shows_no_password() -> None:
    shown = {
        "postgresql://me@db/flights": "postgresql://me@db:5432/flights",
        "postgresql://db:6000/flights?sslmode=require": "postgresql://db:6000/flights",
        "postgresql://[::1]/flights": "postgresql://[::1]:5432/flights",
        "postgresql:///flights?host=/run/pg": "postgresql:///run/pg:5432/flights",
    }
    assert {url: str(Database(url, PASSWORD)) for url in shown} == shown
