"""How figures are taken and printed: medians of several runs, beside a baseline."""

import statistics
from collections.abc import Callable, Sequence
from time import perf_counter

from msgspec import Struct


class Figure(Struct, frozen=True, kw_only=True):
    """One line of the report."""

    what: str
    value: float
    unit: str
    reach: str
    """What is to be reached, in words."""
    baseline: str = ""
    """What it is compared with, and that figure from the same run."""
    method: str = ""


def median_seconds(run: Callable[[], object], times: int) -> float:
    """Median wall seconds of `times` calls."""
    taken = []
    for _ in range(times):
        start = perf_counter()
        run()
        taken.append(perf_counter() - start)
    return statistics.median(taken)


def table(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table."""
    lines = [
        "| what | measured | to reach | baseline in the same run | method |",
        "|---|---|---|---|---|",
    ]
    for figure in figures:
        value = f"{figure.value:,.0f}" if figure.value >= 100 else f"{figure.value:.3g}"
        lines.append(
            f"| {figure.what} | {value} {figure.unit} | {figure.reach} "
            f"| {figure.baseline} | {figure.method} |"
        )
    return "\n".join(lines)
