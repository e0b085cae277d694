"""Dagster: jobs of ops in this process, with an instance that keeps its history.

One run at a time: `execute_in_process` in several threads waits for itself.
"""

import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ["DAGSTER_HOME"] = str(Path.cwd())
Path("dagster.yaml").write_text("telemetry: {enabled: false}\n")

from dagster import DagsterInstance, In, Out, graph, op  # noqa: E402  # reads DAGSTER_HOME

from benchmarks.peer.timing import tell  # noqa: E402  # with it


def _first() -> int:
    return 1


def _noop(value: int) -> int:
    return value


def main() -> None:
    """Print the figures."""
    first = op(out=Out(int))(_first)
    noop = op(ins={"value": In(int)}, out=Out(int))(_noop)

    def chain() -> None:
        value: Any = first()
        for number in range(4):
            value = noop.alias(f"s{number}")(value)

    def wide() -> None:
        value: Any = first()
        for number in range(199):
            noop.alias(f"s{number}")(value)

    small, large = graph()(chain).to_job(), graph()(wide).to_job()
    with DagsterInstance.get() as instance:

        def run(job: Any) -> None:
            assert job.execute_in_process(instance=instance).success

        tell(
            f"Dagster {version('dagster')}, one run at a time",
            lambda: run(small),
            lambda: run(large),
            times=10,
            callers=1,
        )


if __name__ == "__main__":
    main()
