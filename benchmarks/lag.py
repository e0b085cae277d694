"""How long after its commit an event is in a view: `python -m benchmarks.lag FOLDER SECONDS`.

Looks at both files from outside, as any other program could, about once a millisecond.
"""

import sqlite3
import statistics
import sys
import time
from collections import deque
from pathlib import Path

import msgspec
from msgspec import Struct

VIEW = "monitoring"
look_seconds = 0.0005


class Lag(Struct, frozen=True):
    """Seconds from a commit that was seen to the view that was seen to have it."""

    p50: float
    p99: float
    commits: int


def watch(folder: Path, seconds: float) -> Lag:
    """Watch a service's files for a while. Raises `RuntimeError` where nothing happens."""
    events = sqlite3.connect(folder / "events.db", isolation_level=None)
    views = sqlite3.connect(folder / "views.db", isolation_level=None)
    waiting: deque[tuple[int, float]] = deque()
    lags: list[float] = []
    known, end = 0, time.perf_counter() + seconds
    while (now := time.perf_counter()) < end:
        # The view first: what is seen there was stored before the look at the store.
        seen = _number(views, "SELECT position FROM view_checkpoints WHERE view = ?", VIEW)
        while waiting and waiting[0][0] <= seen:
            lags.append(now - waiting.popleft()[1])
        head = _number(events, "SELECT max(rowid) FROM stored_events")
        if head > known:
            known = head
            waiting.append((head, now))
        time.sleep(look_seconds)
    if len(lags) < 2:
        raise RuntimeError("no events came into the view")
    return Lag(statistics.median(lags), statistics.quantiles(lags, n=100)[98], len(lags))


def _number(connection: sqlite3.Connection, query: str, *arguments: str) -> int:
    row = connection.execute(query, arguments).fetchone()
    return int(row[0] or 0) if row else 0


if __name__ == "__main__":
    found = watch(Path(sys.argv[1]), float(sys.argv[2]))
    print(msgspec.json.encode(found).decode())
