"""Files outside as sources: each kind reads in one pass, and looks twice only where that fails."""

from collections.abc import Sequence
from pathlib import Path

from adapters.datasets.csvfile import read_csv
from adapters.datasets.jsonlfile import read_jsonl
from adapters.datasets.memory import SourceMemory, identity_of
from adapters.datasets.mendedfile import read_mended
from adapters.datasets.parquetfile import read_parquet
from adapters.datasets.reading import Reading
from adapters.paths import confined
from commands.steps.ports import Engine, Engines, Mended, SourceFiles, SourceRead, Sources, broken
from domain.data.dataset import OuterDataset
from domain.errors import Malformed
from domain.pipeline.sources import CsvSource, JsonlSource, ParquetSource, Source


class FileSources(Sources):
    """Reads files below the allowed folders, with an engine that can touch nothing else."""

    def __init__(
        self, engines: Engines, root: str, roots: Sequence[str], memory: SourceMemory
    ) -> None:
        self._engines = engines
        self._root = root
        self._roots = roots
        self._memory = memory

    def known(self, path: str) -> OuterDataset | None:
        return self._memory.known(inside(path, self._root, self._roots))

    def mended(self, path: str, target: str) -> Mended:
        return read_mended(inside(path, self._root, self._roots), target)

    def read(self, name: str, source: Source, path: str, files: SourceFiles) -> SourceRead:
        reading = Reading(
            name=name,
            path=inside(path, self._root, self._roots),
            target=files.rows,
            rejects=files.rejects,
            texts=f"{files.rows}.texts",
            jumps=files.jumps,
            types=source.types,
            formats=source.formats,
            declared=bool(source.columns),
            extra=source.extra_columns,
        )
        before = identity_of(reading.path)
        try:
            with self._engines.share() as engine:
                seen = _read(reading, source, engine)
        finally:
            Path(reading.texts).unlink(missing_ok=True)
        if before is not None and before == identity_of(reading.path):
            self._memory.remember(reading.path, before, seen.source.fingerprint)
        return seen


def _read(reading: Reading, source: Source, engine: Engine) -> SourceRead:
    match source:
        case CsvSource():
            return read_csv(reading, source, engine)
        case JsonlSource():
            return read_jsonl(reading, engine)
        case ParquetSource():
            return read_parquet(reading, engine)


def inside(path: str, root: str, roots: Sequence[str]) -> str:
    """The absolute path. Raises `StepBroken` where it leads outside the allowed folders."""
    try:
        return str(confined(path, root, roots))
    except Malformed as error:
        raise broken("path_outside", error.message, where=path, hint=error.hint) from error
