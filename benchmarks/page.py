"""Results as a file, and docs/performance.md made from it: no number there is typed by hand.

What stands between `<!-- figures: NAMES -->` and `<!-- end -->` is written; the rest is prose.
"""

import os
import platform
import re
import statistics
import subprocess
import sys
from pathlib import Path
from time import perf_counter

from msgspec import json

from benchmarks.plot import svg
from benchmarks.report import Machine, Part, Results, table

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs/performance/figures.json"
PAGE = ROOT / "docs/performance.md"
PLOTS = ROOT / "docs/performance"

_BLOCK = re.compile(r"(<!-- figures: ([a-z -]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def machine() -> Machine:
    """This one, as it is just now."""
    imports = []
    for _ in range(5):
        start = perf_counter()
        subprocess.run([sys.executable, "-c", "import duckdb, pyarrow, nats"], check=True)
        imports.append(perf_counter() - start)
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(
        cores=os.cpu_count() or 0,
        memory_gib=pages / 2**30,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        import_seconds=statistics.median(imports),
        load=os.getloadavg()[0],
    )


def load(path: Path) -> Results:
    """What was measured before, with this machine as it is now."""
    known = json.decode(path.read_bytes(), type=Results).parts if path.exists() else {}
    return Results(machine=machine(), parts=known)


def keep(results: Results, path: Path) -> None:
    """Write results, to go on with them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(json.format(json.encode(results)) + b"\n")


def write(results: Results) -> None:
    """Write the page's figures and its plots."""
    PAGE.write_text(filled(PAGE.read_text(), results))
    PLOTS.mkdir(exist_ok=True)
    for part in results.parts.values():
        for plot in part.plots:
            (PLOTS / f"{plot.name}.svg").write_text(svg(plot))


def filled(text: str, results: Results) -> str:
    """A page with its blocks written anew."""

    def block(found: "re.Match[str]") -> str:
        names = found[2].split()
        told = [_machine(results)] if names == ["machine"] else [_told(n, results) for n in names]
        return f"{found[1]}\n" + "\n\n".join(told) + f"\n\n{found[3]}"

    return _BLOCK.sub(block, text)


def _machine(results: Results) -> str:
    known = results.machine
    dates = sorted(part.date for part in results.parts.values())
    if not dates:
        return "Nothing is measured yet."
    return (
        f"Measured {' to '.join(dict.fromkeys((dates[0], dates[-1])))} on {known.cores} cores, "
        f"{known.memory_gib:.0f} GiB, {known.system}, Python {known.python}. There a Python "
        f"imports duckdb, pyarrow and nats in {known.import_seconds:.2f} s; the load was "
        f"{known.load:.1f} before."
    )


def _told(name: str, results: Results) -> str:
    part = results.parts.get(name, Part(error="not measured yet"))
    told = [f"`{name}` on {part.date}, in {part.seconds:.0f} s:"] if part.date else []
    if part.figures:
        told.append(table(part.figures))
    told += [f"![{plot.title}](performance/{plot.name}.svg)" for plot in part.plots]
    if part.error:
        told.append(f"`{name}`: {part.error}")
    return "\n\n".join(told)
