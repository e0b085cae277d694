"""The aims of the design, each measured beside a plain baseline."""

import asyncio
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from benchmarks import commands, noop, raw, refold
from benchmarks.bulk import PIPELINE, kept_script, make_source, plain_script
from benchmarks.memory import idle_memory, peak_memory
from benchmarks.report import Figure, Part, median_seconds, number
from benchmarks.service import HEADWATER, environment, make_project, service
from tests.postgres import PASSWORD, postgres_server

FLIGHTS = Path(__file__).parent.parent / "examples/flights/data/flights.csv.gz"

rate_seconds = 5.0


def _done(folder: Path, *words: str | Path) -> None:
    subprocess.run(words, cwd=folder, env=environment(), check=True, capture_output=True)


def _beside(figure: Figure, name: str, value: float) -> Figure:
    """The figure with its baseline, in the same unit."""
    told = f"{name}: {number(value)} {figure.unit}"
    return replace(figure, baseline=told, ratio=figure.value / value)


def start(folder: Path) -> Part:
    """Processes that begin with nothing."""
    make_project(folder)

    def first_run() -> None:
        shutil.rmtree(folder / ".headwater", ignore_errors=True)
        _done(folder, HEADWATER, "run", "noop_chain_4.json", "--no-cache", "--quiet")

    first_run()
    imports = median_seconds(
        lambda: _done(folder, sys.executable, "-c", "import duckdb, pyarrow, nats"), 5
    )
    bare = median_seconds(lambda: _done(folder, sys.executable, "-c", "pass"), 11)
    run = Figure(
        what="nothing running → first run done",
        value=median_seconds(first_run, 5),
        unit="s",
        reach="≤ 1.0 s",
        method="whole process, empty data directory, median of 5",
    )
    told = Figure(
        what="`headwater --help`",
        value=median_seconds(lambda: _done(folder, HEADWATER, "--help"), 11) * 1000,
        unit="ms",
        reach="≤ 150 ms",
        method="whole process, median of 11",
    )
    return Part(
        figures=[
            _beside(run, "a Python that imports duckdb, pyarrow and nats", imports),
            _beside(told, "a Python that does nothing", bare * 1000),
        ]
    )


def sqlite(folder: Path) -> Part:
    """A service as it comes."""
    make_project(folder)
    with service(folder) as pid:
        memory = idle_memory(pid)
        small, wide, rate = asyncio.run(noop.figures(folder, "SQLite", rate_seconds))
        asyncio.run(commands.register(folder))
        load = commands.all_figures(folder)
    one = raw.sqlite_commits(folder, 1)
    grouped = raw.sqlite_commits(folder, raw.group_rows, 200_000)
    return Part(
        figures=[
            _beside(small, "raw SQLite, 7 synced commits", 7_000 / one),
            wide,
            rate,
            memory,
            *_with_store(load, f"raw SQLite, {raw.group_rows} a commit: {grouped:,.0f}/s"),
        ]
    )


def _with_store(load: list[Figure], told: str) -> list[Figure]:
    first, *rest = load
    return [replace(first, baseline=f"{first.baseline}; {told}"), *rest]


def postgres(folder: Path) -> Part:
    """The same with its events and views in PostgreSQL."""
    make_project(folder)
    with postgres_server(free_port()) as server:
        url = server.url(server.database())
        with service(folder, "--store", url, HEADWATER_STORE_PASSWORD=PASSWORD):
            small, wide, rate = asyncio.run(noop.figures(folder, "PostgreSQL", rate_seconds))
            asyncio.run(commands.register(folder))
            load = commands.load_figure(folder, "PostgreSQL")
        plain = server.url(server.database())
        one = raw.postgres_commits(plain, PASSWORD, 1)
        grouped = raw.postgres_commits(plain, PASSWORD, raw.group_rows, 100_000)
    each = f"raw PostgreSQL through asyncpg, {raw.group_rows} a commit"
    return Part(
        figures=[
            _beside(small, "raw PostgreSQL through asyncpg, 7 commits", 7_000 / one),
            wide,
            rate,
            _beside(load, each, grouped),
        ]
    )


def free_port() -> int:
    """A port that nobody has."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def rebuild(folder: Path, events: int = 500_000) -> Part:
    """Every view from nothing."""
    return Part(figures=refold.all_figures(folder, events))


def bulk(folder: Path, rows: int = 10_000_000) -> Part:
    """Large data: seconds and memory."""
    source = make_source(folder, FLIGHTS, rows)
    (folder / "bulk.yaml").write_text(PIPELINE.format(name=source.name))
    peaks: list[float] = []

    def ours() -> None:
        shutil.rmtree(folder / ".headwater", ignore_errors=True)
        words: list[Any] = [HEADWATER, "run", "bulk.yaml", "--quiet"]
        with subprocess.Popen(words, cwd=folder, env=environment()) as process:
            peaks.append(peak_memory(process))
        if process.returncode:
            raise RuntimeError(f"the job ended with {process.returncode}")

    taken, plain, kept = [], [], []
    for _ in range(3):
        taken.append(median_seconds(ours, 1))
        plain.append(median_seconds(lambda: plain_script(source, folder / "plain.parquet"), 1))
        kept.append(median_seconds(lambda: kept_script(source, folder), 1))
    whole = Figure(
        what=f"{rows:,} rows, five steps",
        value=statistics.median(taken),
        unit="s",
        method="in turn, median of 3; service start and every sync included",
    )
    return Part(
        figures=[
            replace(
                whole,
                reach="≤ 0.8× the script",
                baseline=f"plain DuckDB script, tables in memory: {statistics.median(plain):.1f} s",
                ratio=statistics.median(a / b for a, b in zip(taken, plain, strict=True)),
            ),
            replace(
                whole,
                baseline=f"one that keeps its tables as Parquet files: "
                f"{statistics.median(kept):.1f} s",
                ratio=statistics.median(a / b for a, b in zip(taken, kept, strict=True)),
            ),
            Figure(
                what="peak memory of that job, all processes (PSS)",
                value=max(peaks),
                unit="MiB",
                reach="bounded by `memory`, 2 GiB",
                method="looked at ten times a second; the service's own processes included",
            ),
        ]
    )
