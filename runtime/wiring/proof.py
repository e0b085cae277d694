"""Proving the event store: straight on its file, whoever holds the data directory."""

from pathlib import Path

import msgspec

from adapters.eventstore.chain import SqliteEventChain
from domain.chain import Head
from domain.errors import NotFound
from projections.chain import verify_chain
from runtime.datadir import DataDir
from runtime.session import Document
from runtime.settings import Settings


async def prove_chain(directory: DataDir, head: Head | None = None) -> Document:
    """Hold every stored event against its link. Raises `NotFound`, `Unavailable`, `Malformed`.

    A service is not asked: it may be what is to be checked, and has better things to do.
    """
    async with SqliteEventChain.open(known_store(directory)) as chain:
        document: Document = msgspec.to_builtins(await verify_chain(chain, head))
        return document


def known_store(directory: DataDir) -> Path:
    """The event store's file. Raises `NotFound` where there is none."""
    if not directory.events.exists():
        raise NotFound(
            f"there is no event store in {directory.path}",
            hint="its service keeps its events elsewhere, or has kept them in memory",
        )
    return directory.events


async def prove_database_chain(settings: Settings, head: Head | None = None) -> Document:
    """The same for events in a PostgreSQL database. Raises `Unavailable`, `Malformed`."""
    from adapters.eventstore.postgres_chain import PostgresEventChain  # most stores are files
    from adapters.postgres import Database

    database = Database(settings.store, settings.store_password)
    async with PostgresEventChain.open(database) as chain:
        document: Document = msgspec.to_builtins(await verify_chain(chain, head))
        return document
