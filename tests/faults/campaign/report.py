"""Results of sessions, line by line, and the page that is made from them."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from tests.faults.campaign.room import Counted

BEGIN, END = "<!-- results -->", "<!-- /results -->"


COLUMNS = (
    "sessions",
    "strikes",
    "acknowledged",
    "sent again",
    "events",
    "runs",
    "given up",
    "answer",
    "run",
    "failed",
)


class Result(Struct, kw_only=True):
    """One session: a fault, a seed, and what it came to."""

    fault: str
    seed: int
    commit: str
    seconds: float
    counted: Counted
    failure: str = ""

    def summary(self) -> str:
        """In one line."""
        if self.failure:
            return f"FAILED after {self.seconds} s: {self.failure}"
        if self.counted.skipped:
            return f"skipped: {self.counted.skipped}"
        counts = ", ".join(f"{number} {name}" for name, number in self.counted.counts.items())
        return f"{self.counted.strikes} strikes in {self.seconds} s; {counts}"


def read(path: Path) -> list[Result]:
    """Every result in a file of JSON lines; none where there is no file."""
    if not path.exists():
        return []
    decoder = msgspec.json.Decoder(Result)
    return [decoder.decode(line) for line in path.read_bytes().splitlines() if line]


def table(results: Sequence[Result]) -> str:
    """A row for each fault."""
    faults: dict[str, list[Result]] = defaultdict(list)
    for one in results:
        faults[one.fault].append(one)
    lines = [
        f"| fault | {' | '.join(COLUMNS)} |",
        f"|---|{'--:|' * len(COLUMNS)}",
    ]
    for fault in sorted(faults):
        lines.append(_row(fault, faults[fault]))
    commits = ", ".join(sorted({one.commit for one in results}))
    seconds = sum(one.seconds for one in results)
    lines += ["", f"{len(results)} sessions in {seconds / 60:.0f} minutes, at {commits}."]
    failures = [one for one in results if one.failure]
    lines += ["", "Sessions that failed:", ""] if failures else []
    lines += [f"- {one.fault}, seed {one.seed}: `{_short(one.failure)}`" for one in failures]
    return "\n".join(lines)


def write(page: Path, results: Sequence[Result]) -> None:
    """Put the table in its place in the page."""
    head, _, rest = page.read_text().partition(BEGIN)
    _, _, tail = rest.partition(END)
    page.write_text(f"{head}{BEGIN}\n{table(results)}\n{END}{tail}")


def _row(fault: str, results: Sequence[Result]) -> str:
    tried = [one for one in results if not one.counted.skipped]
    strikes = sum(one.counted.strikes for one in tried)

    def total(name: str) -> int:
        return sum(one.counted.counts.get(name, 0) for one in tried)

    slowest = max((one.counted.slowest for one in tried), default=0.0)
    slowest_run = max((one.counted.slowest_run for one in tried), default=0.0)
    cells = [
        fault,
        f"{len(tried):,}",
        f"{strikes:,}",
        f"{total('acknowledged'):,}",
        f"{total('resent'):,}",
        f"{total('events'):,}",
        f"{total('runs'):,}",
        f"{total('given_up'):,}",
        f"{slowest:.1f} s" if slowest else "–",
        f"{slowest_run:.1f} s" if slowest_run else "–",
        f"{sum(one.failure != '' for one in tried)}",
    ]
    return f"| {' | '.join(cells)} |"


def _short(text: str) -> str:
    return text.replace("`", "'").replace("\n", " ")[:200]
