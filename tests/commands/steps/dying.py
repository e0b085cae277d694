"""A step process that dies by kill -9 at one moment: `python -m tests.commands.steps.dying`."""

import os
import signal
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from commands.steps.ports import Kept
from tests.commands.steps.bench import Bench, Walk


def main() -> None:
    """Do every step, and die in the last one: behind `keep`, or before it, as is asked for."""
    folder, run, spec, moment = sys.argv[1:]
    bench = Bench(Path(folder))
    walk = Walk(bench, msgspec.json.decode(spec))
    walk.run = UUID(run)
    *before, last = [step.id for step in walk.spec.steps]
    for id_ in before:
        walk.outcome(id_)
    keep = bench.artifacts.keep

    def kept_and_dead(key: str, kept: Kept, **options: Any) -> Kept:
        if moment == "behind":
            keep(key, kept, **options)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    object.__setattr__(bench.artifacts, "keep", kept_and_dead)
    walk.step(last)


if __name__ == "__main__":
    main()
