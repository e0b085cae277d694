"""`make bench`: the aims beside baselines, and with `--all` how cost grows and what peers take.

    python -m benchmarks                      the aims, in about five minutes
    python -m benchmarks growth-steps soak    parts by their names
    python -m benchmarks --all --write        everything, and docs/performance.md anew

A part that fails is told, and loses no other; each is kept as soon as it is measured.
"""

import argparse
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from benchmarks import bounds, growth, ledger, page, peers, soak, targets
from benchmarks.report import Part, table

AIMS = ("start", "sqlite", "postgres", "rebuild", "bulk")


def parts(options: argparse.Namespace) -> Mapping[str, Callable[[Path], Part]]:
    """What can be measured, by name."""
    return {
        "start": targets.start,
        "sqlite": targets.sqlite,
        "postgres": targets.postgres,
        "rebuild": partial(targets.rebuild, events=options.events),
        "bulk": partial(targets.bulk, rows=options.rows),
        "growth-steps": growth.steps,
        "growth-runs": growth.stored_runs,
        "growth-events": partial(growth.events, most=options.events_most),
        "growth-workers": growth.workers,
        "beside": growth.beside,
        "soak": partial(soak.soak, minutes=options.minutes),
        "peers": peers.peers,
        "bounds": bounds.bounds,
        "ledger": partial(ledger.ledger, rows=options.rows),
    }


def _measured(name: str, measure: Callable[[Path], Part]) -> Part:
    print(f"measuring {name} …", flush=True)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix=f"headwater-{name}-") as folder:
        try:
            part = measure(Path(folder))
        except Exception as error:  # noqa: BLE001  # the other parts are measured all the same
            traceback.print_exc()
            part = Part(error=f"{type(error).__name__}: {error}")
    seconds = time.perf_counter() - start
    return replace(part, date=f"{datetime.now(UTC):%Y-%m-%d}", seconds=seconds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="*", help="what to measure; without one, the aims")
    parser.add_argument("--all", action="store_true", help="all parts")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md anew")
    parser.add_argument("--results", type=Path, default=page.RESULTS, help="where figures are kept")
    parser.add_argument("--rows", type=int, default=10_000_000, help="of the large job")
    parser.add_argument("--events", type=int, default=500_000, help="of a rebuild")
    parser.add_argument("--events-most", type=int, default=10_000_000, help="of growth-events")
    parser.add_argument("--minutes", type=float, default=10, help="of the soak")
    return parser.parse_args()


def main() -> int:
    """Measure, keep, print; 1 where a part failed."""
    options = _options()
    known = parts(options)
    names = list(known) if options.all else options.part or list(AIMS)
    if unknown := sorted(set(names) - set(known)):
        print(f"there is no part {', '.join(unknown)}; there are {', '.join(known)}")
        return 2
    results = page.load(options.results)
    for name in names:
        results.parts[name] = part = _measured(name, known[name])
        page.keep(results, options.results)
        print(table(part.figures) if part.figures else "")
    if options.write:
        page.write(results)
    failed = [name for name in names if results.parts[name].error]
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
