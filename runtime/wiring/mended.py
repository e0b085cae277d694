"""A file of mended rows, held against the quarantine before a run begins with it."""

from pathlib import Path
from tempfile import TemporaryDirectory

from adapters.datasets.mendedfile import read_mended
from adapters.engines.duckdb import DuckEngines
from commands.steps.mending import Mending, hold
from commands.steps.ports import StepBroken
from domain.errors import Malformed


def hold_mended(path: str, quarantine: Path) -> None:
    """Raise `Malformed` where the file cannot be read, or has columns or rows that are none of the
    quarantine's. Whether its values fit is for the step to say."""
    with TemporaryDirectory(prefix="headwater-mended-") as folder:
        engines = DuckEngines(folder, 1)
        try:
            file = str(Path(folder, "mended.parquet"))
            read = read_mended(path, file)
            with engines.share() as engine:
                hold(engine, Mending(quarantine=str(quarantine), file=file, read=read), read)
        except StepBroken as broken:
            error = broken.error
            raise Malformed(f"{error.where}: {error.message}", hint=error.hint) from broken
        finally:
            engines.close()
