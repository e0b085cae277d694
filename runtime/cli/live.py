"""A run as it goes: redrawn in place on a terminal, a line for each change elsewhere."""

import shutil
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from runtime.cli import words
from runtime.cli.console import Console
from runtime.cli.run_view import error_lines, headline, progress, step_columns
from runtime.cli.table import render
from runtime.session import Document

redraw_seconds = 0.1
"""Between two pictures: quick enough for an eye, slow enough for a processor."""

_WEIGHT = {"failed": 0, "running": 1, "cancelled": 2, "succeeded": 3, "reused": 3, "unchanged": 3}
_OPEN = ("waiting", "scheduled")


class View(Protocol):
    """Shows a run that somebody follows."""

    def show(self, run: Document) -> None:
        """The run has changed."""
        ...

    def tick(self) -> None:
        """Time has passed."""
        ...

    def say(self, text: str) -> None:
        """Something else is to be told."""
        ...

    def close(self) -> None:
        """Nothing more will be shown."""
        ...


def view_for(console: Console) -> View:
    """The view that suits where messages go."""
    return LiveView(console) if console.is_live else LineView(console)


class LineView:
    """One line for each change."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._seen: dict[str, str] = {}
        self._started = False

    def show(self, run: Document) -> None:
        """Tell what is new."""
        if not self._started:
            self._started = True
            revision = f"{'draft' if run.get('draft') else 'revision'} {run['revision']}"
            self._console.note(f"{run['pipeline']}: run {run['run']}, {revision}")
        for step in run["steps"]:
            if self._seen.get(step["id"]) == step["status"]:
                continue
            self._seen[step["id"]] = step["status"]
            if step["status"] not in _OPEN:
                for line in self._lines(step):
                    self._console.note(line)

    def tick(self) -> None:
        """Nothing moves here."""

    def say(self, text: str) -> None:
        """A line."""
        self._console.note(text)

    def close(self) -> None:
        """Nothing to clear away."""

    def _lines(self, step: Mapping[str, Any]) -> list[str]:
        status = step["status"]
        line = f"  {words.STATUS_MARKS.get(status, '·')} {step['id']} {status}"
        if step.get("rows_out") is not None:
            line += f", {words.plural(step['rows_out'], 'row')}"
        if step.get("seconds") and status not in ("running", "skipped"):
            line += f", {words.seconds(step['seconds'])}"
        if not step.get("error"):
            return [line]
        return [line, *(f"    {told}" for told in error_lines(self._console, "", step["error"]))]


class LiveView:
    """A picture that is drawn again in its place, and cleared away at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._run: Document | None = None
        self._notes: list[str] = []
        self._lines = 0
        self._drawn = 0.0
        console.err.write("\x1b[?25l")

    def show(self, run: Document) -> None:
        """Draw soon; at once if the last picture is old."""
        self._run = run
        if time.monotonic() - self._drawn >= redraw_seconds:
            self.tick()

    def tick(self) -> None:
        """Draw again."""
        if self._run is None:
            return
        self._drawn = time.monotonic()
        lines = self._picture(self._run)
        self._console.err.write(self._back() + "".join(f"{line}\x1b[K\n" for line in lines))
        self._console.err.write("\x1b[J")
        self._console.err.flush()
        self._lines = len(lines)

    def say(self, text: str) -> None:
        """Below the picture, from now on."""
        self._notes = [*self._notes, text][-3:]
        self.tick()

    def close(self) -> None:
        """Clear the picture away and give the cursor back; what was said stays."""
        self._console.err.write(self._back() + "\x1b[J\x1b[?25h")
        for text in self._notes:
            self._console.note(text)
        self._console.err.flush()
        self._lines = 0
        self._run = None

    def _back(self) -> str:
        return f"\x1b[{self._lines}F" if self._lines else "\r"

    def _picture(self, run: Document) -> list[str]:
        console = self._console
        steps = run["steps"]
        head = f"{headline(console, run, err=True)}  {progress(steps)}"
        room = shutil.get_terminal_size((80, 24)).lines - 4 - len(self._notes)
        shown = _most_telling(steps, max(1, room))
        lines = [head, *render(console, step_columns(shown, now=True), shown, err=True)]
        hidden = len(steps) - len(shown)
        if hidden:
            lines.append(console.styled(f"… and {words.plural(hidden, 'step')}", "dim", err=True))
        return [words.cut(line, console.width) for line in [*lines, *self._notes]]


def _most_telling(steps: Sequence[Mapping[str, Any]], room: int) -> Sequence[Mapping[str, Any]]:
    """All steps where they fit; else those that failed, run, or ended, in their own order."""
    if len(steps) <= room:
        return steps
    places = sorted(
        range(len(steps)), key=lambda place: (_WEIGHT.get(steps[place]["status"], 4), -place)
    )
    return [steps[place] for place in sorted(places[:room])]
