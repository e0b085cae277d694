"""Keeping datasets within their bounds: what is needed comes from the views, the rest by age."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from anyio import to_thread
from msgspec import Struct
from msgspec.structs import replace

from adapters.datasets.shelf import Shelf, Shelved
from domain.data.retention import Bounds, given_up
from runtime.datadir import DataDir
from runtime.session import Document

Ask = Callable[[str, dict[str, Any]], Awaitable[Document]]
"""A query's name and arguments → its answer."""

used_seconds_min = 600.0
"""What was used less long ago stays while others work here: a run may just have found it."""

_runs_back_max = 100
"""Runs in a row, each made from the one before, that are looked at for what the last puts back."""


class Sweep(Struct, frozen=True, kw_only=True):
    """How to collect."""

    bytes_max: int
    rest_seconds: float = 0.0
    """What was used less long ago stays."""
    dry_run: bool = False


async def collect(ask: Ask | None, directory: DataDir, sweep: Sweep) -> Document:
    """Drop what is beyond `bytes_max`; with `dry_run`, tell what would go. Nobody is asked what is
    needed where all of it can be fetched again from a bucket.

    `{"dry_run", "bytes_max", "bytes_before", "bytes_after", "items"}`, each item with what is lost
    with it: the steps of runs whose results cannot be reused or taken over any more.
    """
    shelf = Shelf(directory.datasets, directory.keys)
    bounds = Bounds(
        bytes_max=sweep.bytes_max,
        needed=await _needed(ask) if ask else frozenset(),
        used_before=time.time() - sweep.rest_seconds if sweep.rest_seconds else float("inf"),
    )
    before, items = await to_thread.run_sync(_sweep, shelf, bounds, sweep.dry_run)
    return {
        "dry_run": sweep.dry_run,
        "bytes_max": sweep.bytes_max,
        "bytes_before": before,
        "bytes_after": before - sum(one.holding.bytes for one in items),
        "items": [_told(one) for one in items],
    }


async def is_beyond(directory: DataDir, bytes_max: int) -> bool:
    """Whether there is anything to collect; quicker than looking at it."""
    shelf = Shelf(directory.datasets, directory.keys)
    return await to_thread.run_sync(shelf.bytes) > bytes_max


def _sweep(shelf: Shelf, bounds: Bounds, dry_run: bool) -> tuple[int, list[Shelved]]:
    there = {one.holding.fingerprint: one for one in shelf.all()}
    needed = {name for name, one in there.items() if one.beside & bounds.needed}
    bounds = replace(bounds, needed=bounds.needed | needed)
    goes = given_up([one.holding for one in there.values()], bounds)
    items = [there[one.fingerprint] for one in goes]
    before = sum(one.holding.bytes for one in there.values())
    return before, items if dry_run else shelf.drop(items)


async def _needed(ask: Ask) -> frozenset[str]:
    """What open runs have made or taken over, or put back."""
    found: set[str] = set()
    cursor: str | None = None
    while True:
        asked = {"status": "running", "limit": 100, **({"cursor": cursor} if cursor else {})}
        page = await ask("monitoring.runs", asked)
        for item in page["items"]:
            found |= await _known(ask, item)
        cursor = page["next"]
        if cursor is None:
            return frozenset(found)


async def _known(ask: Ask, run: Document) -> set[str]:
    """Fingerprints of what a run has made, and the runs that it is made from: what it puts back
    lies with one of these."""
    found = await _outputs(ask, run)
    for _ in range(_runs_back_max):
        if not run["retry_of"]:
            break
        run = await ask("monitoring.run", {"run": str(run["retry_of"])})
        found |= await _outputs(ask, run)
    return found


async def _outputs(ask: Ask, run: Document) -> set[str]:
    """Fingerprints of what the steps of a run have made."""
    found: set[str] = set()
    cursor: str | None = None
    while True:
        asked = {"run": str(run["run"]), **({"cursor": cursor} if cursor else {})}
        page = await ask("monitoring.run", asked)
        for step in page["steps"]:
            versions = (step["output"], step.get("quarantine"))
            found |= {version["fingerprint"] for version in versions if version}
        cursor = page["steps_next"]
        if cursor is None:
            return found


def _told(one: Shelved) -> Document:
    holding = one.holding
    lost = {(str(maker.run), maker.step): maker.dataset for maker in one.makers}
    return {
        "fingerprint": holding.fingerprint,
        "bytes": holding.bytes,
        "used_at": datetime.fromtimestamp(holding.used, UTC).isoformat(timespec="seconds"),
        "quarantine": holding.is_quarantine,
        "lost": [
            {"run": run, "step": step, "dataset": dataset}
            for (run, step), dataset in sorted(lost.items())
        ],
    }
