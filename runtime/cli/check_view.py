"""What rules found, in words: the results of one run, and the trend of each rule over runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from runtime.cli import words
from runtime.cli.console import Console
from runtime.cli.table import Column, key, render

_results_max = 40
"""Results of one run in a table; those that hold are left out first."""

_BARS = "▁▂▃▄▅▆▇█"


def result(check: Mapping[str, Any]) -> str:
    """`passed`, `warned` or `failed`."""
    if check["passed"]:
        return "passed"
    return "failed" if check["severity"] == "error" else "warned"


def trend(runs: Sequence[Mapping[str, Any]]) -> str:
    """One sign for each run, the oldest first: `·` nothing broke the rule, a bar for the share of
    rows that did beside the largest, `✗` where the rule counts no rows and did not hold."""
    most = max((one["share"] or 0.0 for one in runs), default=0.0)
    return "".join(_sign(one, most) for one in reversed(runs))


def _sign(found: Mapping[str, Any], most: float) -> str:
    share = found["share"]
    if share:
        return _BARS[min(int(share / most * len(_BARS)), len(_BARS) - 1)]
    return "·" if found["passed"] else "✗"


def share_of(check: Mapping[str, Any]) -> str:
    """`0.14 %`; what was found, where rows are not what the rule counts."""
    if check.get("share") is None:
        return str(check.get("observed") or "")
    return words.share(check["share"])


_FOUND = (
    Column(title="result", text=result, is_status=True),
    Column(
        title="rows", text=lambda one: words.count(one.get("checked_rows")), right=True, spare=3
    ),
    Column(title="broken", text=lambda one: words.count(one.get("failing_rows")), right=True),
    Column(title="share", text=share_of, right=True, gives_way=True),
    Column(title="allowed", text=key("tolerance"), right=True, spare=2),
)

RESULTS = (
    Column(title="step", text=key("step"), gives_way=True),
    Column(title="check", text=key("name"), gives_way=True),
    *_FOUND,
)

TRENDS = (
    Column(title="step", text=lambda one: f"{one['pipeline']}.{one['step']}", gives_way=True),
    Column(title="check", text=key("name"), gives_way=True),
    *_FOUND,
    Column(
        title="checked",
        text=lambda one: words.moment(one["recorded_at"])[5:16],
        style="dim",
        spare=1,
    ),
    Column(title="trend", text=lambda one: trend(one["runs"])),
)
"""Of rules as `quality.checks` tells them."""


def result_lines(console: Console, steps: Sequence[Mapping[str, Any]]) -> list[str]:
    """A table of what every rule of a run found; none where there are no rules."""
    found = [{**check, "step": step["id"]} for step in steps for check in step.get("checks") or ()]
    if not found:
        return []
    shown = found
    if len(found) > _results_max:
        broken = [one for one in found if not one["passed"]]
        whole = [one for one in found if one["passed"]]
        shown = [*broken, *whole][:_results_max]
    lines = render(console, _with_content(RESULTS, shown), shown)
    if len(found) > len(shown):
        lines.append(f"and {len(found) - len(shown):,} more; all with --json")
    return lines


def _with_content(
    columns: Sequence[Column], items: Sequence[Mapping[str, Any]]
) -> tuple[Column, ...]:
    """Without a column that would be empty throughout."""
    return tuple(
        column for column in columns if column.title != "allowed" or any(map(column.text, items))
    )


def trend_columns(items: Sequence[Mapping[str, Any]]) -> tuple[Column, ...]:
    """Columns for rules with their trends."""
    return _with_content(TRENDS, items)
