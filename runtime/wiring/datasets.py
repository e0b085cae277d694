"""Datasets that lie in a bucket, for whoever is no worker."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from adapters.datasets.bucket import Bucket
from adapters.datasets.cached import dataset_name, fetch_logs, open_artifacts
from adapters.processes.places import scratch_of
from commands.steps.ports import StepBroken
from domain.data.dataset import DatasetVersion
from domain.errors import NotFound, Unavailable
from runtime.datadir import DataDir
from runtime.settings import Settings

_looks_at_once_max = 16


def bring(settings: Settings, directory: DataDir, version: DatasetVersion) -> None:
    """Fetch a dataset into the data directory, where it is not there. Raises `NotFound` where the
    bucket has none, or another content under its name, and `Unavailable`."""
    if not settings.datasets or directory.dataset(version.fingerprint).is_file():
        return
    directory.make()
    scratch = scratch_of(directory.path, os.getpid())
    try:
        with _translated():
            open_artifacts(directory.path, scratch, settings.datasets).path_of(version)
    finally:
        with suppress(OSError):
            scratch.rmdir()


def kept_among(settings: Settings, fingerprints: Iterable[str]) -> frozenset[str]:
    """Those that are in the bucket. Raises `Unavailable`."""
    names = list(fingerprints)
    with _translated(), ThreadPoolExecutor(_looks_at_once_max) as pool:
        bucket = Bucket(settings.datasets)
        sizes = pool.map(bucket.size, map(dataset_name, names))
        return frozenset(name for name, size in zip(names, sizes, strict=True) if size is not None)


def bring_logs(settings: Settings, directory: DataDir, run: str) -> None:
    """Fetch logs of a run into the data directory, if there is a bucket that may have some.
    Raises `Unavailable`."""
    if settings.datasets:
        directory.make()
        with _translated():
            fetch_logs(Bucket(settings.datasets), directory.logs, run)


def look_at_bucket(settings: Settings) -> str:
    """What can be said of the bucket, after an object was made, read and removed in it. Raises
    `Unavailable` where it cannot be used for datasets."""
    name = f"doctor/{uuid4()}"
    with _translated():
        bucket = Bucket(settings.datasets)
        bucket.create(name, b"first")
        try:
            if bucket.create(name, b"second"):
                raise Unavailable(
                    f"{settings.datasets} replaces an object where it is to make a new one only",
                    hint="results would not be kept once: take a store that knows If-None-Match",
                )
            found = bucket.read(name)
        finally:
            bucket.remove(name)
        if found is None or found.content != b"first" or name in bucket.names("doctor"):
            raise Unavailable(
                f"{settings.datasets} does not give back what was just written",
                hint="take a store that is consistent, as S3 is",
            )
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    return f"{settings.datasets}" + (f" at {endpoint}" if endpoint else "")


def copy_bucket(url: str, target: Path, folder: str) -> Iterator[str]:
    """Copy all objects of a folder, `keys` or `datasets`, below `target`, as far as they are not
    there; yields their names. Raises `Unavailable`."""
    with _translated():
        bucket = Bucket(url)
        for name in sorted(bucket.names(folder)):
            is_whole = name.endswith((".json", ".parquet"))
            if is_whole and not (target / name).exists() and bucket.save(name, target / name):
                yield name


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except StepBroken as stopped:
        error = stopped.error
        kind = NotFound if error.code == "dataset_missing" else Unavailable
        place = f"{error.where}: " if error.where else ""
        raise kind(f"{place}{error.message}", hint=error.hint) from stopped
