"""A run in words: its steps as a table, what went wrong, and the line above them."""

from collections.abc import Mapping, Sequence
from typing import Any

from runtime.cli import words
from runtime.cli.console import Console
from runtime.cli.table import Column, key, render
from runtime.session import Document

_DONE = ("succeeded", "reused", "unchanged", "failed", "skipped", "cancelled")


def step_columns(steps: Sequence[Mapping[str, Any]], *, now: bool = False) -> tuple[Column, ...]:
    """Columns for steps; those that would be empty are left out. `now`: time goes on."""
    columns = [
        Column(title="step", text=key("id"), gives_way=True),
        Column(title="kind", text=key("kind"), style="dim"),
        Column(title="status", text=_status, is_status=True),
        Column(title="rows in", text=lambda step: words.count(step.get("rows_in")), right=True),
        Column(title="rows out", text=lambda step: words.count(step.get("rows_out")), right=True),
    ]
    for title, name in (("filtered", "rows_filtered"), ("quarantined", "rows_quarantined")):
        if any(step.get(name) for step in steps):
            columns.append(Column(title=title, text=_counted(name), right=True))
    columns.append(Column(title="time", text=_running_time if now else _time, right=True))
    if now:
        columns.append(Column(title="rows/s", text=_rate, right=True, style="dim"))
    return tuple(columns)


def headline(console: Console, run: Document, *, err: bool = False) -> str:
    """`✓ flights completed in 1.24 s`."""
    status = str(run["status"])
    mark = words.STATUS_MARKS.get(status, "·")
    style = words.STATUS_STYLES.get(status)
    name = console.styled(str(run["pipeline"]), "bold", err=err)
    told = console.styled(f"{mark} {status}", *([style] if style else []), err=err)
    spent = run.get("seconds")
    if status == "running":
        spent = words.elapsed(run.get("started_at") or run.get("requested_at"))
    time = f" in {words.seconds(spent)}" if spent is not None and status != "running" else ""
    if status == "running" and spent is not None:
        time = f" for {words.seconds(spent)}"
    return f"{name}  {told}{time}"


def summary(console: Console, run: Document) -> list[str]:
    """Everything that a person wants to know of a run at once."""
    steps = run["steps"]
    lines = [headline(console, run), console.styled(_facts(run), "dim")]
    if run.get("retry_of"):
        lines.append(console.styled(f"retry of {run['retry_of']}", "dim"))
    if run.get("params"):
        shown = ", ".join(f"{name}={words.scalar(v)}" for name, v in run["params"].items())
        lines.append(console.styled(f"params {shown}", "dim"))
    lines += ["", *render(console, step_columns(steps), steps)]
    told = [line for step in steps for line in _told(console, step)]
    told += [f"{console.styled('!', 'yellow')} {text}" for text in run.get("warnings") or ()]
    if not any(step.get("error") for step in steps) and run.get("error"):
        told += error_lines(console, "", run["error"])
    return lines + (["", *told] if told else [])


def error_lines(console: Console, step: str, error: Mapping[str, Any]) -> list[str]:
    """What, where, and what to do."""
    where = f" ({error['where']})" if error.get("where") else ""
    head = f"{console.styled('✗', 'red')} {console.styled(step, 'bold')}{': ' if step else ''}"
    message = str(error.get("message", "")).strip().splitlines() or [str(error.get("code", ""))]
    lines = [f"{head}{words.printable(message[0])}{where}"]
    lines += [f"    {words.printable(line)}" for line in message[1:]]
    if error.get("hint"):
        lines.append(f"  {console.styled('→', 'cyan')} {words.printable(str(error['hint']))}")
    return lines


def progress(steps: Sequence[Mapping[str, Any]]) -> str:
    """`3 of 6 steps`."""
    done = sum(step["status"] in _DONE for step in steps)
    return f"{done:,} of {words.plural(len(steps), 'step')}"


def _facts(run: Document) -> str:
    revision = f"draft {run['revision']}" if run.get("draft") else f"revision {run['revision']}"
    facts = [f"run {run['run']}", revision]
    if run.get("started_at"):
        facts.append(words.moment(run["started_at"]))
    return "  ".join(facts)


def _told(console: Console, step: Mapping[str, Any]) -> list[str]:
    lines = []
    if step.get("error"):
        lines += error_lines(console, step["id"], step["error"])
    for check in step.get("checks") or ():
        if not check["passed"]:
            hard = check["severity"] == "error"
            mark = console.styled("✗", "red") if hard else console.styled("!", "yellow")
            lines.append(f"{mark} {step['id']}: {_check(check)}")
    if step.get("ledger") == "unbalanced":
        lines.append(f"{console.styled('✗', 'red')} {step['id']}: rows do not balance")
    for text in step.get("warnings") or ():
        lines.append(f"{console.styled('!', 'yellow')} {step['id']}: {words.printable(text)}")
    return lines


def _check(check: Mapping[str, Any]) -> str:
    named = str(check["rule"])
    if check.get("name") and check["name"] != check["rule"]:
        named = f"{check['name']}: {named}"
    found = str(check.get("observed") or "")
    if check.get("failing_rows") is not None:
        failing = check["failing_rows"]
        found = f"{words.plural(failing, 'row')} {'breaks' if failing == 1 else 'break'} it"
    return f"check {named} does not hold" + (f": {found}" if found else "")


def _status(step: Mapping[str, Any]) -> str:
    return str(step["status"])


def _counted(name: str) -> Any:
    return lambda step: words.count(step.get(name))


def _time(step: Mapping[str, Any]) -> str:
    return "" if step["status"] == "reused" else words.seconds(step.get("seconds"))


def _running_time(step: Mapping[str, Any]) -> str:
    if step["status"] == "running":
        return words.seconds(words.elapsed(step.get("started_at")))
    return _time(step)


def _rate(step: Mapping[str, Any]) -> str:
    rows, spent = step.get("rows_out"), step.get("seconds")
    if not rows or not spent or step["status"] != "succeeded":
        return ""
    return words.rate(rows / spent)
