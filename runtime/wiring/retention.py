"""Sealing ended runs: beside a service, or with the data directory to ourselves."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, suppress
from datetime import UTC, datetime
from typing import Protocol

from adapters.eventstore.sealing import SqliteSealing
from domain.errors import Unavailable
from domain.ids import Position
from domain.sealing import EndedRun, Segment, grouped, sealable
from runtime.datadir import DataDir
from runtime.session import Document
from runtime.settings import Settings
from runtime.wiring.proof import known_store


class Sealing(Protocol):
    """Moves runs into segments, in one store."""

    async def ended(self) -> tuple[Sequence[EndedRun], Position]:
        """Runs that have ended and are not sealed, and the store's head."""
        ...

    async def seal(self, runs: Sequence[EndedRun], now: datetime) -> Segment:
        """Move all events of these runs into one segment."""
        ...

    async def size(self) -> int:
        """Bytes of the store without its segments."""
        ...

    async def shrink(self) -> None:
        """Give the room of what was sealed back."""
        ...


def in_file(directory: DataDir) -> AbstractAsyncContextManager[Sealing]:
    """Of a store in a file. Raises `NotFound`."""
    return SqliteSealing.open(known_store(directory))


def in_database(settings: Settings) -> AbstractAsyncContextManager[Sealing]:
    """Of a store in a PostgreSQL database."""
    from adapters.eventstore.postgres_sealing import PostgresSealing  # most stores are files
    from adapters.postgres import Database

    return PostgresSealing.open(Database(settings.store, settings.store_password))


async def retain(
    opening: AbstractAsyncContextManager[Sealing], before: datetime, *, dry_run: bool, shrink: bool
) -> Document:
    """Move the events of runs that ended before a moment into segments, oldest first.

    `{"before", "dry_run", "runs", "events", "bytes", "segments", "file_bytes_before",
    "file_bytes_after"}`: the bytes of the store's file, or of the database's table, null where it
    does not answer any more. What was sealed stays so where a later segment fails. With `shrink`
    the store gives back the room, if nobody else is in the way. Raises `Malformed` where an event
    does not fit the chain, `Conflict`, `Unavailable`, `StorageFull`.
    """
    async with opening as sealing:
        size = await sealing.size()
        ended, head = await sealing.ended()
        runs = list(sealable(ended, before, head))
        segments: list[Document] = []
        for group in () if dry_run else grouped(runs):
            segment = await sealing.seal(group, datetime.now(UTC))
            segments.append({"name": segment.name, **_sums(group)})
        if shrink and segments:
            with suppress(Unavailable):  # what is sealed stays so, and its room is used anew
                await sealing.shrink()
        after = None
        with suppress(Unavailable):  # likewise
            after = await sealing.size()
    return {
        "before": before.isoformat(),
        "dry_run": dry_run,
        **_sums(runs),
        "segments": segments,
        "file_bytes_before": size,
        "file_bytes_after": after,
    }


def _sums(runs: Sequence[EndedRun]) -> Document:
    return {
        "runs": len(runs),
        "events": sum(run.events for run in runs),
        "bytes": sum(run.bytes for run in runs),
    }
