"""Datasets and outcomes in a bucket, with the data directory as a cache of it.

    datasets/<2 hex>/<sha256>.parquet           sent once; what is there is not sent again
    datasets/<2 hex>/<sha256>.parquet.damaged   was there, and was not what its name says
    keys/<fingerprint>.json                     the whole outcome of a step, created once
    logs/<run>/<step>.<attempt>.<lease>.log     what an attempt has written

Whoever shares the bucket shares what was done. A dataset is in the bucket before a key names it or
a report does; what is fetched is hashed on its way, and a file of the cache is one that was made
here or had the right hash.
"""

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from adapters.datasets.artifacts import FileArtifacts, is_as_made
from adapters.disk import io_translated
from commands.steps.ports import Artifacts, Kept, StepBroken, Written, broken
from domain.data.dataset import DatasetVersion

if TYPE_CHECKING:
    from adapters.datasets.bucket import Bucket

_LOGS = "logs"

_keeps_max = 16
"""How often an outcome is tried to be kept while others change what is under its key."""

_AGAIN = "run the step that makes it again: headwater retry RUN --from STEP"


class CachedArtifacts(Artifacts):
    """The artifact store in a bucket."""

    def __init__(self, cache: FileArtifacts, bucket: "Bucket") -> None:
        self._cache = cache
        self._bucket = bucket

    def path_of(self, version: DatasetVersion) -> str:
        with suppress(StepBroken):
            return self._cache.path_of(version)
        self._fetch(version)
        return self._cache.path_of(version)

    def lend(self, version: DatasetVersion) -> str:
        self.path_of(version)
        return self._cache.lend(version)

    def reclaim(self) -> None:
        self._cache.reclaim()

    def scratch(self) -> str:
        return self._cache.scratch()

    def admit(self, scratch: str) -> Written:
        written = self._cache.admit(scratch)
        self._send(written.fingerprint, written.bytes)
        return written

    def discard(self, scratch: str) -> None:
        self._cache.discard(scratch)

    def find(self, key: str, of: UUID | None = None) -> Kept | None:
        found = self._bucket.read(key_name(key))
        kept = self._whole(found.content) if found else None
        return kept if kept is None or of in (None, kept.run) else None

    def keep(self, key: str, kept: Kept, *, anew: bool = False) -> Kept:
        name, content = key_name(key), msgspec.json.encode(kept)
        for _ in range(_keeps_max):
            if self._bucket.create(name, content):
                return kept
            if (found := self._bucket.read(name)) is None:
                continue
            first = self._whole(found.content)
            is_mine = first and (first.run, first.step) == (kept.run, kept.step)
            if first and (is_mine or not anew):
                return first
            if self._bucket.replace(name, content, "" if first else found.tag):
                return kept
        raise broken(
            "io_error",
            "others change the outcome under the same key all the time",
            where=name,
            retryable=True,
        )

    def has(self, version: DatasetVersion) -> bool:
        """Whether a dataset version is in the bucket, or here and therefore there again."""
        if self._bucket.size(dataset_name(version.fingerprint)) == version.bytes:
            return True
        if not is_as_made(self._cache.place(version.fingerprint), version, version.bytes):
            return False
        self._send(version.fingerprint, version.bytes)
        return True

    def _whole(self, content: bytes) -> Kept | None:
        """An outcome whose data is there."""
        try:
            kept = msgspec.json.decode(content, type=Kept)
        except msgspec.DecodeError:
            return None
        return kept if all(map(self.has, kept.outcome.made)) else None

    def _send(self, fingerprint: str, size: int) -> None:
        name = dataset_name(fingerprint)
        if self._bucket.size(name) != size:
            self._bucket.send(name, self._cache.place(fingerprint))

    def _fetch(self, version: DatasetVersion) -> None:
        """Bring a dataset version here. Raises `StepBroken`, with code `dataset_missing` where the
        bucket has none, or another content under its name: that is named as damaged, so that the
        right one can be sent again."""
        name = dataset_name(version.fingerprint)
        size = self._bucket.size(name)
        if size is None:
            raise broken(
                "dataset_missing",
                f"the data of {version.dataset} is neither here nor in {self._bucket.url}",
                where=name,
                hint=_AGAIN,
            )
        if size == version.bytes and self._is_taken(name, version):
            return
        with suppress(StepBroken):  # who may only read cannot
            self._bucket.rename(name, f"{name}.damaged")
        raise broken(
            "dataset_missing",
            f"the data of {version.dataset} was altered in {self._bucket.url}: its SHA-256 is not "
            "that of its name",
            where=name,
            hint=_AGAIN,
        )

    def _is_taken(self, name: str, version: DatasetVersion) -> bool:
        """Whether an object had the right hash, and is in the cache now."""
        scratch = self._cache.scratch()
        try:
            if self._copied(name, version.bytes, scratch) != version.fingerprint:
                return False
            self._cache.hold(scratch, version.fingerprint, version.bytes)
        finally:
            self._cache.discard(scratch)
        return True

    def _copied(self, name: str, size: int, target: str) -> str:
        """Write an object to a new file, and return its hash."""
        digest = hashlib.sha256()
        with io_translated(target), open(target, "xb") as file:
            for part in self._bucket.parts(name, size):
                digest.update(part)
                file.write(part)
        return digest.hexdigest()


def dataset_name(fingerprint: str) -> str:
    """The object of a dataset."""
    return f"datasets/{fingerprint[:2]}/{fingerprint}.parquet"


def key_name(key: str) -> str:
    """The object of an outcome."""
    return f"keys/{key}.json"


def send_log(bucket: str, log: Path, name: str) -> None:
    """Put what an attempt has written into the bucket, if there is one and it can be done: the
    attempt is as good without, and the machine that made it keeps its own."""
    if not bucket:
        return
    from adapters.datasets.bucket import Bucket  # most have none

    with suppress(StepBroken):
        Bucket(bucket).send(f"{_LOGS}/{name}", log)


def fetch_logs(bucket: "Bucket", logs: Path, run: str) -> None:
    """Bring logs of a run from the bucket that are not in `logs`. Raises `StepBroken`."""
    for name in bucket.names(f"{_LOGS}/{run}"):
        path = logs / run / name.rpartition("/")[2]
        if not path.exists() and (found := bucket.read(name)):
            with io_translated(str(path)):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(found.content)


def open_artifacts(data: Path, scratch: Path, bucket: str) -> FileArtifacts | CachedArtifacts:
    """The artifact store of a data directory, over the `s3://…` bucket where one is named."""
    files = FileArtifacts(data / "datasets", data / "keys", scratch)
    if not bucket:
        return files
    from adapters.datasets.bucket import Bucket  # most have none

    return CachedArtifacts(files, Bucket(bucket))
