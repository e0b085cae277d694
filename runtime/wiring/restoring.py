"""Putting a backup back: into an empty data directory, or in the place of what is there."""

import os
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec
from anyio import to_thread

from adapters.backups.copying import translated
from adapters.backups.reading import manifest_in, unpack
from adapters.disk import sync
from adapters.eventstore.chain import SqliteEventChain
from domain.backup import EVENTS, Manifest
from domain.errors import Malformed, Rejection
from projections.chain import ChainReport, verify_chain
from runtime.datadir import DataDir, Held
from runtime.session import Document

UNPACKED = ".restore"
"""Where a backup is unpacked and proven before anything else is touched."""

REPLACED = "replaced"
"""Where what was in its place is kept."""

_BESIDE = ("events.db-wal", "events.db-shm")

_ALWAYS_THERE = frozenset(
    {".gitignore", "lock", "holder.json", ".holder.json.new", "children", UNPACKED, REPLACED}
)


def refuse_used(directory: DataDir) -> None:
    """Raise `Rejection` where the data directory is not empty."""
    with translated(directory.path):
        there = sorted({file.name for file in directory.path.iterdir()} - _ALWAYS_THERE)
    if there:
        raise Rejection(
            "not_empty",
            f"{directory.path} is not empty: there is {', '.join(there[:3])}",
            {"hint": "name an empty one by --data, or put the backup in its place: --replace"},
        )


async def restore(held: Held, backup: Path, *, replace: bool) -> Document:
    """Put a backup into a data directory that this process holds.

    Nothing is touched before all of the backup was copied, counted, hashed and proven. The events
    come last and at once: whatever happens on the way, the directory has the old or the new ones.
    What they replace is kept in a folder of its own. Returns `{"path", "data", "replaced",
    "manifest"}`. Raises `NotFound`, `Malformed`, `Rejection`, `Unavailable`, `StorageFull`.
    """
    directory = held.directory
    manifest = await to_thread.run_sync(manifest_in, backup, version("headwater"))
    if not replace:
        await to_thread.run_sync(refuse_used, directory)
    unpacked = directory.path / UNPACKED
    shutil.rmtree(unpacked, ignore_errors=True)
    try:
        await to_thread.run_sync(unpack, backup, manifest, unpacked)
        async with SqliteEventChain.open(unpacked / EVENTS) as chain:
            _compare(manifest, await verify_chain(chain, manifest.last), backup)
        replaced = await to_thread.run_sync(_put_in_place, directory, unpacked)
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    summary = {**msgspec.to_builtins(manifest), "files": len(manifest.files)}
    return {
        "path": str(backup),
        "data": str(directory.path),
        "replaced": str(replaced) if replaced else None,
        "manifest": {**summary, "bytes": manifest.bytes},
    }


def _compare(manifest: Manifest, report: ChainReport, backup: Path) -> None:
    """Raise `Malformed` where the events are not those that the manifest tells of."""
    said = (manifest.store_id, manifest.position, manifest.events, manifest.head)
    found = (report.store_id, report.position, report.events, report.head)
    if report.ok and said == found:
        return
    told = report.findings[0].detail if report.findings else "they are others than the manifest's"
    where = f" at position {report.findings[0].position}" if report.findings else ""
    raise Malformed(
        f"the events in {backup} cannot be proven{where}: {told}",
        hint="nothing was changed: take another backup",
    )


def _put_in_place(directory: DataDir, unpacked: Path) -> Path | None:
    """Move what was unpacked to its places, the events last; returns where the old ones are."""
    with translated(directory.path):
        replaced = _keep_old(directory)
        for folder, _, names in os.walk(unpacked):
            place = directory.path / Path(folder).relative_to(unpacked)
            place.mkdir(parents=True, exist_ok=True)
            for name in names:
                if name != EVENTS:
                    os.replace(Path(folder) / name, place / name)
            sync(place)
        # The log of the old events must not be taken for one of the new ones. Both are kept.
        for name in _BESIDE:
            (directory.path / name).unlink(missing_ok=True)
        os.replace(unpacked / EVENTS, directory.events)
        sync(directory.path)
        return replaced


def _keep_old(directory: DataDir) -> Path | None:
    """Second names for the events that are there, and a new place for what leads to their runs."""
    old = [name for name in (EVENTS, *_BESIDE) if (directory.path / name).exists()]
    if not old:
        return None
    kept = directory.path / REPLACED / datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    kept.mkdir(parents=True)
    for name in old:
        os.link(directory.path / name, kept / name)
    # A result is reused by naming its run, which the restored events may not know.
    with suppress(FileNotFoundError):
        os.replace(directory.keys, kept / directory.keys.name)
    for folder in (kept, kept.parent, directory.path):
        sync(folder)
    return kept
