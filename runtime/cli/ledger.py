"""Where rows of a step's inputs went, shown for steps in which some found no match."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runtime.cli import words
from runtime.cli.console import Console
from runtime.cli.table import Column, key, render


def _counted(name: str) -> Any:
    return lambda entry: words.count(entry.get(name))


COLUMNS = (
    Column(title="rows of", text=key("input"), gives_way=True),
    Column(title="in step", text=key("step"), style="dim", spare=2),
    Column(title="rows in", text=_counted("rows_in"), right=True, spare=1),
    Column(title="reached", text=_counted("reached"), right=True),
    Column(title="filtered", text=_counted("filtered"), right=True),
    Column(title="unmatched", text=_counted("unmatched"), right=True),
    Column(title="duplicated", text=_counted("duplicated"), right=True, spare=3),
)


def ledger_lines(console: Console, steps: Sequence[Mapping[str, Any]]) -> list[str]:
    """A table of the inputs of steps with unmatched rows, and what these rows have in common."""
    told = [step for step in steps if any(one.get("unmatched") for one in _inputs(step))]
    entries = [
        {**one, "input": _short(one), "step": step["id"]}
        for step in told
        for one in _inputs(step)
        if not one.get("looked_at")
    ]
    if not entries:
        return []
    lost = [
        f"lost {line}"
        for step in told
        if not step.get("error")  # which tells them itself
        for one in _inputs(step)
        for line in _lost(one)
    ]
    return [*render(console, COLUMNS, entries), *(words.printable(line) for line in lost)]


def _inputs(step: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return step.get("inputs") or ()


def _short(entry: Mapping[str, Any]) -> str:
    """An input by its step's id: the pipeline is the run's own."""
    return str(entry["dataset"]).partition(".")[2] or str(entry["dataset"])


def _lost(entry: Mapping[str, Any]) -> Iterator[str]:
    """`rows of flown by tailnum: N725MQ 546 of 546, …`."""
    for found in entry.get("lost") or ():
        shown = [_value(one) for one in found["values"]]
        more = found["distinct"] - len(shown)
        rest = f" and {more:,} more" if more > 0 else ""
        yield f"rows of {_short(entry)} by {', '.join(found['columns'])}: {', '.join(shown)}{rest}"


def _value(found: Mapping[str, Any]) -> str:
    name = "null" if found["value"] is None else words.scalar(found["value"])
    of = f" of {words.count(found['of'])}" if found.get("of") is not None else ""
    return f"{name} {words.count(found['rows'])}{of}"
