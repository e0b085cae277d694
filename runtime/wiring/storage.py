"""Events and views of one service: in files, in a PostgreSQL database, or in memory."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Protocol
from uuid import UUID

import msgspec
from anyio import to_thread
from msgspec import Struct

from adapters.eventstore.sqlite import SqliteEventStore
from adapters.memory.eventstore import MemoryEventStore
from adapters.readmodels.sqlite import SqliteReadModels
from commands.ports import EventLog, EventStore
from domain.errors import Malformed
from projections.ports import EventFeed, ReadModels
from projections.ports import EventLog as ReadEventLog
from runtime.datadir import DataDir, Held, unusable
from runtime.settings import Settings
from runtime.store import MEMORY, SQLITE, Store


class StoredEvents(EventStore, EventLog, ReadEventLog, Protocol):
    """A store as both sides need it."""

    def followed(self) -> EventLog:
        """The log for whoever comes back for more: appended here, it is read from memory."""
        ...

    def feed(self) -> EventFeed:
        """What is stored from now on."""
        ...


class Owner(Struct, frozen=True):
    """Whose datasets lie in a data directory: kept in it where the events lie elsewhere."""

    store: str
    store_id: UUID | None = None


@asynccontextmanager
async def open_storage(
    settings: Settings, held: Held, *, lasting: bool = False
) -> AsyncIterator[tuple[StoredEvents, ReadModels]]:
    """Open both; where they should be forgotten, but `lasting` ones are asked for, the files.

    Raises `Unavailable`, `StorageFull`, and `Malformed` where the data directory belongs to another
    store.
    """
    store = Store(SQLITE) if lasting and settings.store == MEMORY else settings.store
    directory = held.directory
    async with AsyncExitStack() as stack:
        if store == MEMORY:
            tables = await stack.enter_async_context(SqliteReadModels.open_in_memory())
            yield MemoryEventStore(), tables
            return
        await to_thread.run_sync(_check_kind, directory, store)
        if store.is_database:
            opened = _open_database(directory, store, settings.store_password)
            yield await stack.enter_async_context(opened)
            return
        file = await stack.enter_async_context(SqliteEventStore.open(directory.events))
        yield file, await stack.enter_async_context(SqliteReadModels.open(directory.views))


@asynccontextmanager
async def _open_database(
    directory: DataDir, store: Store, password: str
) -> AsyncIterator[tuple[StoredEvents, ReadModels]]:
    from adapters.eventstore.postgres import PostgresEventStore  # most stores are files
    from adapters.postgres import Database
    from adapters.readmodels.postgres import PostgresReadModels

    database = Database(store, password)
    async with PostgresEventStore.open(database) as events:
        await to_thread.run_sync(_claim, directory, Owner(str(store), events.store_id))
        async with PostgresReadModels.open(database) as tables:
            yield events, tables


async def look_at_database(settings: Settings) -> tuple[str, list[str]]:
    """What can be said of the server, and what is odd about it. Raises `Unavailable`."""
    from adapters.postgres import Database, check_server

    database = Database(settings.store, settings.store_password)
    async with database.sessions("the event store", 1) as sessions, sessions.session() as session:
        version, odd = await check_server(session, database)
    return f"{database}, PostgreSQL {version}", odd


def _owner(directory: DataDir) -> Owner:
    """As the data directory says it."""
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(directory.store.read_bytes(), type=Owner)
    return Owner(SQLITE if directory.events.exists() and directory.datasets.exists() else "")


def _check_kind(directory: DataDir, store: Store) -> None:
    """Datasets belong to a history: a second one beside it would take them for nobody's."""
    owner = _owner(directory)
    if owner.store and (owner.store == SQLITE) != (store == SQLITE):
        raise _foreign(directory, owner)


def _claim(directory: DataDir, owner: Owner) -> None:
    """The same database may go by another name, as long as it holds the same store."""
    before = _owner(directory)
    if before.store_id not in (None, owner.store_id):
        raise _foreign(directory, before)
    if before == owner:
        return
    beside = directory.store.with_name(f".store.json.{os.getpid()}")
    try:
        beside.write_bytes(msgspec.json.encode(owner))
        beside.replace(directory.store)
    except OSError as error:
        raise unusable(directory.store, error) from error


def _foreign(directory: DataDir, owner: Owner) -> Malformed:
    return Malformed(
        f"what lies in {directory.path} belongs to the event store {owner.store}",
        hint="name that one by --store, HEADWATER_STORE or store in [service] of headwater.toml, "
        "or another folder by --data",
    )
