"""All that is kept in the data directory, and dropping some of it.

A dataset is dropped together with the keys that lead to it. It is first renamed, so that whoever
looks for it from then on makes it anew; whoever had found it before has left a newer time on it or
on its key, is seen by that, and gets it back.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import msgspec
from msgspec import Struct

from commands.steps.ports import Kept
from domain.data.retention import Holding

_DROPPED = ".dropped"
_PARQUET = ".parquet"


class Maker(Struct, frozen=True, kw_only=True):
    """Whose outcome a dataset is."""

    key: str
    run: UUID
    step: str
    dataset: str
    has_other_quarantine: bool = False
    """Whether it names a quarantine besides, which must be known as one as long as it is there."""


class Shelved(Struct, frozen=True, kw_only=True):
    """A dataset with the outcomes that name it."""

    holding: Holding
    makers: tuple[Maker, ...] = ()
    beside: frozenset[str] = frozenset()
    """Fingerprints of all that the same outcomes name."""


class Shelf:
    """The datasets and keys of one data directory."""

    def __init__(self, datasets: Path, keys: Path) -> None:
        self._datasets = datasets
        self._keys = keys

    def bytes(self) -> int:
        """Size of all datasets."""
        return sum(entry.stat().st_size for entry in self._files())

    def all(self) -> list[Shelved]:
        """Every dataset that is there."""
        makers: dict[str, list[Maker]] = {}
        quarantines: set[str] = set()
        used: dict[str, float] = {}
        beside: dict[str, set[str]] = {}
        for key, kept, time in self._outcomes():
            apart, patched = kept.outcome.quarantine, kept.outcome.patched
            versions = (*kept.outcome.made, *((patched,) if patched else ()))
            for version in versions:
                maker = Maker(
                    key=key,
                    run=kept.run,
                    step=kept.step,
                    dataset=version.dataset,
                    has_other_quarantine=apart is not None and apart != version,
                )
                makers.setdefault(version.fingerprint, []).append(maker)
                used[version.fingerprint] = max(used.get(version.fingerprint, 0), time)
                beside.setdefault(version.fingerprint, set()).update(
                    one.fingerprint for one in versions
                )
            if apart is not None:
                # Its rows are put back into what they were put back into before.
                quarantines.update(one.fingerprint for one in (apart, patched) if one)
        return [
            Shelved(
                holding=Holding(
                    fingerprint=name,
                    bytes=entry.stat().st_size,
                    used=max(_used(entry.stat()), used.get(name, 0)),
                    is_quarantine=name in quarantines,
                ),
                makers=tuple(makers.get(name, ())),
                beside=frozenset(beside.get(name, ())),
            )
            for entry in self._files()
            for name in (entry.name.removesuffix(_PARQUET),)
        ]

    def drop(self, items: Iterable[Shelved]) -> list[Shelved]:
        """Drop these, and return those that are gone: one that was used meanwhile stays."""
        return [one for one in items if self._drop(one)]

    def _drop(self, one: Shelved) -> bool:
        name = one.holding.fingerprint
        place = self._datasets / name[:2] / f"{name}{_PARQUET}"
        aside = place.with_name(f".{place.name}{_DROPPED}")
        keys = [self._keys / f"{maker.key}.json" for maker in one.makers]
        try:
            os.rename(place, aside)
        except FileNotFoundError:
            return False
        with suppress(FileNotFoundError):  # another collector has dropped it
            if max([_used(os.stat(aside)), *map(_time, keys)]) > one.holding.used:
                os.rename(aside, place)
                return False
        for maker, path in zip(one.makers, keys, strict=True):
            if not maker.has_other_quarantine:
                path.unlink(missing_ok=True)
        aside.unlink(missing_ok=True)
        return True

    def _files(self) -> Iterator["os.DirEntry[str]"]:
        """Datasets. What a drop left behind that was cut short is dropped."""
        if not self._datasets.is_dir():
            return
        for folder in os.scandir(self._datasets):
            if len(folder.name) != 2 or not folder.is_dir():
                continue
            for entry in os.scandir(folder):
                if entry.name.endswith(_DROPPED):
                    Path(entry.path).unlink(missing_ok=True)
                elif entry.name.endswith(_PARQUET):
                    yield entry

    def _outcomes(self) -> Iterator[tuple[str, Kept, float]]:
        if not self._keys.is_dir():
            return
        for entry in os.scandir(self._keys):
            if entry.name.endswith(".json") and not entry.name.startswith("."):
                with suppress(OSError, msgspec.DecodeError):
                    kept = msgspec.json.decode(Path(entry.path).read_bytes(), type=Kept)
                    yield entry.name.removesuffix(".json"), kept, entry.stat().st_mtime


def _used(found: os.stat_result) -> float:
    """When a dataset was used last, or made."""
    return max(found.st_atime, found.st_mtime)


def _time(path: Path) -> float:
    """When a key was."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
