"""How figures are taken, kept and printed: medians of several runs, beside a baseline."""

import statistics
from collections.abc import Callable, Sequence
from time import perf_counter

from msgspec import Struct


class Figure(Struct, frozen=True, kw_only=True):
    """One line of the report."""

    what: str
    value: float
    unit: str
    reach: str = ""
    """What is to be reached, in words."""
    baseline: str = ""
    """What it is compared with, and that figure from the same run."""
    ratio: float | None = None
    """The value as a multiple of the baseline's."""
    method: str = ""


class Plot(Struct, frozen=True, kw_only=True):
    """How something grows: lines over one axis, both of them logarithmic."""

    name: str
    """Of its file."""
    title: str
    x: str
    y: str
    """Names of the axes, with units."""
    lines: dict[str, list[tuple[float, float]]]


class Part(Struct, frozen=True, kw_only=True):
    """What one part of the measurements has found."""

    figures: list[Figure] = []
    plots: list[Plot] = []
    date: str = ""
    seconds: float = 0.0
    error: str = ""
    """Why there is nothing, or not all."""


class Machine(Struct, frozen=True, kw_only=True):
    """Where it was measured."""

    cores: int
    memory_gib: float
    system: str
    python: str
    import_seconds: float
    """In which a Python imports duckdb, pyarrow and nats: how fast this machine is just now."""
    load: float
    """Of one minute, before anything was measured: whether it had other work."""


class Results(Struct, frozen=True, kw_only=True):
    """All parts that were measured, maybe not in one go."""

    machine: Machine
    parts: dict[str, Part]


def median_seconds(run: Callable[[], object], times: int) -> float:
    """Median wall seconds of `times` calls."""
    taken = []
    for _ in range(times):
        start = perf_counter()
        run()
        taken.append(perf_counter() - start)
    return statistics.median(taken)


def number(value: float) -> str:
    """Three digits that matter."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table."""
    lines = [
        "| what | measured | aim | beside it, in the same run | ratio | method |",
        "|---|---|---|---|---|---|",
    ]
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}×"
        lines.append(
            f"| {figure.what} | {number(figure.value)} {figure.unit} | {figure.reach} "
            f"| {figure.baseline} | {ratio} | {figure.method} |"
        )
    return "\n".join(lines)
