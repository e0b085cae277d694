"""Luigi: tasks with a file each, in this process; it keeps no history."""

import itertools
from importlib.metadata import version
from pathlib import Path
from typing import Any

import luigi

from benchmarks.peer.timing import tell

_numbers = itertools.count()


class Noop(luigi.Task):  # type: ignore[misc]  # untyped where it is not installed
    """Writes its mark when the one before it has."""

    run_number = luigi.IntParameter()
    place = luigi.IntParameter()
    chained = luigi.BoolParameter()

    def requires(self) -> Any:
        """The one before it in a chain."""
        if self.chained and self.place:
            return Noop(run_number=self.run_number, place=self.place - 1, chained=True)
        return []

    def output(self) -> Any:
        """Its mark."""
        return luigi.LocalTarget(str(Path(f"run{self.run_number}", str(self.place))))

    def run(self) -> None:
        """Write it."""
        with self.output().open("w") as mark:
            mark.write("1")


def _build(tasks: list[Noop]) -> None:
    assert luigi.build(tasks, local_scheduler=True, log_level="ERROR")


def _chain() -> None:
    _build([Noop(run_number=next(_numbers), place=4, chained=True)])


def _wide() -> None:
    number = next(_numbers)
    _build([Noop(run_number=number, place=place, chained=False) for place in range(200)])


if __name__ == "__main__":
    tell(f"Luigi {version('luigi')}, one run at a time", _chain, _wide, times=20, callers=1)
