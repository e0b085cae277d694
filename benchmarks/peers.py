"""What others take for the same: each in an environment of its own, with its state kept.

The environments are made with pip in `~/.cache/headwater-peers` (or `HEADWATER_PEERS`), once. Each
peer runs a small program of `benchmarks/peer`, which prints its figures as JSON.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from benchmarks import noop
from benchmarks.page import ROOT
from benchmarks.report import Figure, Part, median_seconds
from benchmarks.service import environment, make_project, service
from benchmarks.targets import free_port, rate_seconds
from tests.postgres import PASSWORD, postgres_server

PEERS = {
    "DBOS, SQLite": ("dbos", ("dbos>=2,<4",)),
    "DBOS, PostgreSQL": ("dbos", ("dbos>=2,<4",)),
    "Dagster, in process": ("dagster", ("dagster>=1.11,<2",)),
    "Prefect, its own server": ("prefect", ("prefect>=3.4,<4",)),
    "Luigi (keeps no history)": ("luigi", ("luigi>=3.6,<4",)),
}

install_seconds_max = 900
measure_seconds_max = 600


def _environment_of(program: str, packages: tuple[str, ...]) -> Path:
    """Its Python; made where it is missing. Raises `CalledProcessError` where pip cannot."""
    cache = Path(os.environ.get("HEADWATER_PEERS", Path.home() / ".cache/headwater-peers"))
    place = cache / program
    if not (place / "ready").exists():
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        subprocess.run(
            [str(place / "bin/python"), "-m", "pip", "install", "--quiet", *packages],
            check=True,
            timeout=install_seconds_max,
        )
        (place / "ready").touch()
    return place / "bin/python"


def _run(python: Path, program: str, *words: str, **more: str) -> str:
    """What a peer's program prints, run in an empty folder."""
    with tempfile.TemporaryDirectory(prefix=f"peer-{program}-") as folder:
        done = subprocess.run(
            [str(python), "-m", f"benchmarks.peer.{program}_runs", *words],
            cwd=folder,
            env={**environment(), "PYTHONPATH": str(ROOT), **more},
            check=True,
            capture_output=True,
            text=True,
            timeout=measure_seconds_max,
        )
    return done.stdout.splitlines()[-1]


def _figures(name: str, found: Mapping[str, Any], cold: float) -> list[Figure]:
    version = found["version"]
    units = {
        "chain_ms": ("5-step no-op run, p50", "ms"),
        "wide_s": ("200 independent no-op steps", "s"),
        "rate": ("runs of 5 steps a second, at once", "/s"),
        "pss_mib": ("idle memory of all processes (PSS)", "MiB"),
    }
    told = [
        Figure(what=f"{name}: {what}", value=found[key], unit=unit, method=version)
        for key, (what, unit) in units.items()
        if key in found
    ]
    start = Figure(
        what=f"{name}: nothing running → first run done",
        value=cold,
        unit="s",
        method=f"{version}; whole process, median of 3",
    )
    return [*told, start]


def _measure(name: str, program: str, packages: tuple[str, ...]) -> list[Figure]:
    python = _environment_of(program, packages)
    if "PostgreSQL" not in name:
        found = json.loads(_run(python, program))
        cold = median_seconds(lambda: _run(python, program, "once"), 3)
        return _figures(name, found, cold)
    with postgres_server(free_port()) as server:
        more = {"PGPASSWORD": PASSWORD, "PEER_DATABASE": server.url(server.database())}
        found = json.loads(_run(python, program, **more))
        cold = median_seconds(lambda: _run(python, program, "once", **more), 3)
        return _figures(name, found, cold)


def _ours(folder: Path) -> list[Figure]:
    """Headwater itself a moment before, since the speed of a machine drifts."""
    make_project(folder)
    with service(folder):
        figures = asyncio.run(noop.figures(folder, "SQLite", rate_seconds))
    shutil.rmtree(folder / ".headwater")
    with postgres_server(free_port()) as server:
        url = server.url(server.database())
        with service(folder, "--store", url, HEADWATER_STORE_PASSWORD=PASSWORD):
            figures += asyncio.run(noop.figures(folder, "PostgreSQL", rate_seconds))
    return [replace(one, what=f"Headwater: {one.what}", reach="") for one in figures]


def peers(folder: Path) -> Part:
    """Every peer behind Headwater; one that cannot be installed or run is told."""
    figures = _ours(folder)
    missing: list[str] = []
    for name, (program, packages) in PEERS.items():
        print(f"  {name} …", flush=True)
        try:
            figures += _measure(name, program, packages)
        except (subprocess.SubprocessError, OSError, ValueError, IndexError, KeyError) as error:
            said = getattr(error, "stderr", "") or str(error)
            missing.append(f"{name}: {str(said).strip().splitlines()[-1][:200]}")
    return Part(figures=figures, error="; ".join(missing))
