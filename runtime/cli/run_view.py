"""A run in words: its steps as a table, what went wrong, and the line above them."""

from collections.abc import Mapping, Sequence
from typing import Any

from runtime.cli import words
from runtime.cli.check_view import result_lines
from runtime.cli.console import Console
from runtime.cli.ledger import ledger_lines
from runtime.cli.table import Column, key, render
from runtime.cli.wrapping import wrap
from runtime.session import Document

_DONE = ("succeeded", "reused", "unchanged", "failed", "skipped", "cancelled")


def step_columns(steps: Sequence[Mapping[str, Any]], *, now: bool = False) -> tuple[Column, ...]:
    """Columns for steps; those that would be empty are left out. `now`: time goes on."""
    columns = [
        Column(title="step", text=key("id"), gives_way=True),
        Column(title="kind", text=key("kind"), style="dim", spare=3),
        Column(title="status", text=_status, is_status=True),
        Column(title="rows in", text=_counted("rows_in"), right=True, spare=2),
        Column(title="rows out", text=_counted("rows_out"), right=True),
    ]
    for title, name in (("filtered", "rows_filtered"), ("quarantined", "rows_quarantined")):
        if any(step.get(name) for step in steps):
            columns.append(Column(title=title, text=_counted(name), right=True, spare=1))
    columns.append(Column(title="time", text=_running_time if now else _time, right=True))
    if now:
        columns.append(Column(title="rows/s", text=_rate, right=True, style="dim", spare=4))
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


def summary(console: Console, run: Document, *, rules: bool = False) -> list[str]:
    """Everything that a person wants to know of a run at once; with what all `rules` found."""
    steps = run["steps"]
    facts = wrap(_facts(run), console.width) if console.out.isatty() else [_facts(run)]
    lines = [headline(console, run), *(console.styled(fact, "dim") for fact in facts)]
    if run.get("retry_of"):
        lines.append(console.styled(f"retry of {run['retry_of']}", "dim"))
    if run.get("env"):
        lines.append(console.styled(f"environment {run['env']}", "dim"))
    if run.get("params"):
        shown = ", ".join(f"{name}={words.scalar(v)}" for name, v in run["params"].items())
        lines.append(console.styled(f"params {shown}", "dim"))
    lines += ["", *render(console, step_columns(steps), steps)]
    if ledger := ledger_lines(console, steps):
        lines += ["", *ledger]
    if rules and (results := result_lines(console, steps)):
        lines += ["", *results]
    warnings = run.get("warnings") or ()
    told = [line for step in steps for line in _told(console, step, warnings)]
    for text in warnings:
        told += _marked(console, console.styled("!", "yellow"), [text])
    if not any(step.get("error") for step in steps) and run.get("error"):
        told += error_lines(console, "", run["error"])
    return lines + (["", *told] if told else [])


def error_lines(console: Console, step: str, error: Mapping[str, Any]) -> list[str]:
    """What, where, and what to do."""
    message = str(error.get("message", "")).strip().splitlines() or [str(error.get("code", ""))]
    message[0] = f"{step}: {message[0]}" if step else message[0]
    message[0] += f" ({error['where']})" if error.get("where") else ""
    lines = _marked(console, console.styled("✗", "red"), message)
    if error.get("hint"):
        lines += [
            f"  {line}" for line in _marked(console, console.styled("→", "cyan"), [error["hint"]])
        ]
    return lines


def _marked(console: Console, mark: str, texts: Sequence[str]) -> list[str]:
    """Lines behind a mark; on a terminal none is longer than it is wide."""
    lines = [words.printable(text) for text in texts]
    if console.out.isatty():
        lines = [part for line in lines for part in wrap(line, console.width - 6)]
    return [f"{mark} {lines[0]}", *(f"    {line}" for line in lines[1:])]


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


def _told(console: Console, step: Mapping[str, Any], warnings: Sequence[str]) -> list[str]:
    lines = []
    if step.get("error") and step["status"] != "cancelled":
        lines += error_lines(console, step["id"], step["error"])
    for check in step.get("checks") or ():
        if not check["passed"] and not _is_warned(step["id"], check, warnings):
            hard = check["severity"] == "error"
            mark = console.styled("✗", "red") if hard else console.styled("!", "yellow")
            lines += _marked(console, mark, [f"{step['id']}: {_check(step, check, warnings)}"])
    if step.get("readmitted") and step["status"] == "succeeded":
        file = f" from {step['mended']['name']}" if step.get("mended") else ""
        text = f"{step['id']}: {words.plural(step['readmitted'], 'row')} put back{file}"
        lines += _marked(console, console.styled("↺", "green"), [text])
    if step.get("ledger") == "unbalanced":
        mark = console.styled("✗", "red")
        lines += _marked(console, mark, [f"{step['id']}: rows do not balance"])
    return lines


def _is_warned(step: str, check: Mapping[str, Any], warnings: Sequence[str]) -> bool:
    """Whether a warning of the run tells of it already."""
    rule = str(check["rule"])
    name = str(check.get("name") or rule)
    of_step = rule if name == rule else f"{name} ({rule})"
    starts = (f"{step}: check {of_step}: ", f"{step}: contract {_named(check)}: ")
    return check["severity"] == "warn" and any(one.startswith(starts) for one in warnings)


def _named(check: Mapping[str, Any]) -> str:
    rule = str(check["rule"])
    if check.get("name") and check["name"] != rule:
        return f"{check['name']}: {rule}"
    return rule


def _is_set_apart(
    step: Mapping[str, Any], check: Mapping[str, Any], warnings: Sequence[str]
) -> bool:
    """Whether no row that breaks it went on: what still breaks a validation's terms is warned of,
    one by one as long as there are few."""
    return bool(
        step["kind"] == "validate"
        and step.get("rows_quarantined")
        and check["severity"] == "warn"
        and check.get("failing_rows")
        and not any(one.startswith(f"{step['id']}: contract: ") for one in warnings)
    )


def _check(step: Mapping[str, Any], check: Mapping[str, Any], warnings: Sequence[str]) -> str:
    named = _named(check)
    if _is_set_apart(step, check, warnings):
        return f"{words.plural(check['failing_rows'], 'row')} set apart by {named}"
    found = str(check.get("observed") or "")
    if check.get("failing_rows") is not None:
        failing = check["failing_rows"]
        found = f"{words.plural(failing, 'row')} {'breaks' if failing == 1 else 'break'} it"
        if check.get("tolerance"):
            found += f", of {check['checked_rows']:,}; {check['tolerance']} may"
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
