"""How a peer's runs are timed; the standard library only."""

import json
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def seconds(run: Callable[[], object]) -> float:
    """Of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def pss_mib(pid: str = "self") -> float:
    """Of a process and all below it."""
    place = Path(f"/proc/{pid}")
    lines = (place / "smaps_rollup").read_text().splitlines()
    own = sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    below = [
        child
        for task in (place / "task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    return own + sum(map(pss_mib, below))


def tell(
    version: str,
    chain: Callable[[], object],
    wide: Callable[[], object],
    *,
    times: int,
    callers: int = 8,
) -> None:
    """Measure and print as JSON; with `once` as argument, one chain is run and no more."""
    chain()
    if sys.argv[1:] == ["once"]:
        print("{}")
        return
    found = {
        "version": version,
        "pss_mib": pss_mib(),
        "chain_ms": statistics.median(seconds(chain) for _ in range(times)) * 1000,
        "wide_s": statistics.median(seconds(wide) for _ in range(3)),
    }
    rounds = callers * max(2, times // 4)
    if callers == 1:  # in this thread, since some want the main one
        passed = seconds(lambda: [chain() for _ in range(rounds)])
    else:
        with ThreadPoolExecutor(callers) as pool:
            passed = seconds(lambda: list(pool.map(lambda _: chain(), range(rounds))))
    print(json.dumps({**found, "rate": rounds / passed}))
