"""`make bench`: every figure beside a plain baseline of the same run."""

import argparse
import asyncio
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import commands, refold
from benchmarks.bulk import PIPELINE, make_source, plain_script
from benchmarks.memory import idle_memory
from benchmarks.report import Figure, median_seconds, table
from benchmarks.service import (
    HEADWATER,
    client,
    command,
    environment,
    make_project,
    noop_pipeline,
    run_once,
    service,
)

FLIGHTS = Path(__file__).parent.parent / "examples/flights/data/flights.csv.gz"


async def _runs(folder: Path) -> list[Figure]:
    chain, wide = noop_pipeline(4, chain=True), noop_pipeline(199, chain=False)
    files = {"steps.py": (folder / "steps.py").read_text()}
    async with client(folder) as connection:
        for spec in (chain, wide):
            await command(
                connection,
                "pipeline.register",
                {"spec": spec, "files": files, "root": str(folder)},
            )
        for _ in range(3):
            await run_once(connection, chain["pipeline"])
        small = [await run_once(connection, chain["pipeline"]) for _ in range(30)]
        large = [await run_once(connection, wide["pipeline"]) for _ in range(3)]
    return [
        Figure(
            what="5-step no-op run, p50",
            value=statistics.median(small) * 1000,
            unit="ms",
            reach="≤ 10 ms",
            method="30 runs one after another, command to run.completed on the bus",
        ),
        Figure(
            what="200 no-op steps, 199 of them independent",
            value=statistics.median(large),
            unit="s",
            reach="≤ 0.4 s",
            method="median of 3",
        ),
    ]


def _cold_start(folder: Path) -> Figure:
    def once() -> None:
        shutil.rmtree(folder / ".headwater", ignore_errors=True)
        subprocess.run(
            [HEADWATER, "run", "noop_chain_4.json", "--no-cache", "--quiet"],
            cwd=folder,
            env=environment(),
            check=True,
            capture_output=True,
        )

    once()
    bare = median_seconds(
        lambda: subprocess.run(
            [sys.executable, "-c", "import duckdb, pyarrow, nats"], env=environment(), check=True
        ),
        5,
    )
    return Figure(
        what="nothing running → first run done",
        value=median_seconds(once, 5),
        unit="s",
        reach="≤ 1.0 s",
        baseline=f"a Python that imports duckdb, pyarrow and nats: {bare:.2f} s",
        method="whole process, empty data directory, median of 5",
    )


def _bulk(folder: Path, rows: int) -> Figure:
    source = make_source(folder, FLIGHTS, rows)
    (folder / "bulk.yaml").write_text(PIPELINE.format(name=source.name))

    def ours() -> None:
        shutil.rmtree(folder / ".headwater", ignore_errors=True)
        subprocess.run(
            [HEADWATER, "run", "bulk.yaml", "--quiet"],
            cwd=folder,
            env=environment(),
            check=True,
            capture_output=True,
        )

    def plain() -> None:
        plain_script(source, folder / "plain.parquet")

    taken, script = [], []
    for _ in range(3):
        taken.append(median_seconds(ours, 1))
        script.append(median_seconds(plain, 1))
    ratio = statistics.median(a / b for a, b in zip(taken, script, strict=True))
    return Figure(
        what=f"{rows:,} rows, five steps",
        value=statistics.median(taken),
        unit="s",
        reach="≤ 0.8× the script",
        baseline=f"plain DuckDB script {statistics.median(script):.1f} s: {ratio:.2f}×",
        method="in turn, median of 3; service start and every sync included",
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--events", type=int, default=500_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_project(folder)
        figures = [_cold_start(folder)]
        with service(folder) as pid:
            figures.append(idle_memory(pid))
            figures += asyncio.run(_runs(folder))
            asyncio.run(commands.register(folder))
            figures += commands.all_figures(folder)
        figures += refold.all_figures(folder, options.events)
        figures.append(_bulk(folder, options.rows))
    print(table(figures))


if __name__ == "__main__":
    main()
