"""Backups of a data directory, made while whoever holds it goes on."""

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec
from anyio import to_thread

from adapters.backups.making import Making, making
from adapters.eventstore.backup import copy_store, segments_of
from adapters.eventstore.chain import SqliteEventChain
from domain.backup import EVENTS, SEGMENTS, Manifest, form
from projections.chain import verify_chain
from runtime.datadir import DataDir
from runtime.session import Document
from runtime.wiring.proof import known_store


async def make_backup(
    directory: DataDir, target: Path, *, datasets: bool, bucket: str = ""
) -> Document:
    """Copy the events, and the results of steps if asked, into a new folder, and prove the copy.
    Results that lie in a `bucket` are taken from there.

    `{"ok", "path", "manifest", "chain"}`; where the chain of the copy does not hold there is no
    backup, and `manifest` is null. Raises `NotFound`, `Malformed` where `target` is there already,
    `Unavailable`, `StorageFull`.
    """
    store = known_store(directory)
    with making(target) as backup:
        if datasets:
            # Before the events, which must know the run of every result that can be reused.
            await to_thread.run_sync(_copy_keys, directory, backup, bucket)
        made_at = datetime.now(UTC)
        await to_thread.run_sync(copy_store, store, backup.folder / EVENTS)
        for name in await to_thread.run_sync(segments_of, backup.folder / EVENTS):
            await to_thread.run_sync(backup.copy, directory.path, f"{SEGMENTS}/{name}")
        async with SqliteEventChain.open(backup.folder / EVENTS) as chain:
            report = await verify_chain(chain)
        document: Document = {
            "ok": report.ok,
            "path": str(target),
            "manifest": None,
            "chain": msgspec.to_builtins(report),
        }
        if not report.ok:
            return document
        await to_thread.run_sync(backup.add, EVENTS)
        if datasets:
            # Behind the events, which may only tell of results that are there.
            await to_thread.run_sync(_copy_datasets, directory, backup, bucket)
        manifest = Manifest(
            format=form,
            headwater=version("headwater"),
            made_at=made_at,
            store_id=report.store_id,
            position=report.position,
            events=report.events,
            head=report.head,
            files=tuple(backup.files),
        )
        await to_thread.run_sync(backup.finish, manifest)
    summary = {**msgspec.to_builtins(manifest), "files": len(manifest.files)}
    return {**document, "manifest": {**summary, "bytes": manifest.bytes}}


def _copy_keys(directory: DataDir, backup: Making, bucket: str) -> None:
    if bucket:
        _take_over(bucket, backup, "keys")
    else:
        _copy(directory, backup, "keys/*.json")


def _copy_datasets(directory: DataDir, backup: Making, bucket: str) -> None:
    _copy(directory, backup, "datasets/??/*.parquet")
    if bucket:
        _take_over(bucket, backup, "datasets")


def _take_over(bucket: str, backup: Making, folder: str) -> None:
    from runtime.wiring.datasets import copy_bucket  # most have none

    for name in copy_bucket(bucket, backup.folder, folder):
        backup.add(name)


def _copy(directory: DataDir, backup: Making, pattern: str) -> None:
    """Take in what lies under its final name; what is still being written has another one."""
    for file in sorted(directory.path.glob(pattern)):
        if not file.name.startswith("."):
            backup.copy(directory.path, file.relative_to(directory.path).as_posix())
