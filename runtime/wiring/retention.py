"""Sealing ended runs: beside a service, or with the data directory to ourselves."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from adapters.eventstore.sealing import SqliteSealing
from domain.errors import Unavailable
from domain.sealing import EndedRun, grouped, sealable
from runtime.datadir import DataDir
from runtime.session import Document
from runtime.wiring.proof import known_store


async def retain(directory: DataDir, before: datetime, *, dry_run: bool, alone: bool) -> Document:
    """Move the events of runs that ended before a moment into segments, oldest first.

    `{"before", "dry_run", "runs", "events", "bytes", "segments", "file_bytes_before",
    "file_bytes_after"}`. What was sealed stays so where a later segment fails. With `alone` no
    service has the store open, and its file is shrunk if nobody else is in the way. Raises
    `NotFound`, `Malformed` where an event does not fit the chain, `Conflict`, `Unavailable`,
    `StorageFull`.
    """
    store = known_store(directory)
    size = store.stat().st_size
    async with SqliteSealing.open(store) as sealing:
        ended, head = await sealing.ended()
        runs = list(sealable(ended, before, head))
        segments: list[Document] = []
        for group in () if dry_run else grouped(runs):
            segment = await sealing.seal(group, datetime.now(UTC))
            segments.append({"name": segment.name, **_sums(group)})
        if alone and segments:
            with suppress(Unavailable):  # what is sealed stays so, and its room is used anew
                await sealing.shrink()
    return {
        "before": before.isoformat(),
        "dry_run": dry_run,
        **_sums(runs),
        "segments": segments,
        "file_bytes_before": size,
        "file_bytes_after": store.stat().st_size,
    }


def _sums(runs: Sequence[EndedRun]) -> Document:
    return {
        "runs": len(runs),
        "events": sum(run.events for run in runs),
        "bytes": sum(run.bytes for run in runs),
    }
