"""What every chain of events promises: whatever happens to the stored events is found and named."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest
from msgspec.structs import replace

from adapters.eventstore.chain import SqliteEventChain
from adapters.eventstore.postgres import PostgresEventStore
from adapters.eventstore.postgres_chain import PostgresEventChain
from adapters.eventstore.sqlite import SqliteEventStore
from adapters.memory.eventstore import MemoryEventStore
from commands.ports import EventStore
from domain.chain import Head, parse_head
from domain.ids import StreamId
from projections.chain import ChainReport, verify_chain
from projections.ports import EventChain
from tests.contracts.events import envelopes, new_stream
from tests.postgres import PostgresServer

pytestmark = pytest.mark.anyio

STREAM = new_stream()

Execute = Callable[[str], object]
"""Does a statement in the database of a test."""


class Ground(Protocol):
    """A store with its chain, and hands that reach into its storage past all rules."""

    @property
    def store(self) -> EventStore: ...
    @property
    def chain(self) -> EventChain: ...
    def set_state(self, position: int, state: bytes) -> None: ...
    def set_version(self, position: int, version: int) -> None: ...
    def swap_states(self, first: int, second: int) -> None: ...
    def delete(self, position: int) -> None: ...
    def insert(self) -> None:
        """Store a copy of the first event's state behind the last one, without a link."""

    def set_link(self, position: int, link: bytes) -> None: ...
    def cut_off(self, after: int) -> None:
        """Remove events, links and what else is known of them."""


class MemoryGround:
    """In memory."""

    def __init__(self) -> None:
        self.store = self.chain = MemoryEventStore()

    def set_state(self, position: int, state: bytes) -> None:
        records = self.store._records
        records[position - 1] = replace(records[position - 1], state=state)

    def set_version(self, position: int, version: int) -> None:
        records = self.store._records
        records[position - 1] = replace(records[position - 1], version=version)

    def swap_states(self, first: int, second: int) -> None:
        states = [self.store._records[place - 1].state for place in (first, second)]
        self.set_state(first, states[1])
        self.set_state(second, states[0])

    def delete(self, position: int) -> None:
        if position != len(self.store._records):
            pytest.skip("a list has no holes")
        self.store._records.pop()

    def insert(self) -> None:
        records = self.store._records
        records.append(replace(records[0], position=len(records) + 1))

    def set_link(self, position: int, link: bytes) -> None:
        self.store._links[position - 1] = link

    def cut_off(self, after: int) -> None:
        del self.store._records[after:]
        del self.store._links[after:]


class SqliteGround:
    """In a file."""

    def __init__(self, store: SqliteEventStore, chain: SqliteEventChain, path: Path) -> None:
        self.store = store
        self.chain = chain
        self._path = path

    def set_state(self, position: int, state: bytes) -> None:
        self._do("UPDATE stored_events SET state = ? WHERE rowid = ?", state, position)

    def set_version(self, position: int, version: int) -> None:
        self._do(
            "UPDATE stored_events SET originator_version = ? WHERE rowid = ?", version, position
        )

    def swap_states(self, first: int, second: int) -> None:
        with closing(sqlite3.connect(self._path)) as connection:
            states = dict(connection.execute("SELECT rowid, state FROM stored_events"))
        self.set_state(first, states[second])
        self.set_state(second, states[first])

    def delete(self, position: int) -> None:
        self._do("DELETE FROM stored_events WHERE rowid = ?", position)

    def insert(self) -> None:
        self._do(
            "INSERT INTO stored_events (originator_id, originator_version, topic, state)"
            " SELECT originator_id, 99, topic, state FROM stored_events WHERE rowid = 1"
        )

    def set_link(self, position: int, link: bytes) -> None:
        self._do(
            "UPDATE event_links SET links = CAST(substr(links, 1, 32 * (?1 - first_position))"
            " || ?2 || substr(links, 32 * (?1 - first_position + 1) + 1) AS BLOB)"
            " WHERE first_position = (SELECT max(first_position) FROM event_links"
            " WHERE first_position <= ?1)",
            position,
            link,
        )

    def cut_off(self, after: int) -> None:
        self._do("DELETE FROM stored_events WHERE rowid > ?", after)
        self._do("DELETE FROM event_links WHERE first_position > ?", after)
        self._do("UPDATE sqlite_sequence SET seq = ? WHERE name = 'stored_events'", after)

    def _do(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self._path)) as connection, connection:
            changed = connection.execute(statement, values).rowcount
        assert changed > 0


class PostgresGround:
    """In a database."""

    def __init__(
        self, store: PostgresEventStore, chain: PostgresEventChain, execute: Execute
    ) -> None:
        self.store = store
        self.chain = chain
        self._execute = execute

    def set_state(self, position: int, state: bytes) -> None:
        self._set("state", f"'\\x{state.hex()}'", position)

    def set_version(self, position: int, version: int) -> None:
        self._set("originator_version", str(version), position)

    def swap_states(self, first: int, second: int) -> None:
        other = "(SELECT state FROM stored_events WHERE notification_id = {})"
        statement = "UPDATE stored_events SET state = CASE notification_id"
        self._execute(
            f"{statement} WHEN {first} THEN {other.format(second)} ELSE {other.format(first)} END"
            f" WHERE notification_id IN ({first}, {second})"
        )

    def delete(self, position: int) -> None:
        self._execute(f"DELETE FROM stored_events WHERE notification_id = {position}")  # noqa: S608  # a number

    def insert(self) -> None:
        self._execute(
            "INSERT INTO stored_events SELECT originator_id, 99, topic, state, 10"
            " FROM stored_events WHERE notification_id = 1"
        )

    def set_link(self, position: int, link: bytes) -> None:
        self._execute(
            f"UPDATE event_links SET links = overlay(links PLACING '\\x{link.hex()}'"  # noqa: S608  # numbers
            f" FROM 32 * ({position} - first_position)::integer + 1) WHERE first_position ="
            f" (SELECT max(first_position) FROM event_links WHERE first_position <= {position})"
        )

    def cut_off(self, after: int) -> None:
        self._execute(f"DELETE FROM stored_events WHERE notification_id > {after}")  # noqa: S608  # a number
        self._execute(f"DELETE FROM event_links WHERE first_position > {after}")  # noqa: S608  # a number

    def _set(self, column: str, value: str, position: int) -> None:
        self._execute(
            f"UPDATE stored_events SET {column} = {value} WHERE notification_id = {position}"  # noqa: S608  # of this file
        )


@asynccontextmanager
async def postgres_ground(server: PostgresServer) -> AsyncIterator[Ground]:
    name = server.take()
    database = server.way_to(name)
    async with (
        PostgresEventStore.open(database) as store,
        PostgresEventChain.open(database) as chain,
    ):
        yield PostgresGround(store, chain, partial(server.execute, database=name))
    server.give_back(name)


@asynccontextmanager
async def sqlite_ground(path: Path) -> AsyncIterator[Ground]:
    async with SqliteEventStore.open(path) as store, SqliteEventChain.open(path) as chain:
        yield SqliteGround(store, chain, path)


@pytest.fixture(params=["sqlite", "postgres", "memory"])
async def ground(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ground]:
    """A store of nine events: five of one stream, and four of others, in commits of their own."""
    if request.param == "memory":
        memory: Ground = MemoryGround()
        await fill(memory.store)
        yield memory
        return
    opened = sqlite_ground(tmp_path / "events.db")
    if request.param == "postgres":
        opened = postgres_ground(request.getfixturevalue("postgres"))
    async with opened as found:
        await fill(found.store)
        yield found


async def fill(store: EventStore) -> None:
    await append(store, STREAM, 0, 2)
    await append(store, new_stream(), 0, 2)
    await append(store, STREAM, 2, 3)
    await append(store, new_stream(), 0, 1)
    await append(store, new_stream(), 0, 1)


async def append(store: EventStore, stream: StreamId, after: int, count: int) -> None:
    await store.append(stream, after, envelopes(stream, after, count))


async def state_at(ground: Ground, position: int) -> bytes:
    page = await ground.chain.page(0, 100)
    return page.rows[position - 1][4]


async def link_at(ground: Ground, position: int) -> bytes:
    return dict((await ground.chain.page(0, 100)).links)[position]


def found(report: ChainReport) -> Sequence[tuple[str, int, int]]:
    return [(one.kind, one.position, one.last) for one in report.findings]


async def test_an_untouched_store_is_proven(ground: Ground) -> None:
    report = await verify_chain(ground.chain)
    assert (report.ok, report.position, report.events, found(report)) == (True, 9, 9, [])
    assert report.head == str(Head(await link_at(ground, 9), 9))


async def test_an_empty_store_is_proven() -> None:
    report = await verify_chain(MemoryEventStore())
    assert (report.ok, report.position, report.events) == (True, 0, 0)


async def test_a_page_ends_anywhere(ground: Ground) -> None:
    whole = await ground.chain.page(0, 100)
    for limit in range(1, 12):
        rows, links, after = list(whole.rows[:0]), list(whole.links[:0]), 0
        while True:
            page = await ground.chain.page(after, limit)
            assert all(after < row[0] <= page.until for row in page.rows)
            assert all(after < position <= page.until for position, _ in page.links)
            rows += page.rows
            links += page.links
            if page.is_last:
                break
            assert page.until > after
            after = page.until
        assert (rows, links) == (list(whole.rows), list(whole.links))


@pytest.mark.parametrize("position", [1, 2, 5, 7, 9])
async def test_one_flipped_byte_is_named(ground: Ground, position: int) -> None:
    state = bytearray(await state_at(ground, position))
    state[40] ^= 0x01
    ground.set_state(position, bytes(state))
    report = await verify_chain(ground.chain)
    assert not report.ok
    (finding,) = report.findings
    assert (finding.kind, finding.position, finding.last) == ("altered", position, position)
    assert finding.detail.startswith("byte 40 of its state is 0x")
    assert report.events == 8


async def test_the_event_is_named_by_stream_version_and_tag(ground: Ground) -> None:
    ground.set_state(6, b"{}")
    (finding,) = (await verify_chain(ground.chain)).findings
    assert (finding.stream, finding.version, finding.tag) == (str(STREAM), 4, "run.step_skipped.v1")
    assert finding.detail == "is not what was recorded"


async def test_a_version_is_covered(ground: Ground) -> None:
    ground.set_version(6, 40)
    (finding,) = (await verify_chain(ground.chain)).findings
    assert finding.detail == "byte 7 of its version is 0x28 '(', was 0x04"


async def test_swapped_events_are_both_named(ground: Ground) -> None:
    ground.swap_states(2, 6)
    assert found(await verify_chain(ground.chain)) == [("altered", 2, 2), ("altered", 6, 6)]


async def test_a_deleted_event_is_named(ground: Ground) -> None:
    ground.delete(4)
    assert found(await verify_chain(ground.chain)) == [("missing", 4, 4)]


async def test_a_deleted_end_is_named(ground: Ground) -> None:
    ground.delete(9)
    ground_report = await verify_chain(ground.chain)
    assert found(ground_report) == [("missing", 9, 9)]


async def test_deleted_events_in_a_row_are_one_finding(ground: Ground) -> None:
    for position in (4, 5, 6, 8):
        ground.delete(position)
    assert found(await verify_chain(ground.chain)) == [("missing", 4, 6), ("missing", 8, 8)]


async def test_an_inserted_event_is_named(ground: Ground) -> None:
    ground.insert()
    report = await verify_chain(ground.chain)
    assert found(report) == [("unchained", 10, 10)]
    assert report.position == 9


@pytest.mark.parametrize("position", [1, 5, 8, 9])
async def test_an_altered_link_is_told_from_an_altered_event(ground: Ground, position: int) -> None:
    link = await link_at(ground, position)
    ground.set_link(position, bytes((link[0] ^ 0x80, *link[1:])))
    assert found(await verify_chain(ground.chain)) == [("link_altered", position, position)]


@pytest.mark.parametrize("position", [1, 5, 8])
async def test_a_link_overwritten_whole_is_told_by_the_next_one(
    ground: Ground, position: int
) -> None:
    ground.set_link(position, bytes(32))
    assert found(await verify_chain(ground.chain)) == [("link_altered", position, position)]


async def test_several_alterations_are_found_at_once(ground: Ground) -> None:
    ground.set_state(2, b"{}")
    ground.set_state(3, b"{}")
    ground.set_state(8, b"{}")
    assert found(await verify_chain(ground.chain)) == [
        ("altered", 2, 2),
        ("altered", 3, 3),
        ("altered", 8, 8),
    ]


async def test_a_head_kept_elsewhere_is_passed_by_a_chain_that_has_grown(ground: Ground) -> None:
    head = parse_head((await verify_chain(ground.chain)).head)
    await append(ground.store, STREAM, 5, 3)
    report = await verify_chain(ground.chain, head)
    assert report.ok
    assert report.position == 12


async def test_a_missing_end_is_told_by_a_head_kept_elsewhere_alone(ground: Ground) -> None:
    head = parse_head((await verify_chain(ground.chain)).head)
    ground.cut_off(7)
    assert (await verify_chain(ground.chain)).ok
    assert found(await verify_chain(ground.chain, head)) == [("cut_off", 8, 9)]


async def test_a_chain_made_anew_is_told_by_a_head_kept_elsewhere_alone(ground: Ground) -> None:
    head = parse_head((await verify_chain(ground.chain)).head)
    ground.cut_off(7)
    await append(ground.store, new_stream(), 0, 2)
    assert (await verify_chain(ground.chain)).ok
    assert found(await verify_chain(ground.chain, head)) == [("other_head", 9, 9)]


async def test_the_head_of_an_empty_store_is_in_every_later_one(ground: Ground) -> None:
    start = parse_head((await verify_chain(MemoryEventStore(store_id=ground.chain.store_id))).head)
    assert (await verify_chain(ground.chain, start)).ok
    foreign = parse_head((await verify_chain(MemoryEventStore())).head)
    assert found(await verify_chain(ground.chain, foreign)) == [("other_head", 0, 0)]
