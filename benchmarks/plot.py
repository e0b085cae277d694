"""Lines over logarithmic axes as SVG, readable on light and on dark pages."""

import math
from collections.abc import Iterable, Iterator
from html import escape

from benchmarks.report import Plot, number

_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 44, 84
_COLOURS = ("#3b82f6", "#f97316", "#10b981", "#a855f7", "#ef4444", "#64748b")

_STYLE = """<style>
text { font: 12px system-ui, sans-serif; fill: #374151 } .title { font-size: 14px }
.grid { stroke: #d1d5db; stroke-width: 1 }
@media (prefers-color-scheme: dark) { text { fill: #d1d5db } .grid { stroke: #4b5563 } }
</style>"""


class _Axis:
    """A logarithmic scale over powers of ten, laid onto pixels."""

    def __init__(self, values: Iterable[float], start: float, end: float) -> None:
        found = [math.log10(value) for value in values if value > 0] or [0.0]
        self._low = math.floor(min(found))
        self._high = max(math.ceil(max(found)), self._low + 1)
        self._start, self._end = start, end

    def at(self, value: float) -> float:
        share = (math.log10(max(value, 10.0**self._low)) - self._low) / (self._high - self._low)
        return self._start + share * (self._end - self._start)

    @property
    def ticks(self) -> list[float]:
        return [10.0**power for power in range(self._low, self._high + 1)]


def svg(plot: Plot) -> str:
    """The plot as a file of its own."""
    points = [point for line in plot.lines.values() for point in line]
    across = _Axis((x for x, _ in points), _LEFT, _WIDTH - _RIGHT)
    up = _Axis((y for _, y in points), _HEIGHT - _BOTTOM, _TOP)
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        _STYLE,
        f'<text class="title" x="{_LEFT}" y="20">{escape(plot.title)}</text>',
        f'<text x="{_LEFT}" y="37">{escape(plot.y)}</text>',
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - _BOTTOM + 34}" text-anchor="end">'
        f"{escape(plot.x)}</text>",
        *_grid(across, up),
    ]
    for place, (name, line) in enumerate(plot.lines.items()):
        drawn += _line(place, name, [(across.at(x), up.at(y)) for x, y in line])
    return "\n".join([*drawn, "</svg>", ""])


def _grid(across: _Axis, up: _Axis) -> Iterator[str]:
    for tick in across.ticks:
        x = f"{across.at(tick):.1f}"
        yield f'<path class="grid" d="M{x} {_TOP}V{_HEIGHT - _BOTTOM}"/>'
        yield (
            f'<text x="{x}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{number(tick)}</text>'
        )
    for tick in up.ticks:
        y = up.at(tick)
        yield f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{number(tick)}</text>'


def _line(place: int, name: str, points: list[tuple[float, float]]) -> Iterator[str]:
    colour = _COLOURS[place % len(_COLOURS)]
    way = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    yield f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="2"/>'
    for x, y in points:
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
    left = _LEFT + place % 3 * 185
    top = _HEIGHT - 30 + place // 3 * 18
    yield f'<rect x="{left}" y="{top - 9}" width="10" height="10" fill="{colour}"/>'
    yield f'<text x="{left + 15}" y="{top}">{escape(name)}</text>'
