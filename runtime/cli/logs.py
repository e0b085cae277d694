"""logs."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar

from anyio import to_thread
from msgspec import Struct

from domain.errors import NotFound
from runtime.cli.console import Console
from runtime.cli.exits import Exit
from runtime.cli.latest import resolve_run
from runtime.cli.output import print_document
from runtime.cli.parsing import Argument, Command, Option
from runtime.cli.sessions import Way
from runtime.cli.words import printable
from runtime.session import whole_run

_NAME = re.compile(r"(?P<step>[a-z][a-z0-9_]*)\.(?P<attempt>\d+)\.(?P<lease>\d+)\.log")

bytes_shown_max = 4 * 1024 * 1024
"""Of one attempt's log; the end is what tells most."""


class AttemptLog(Struct, frozen=True, kw_only=True):
    """What one worker has written during one attempt."""

    step: str
    attempt: int
    lease: int
    path: str
    text: str


class Logs(Command):
    """Print what the steps of a run have written: output, logging, tracebacks.

    Only steps that write something have a log; SQL steps have little to say.
    """

    examples: ClassVar = (
        ("headwater logs", "the newest run, all steps"),
        ("headwater logs RUN flown", "one step, every attempt"),
        ("headwater logs RUN flown --attempt 2", "one attempt"),
    )

    run: Annotated[str, Argument("RUN", "id of the run; the newest one if left out")] = ""
    step: Annotated[str, Argument("STEP", "id of a step")] = ""
    attempt: Annotated[int | None, Option("only this attempt", "N")] = None

    async def execute(self, console: Console) -> Exit:
        """Read the files in the data directory, with those that a bucket has besides."""
        way = Way(self)
        async with way.reading() as session:
            run = await resolve_run(session, self.run)
            shown = await whole_run(session, run)
        steps = [str(step["id"]) for step in shown["steps"]]
        if self.step and self.step not in steps:
            raise NotFound(
                f"run {run} has no step {self.step!r}", hint="its steps: " + ", ".join(steps[:20])
            )
        if way.settings.datasets:
            from runtime.wiring.datasets import bring_logs  # most have none

            await to_thread.run_sync(bring_logs, way.settings, way.datadir, run)
        folder = way.datadir.logs / run
        order = {step: place for place, step in enumerate(steps)}
        logs = [
            log
            for log in await to_thread.run_sync(read_logs, folder)
            if self.step in ("", log.step) and self.attempt in (None, log.attempt)
        ]
        logs.sort(key=lambda log: (order.get(log.step, 0), log.attempt, log.lease))
        if self.json:
            print_document(console, {"items": logs, "next": None, "position": shown["position"]})
            return Exit.DONE
        if not any(log.text for log in logs):
            console.note("Nothing was written.")
        for log in logs:
            if log.text:
                _print(console, log, only=bool(self.step))
        return Exit.DONE


def read_logs(folder: Path) -> Sequence[AttemptLog]:
    """All logs of a run that are there."""
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        name = _NAME.fullmatch(path.name)
        if name is None:
            continue
        found.append(
            AttemptLog(
                step=name["step"],
                attempt=int(name["attempt"]),
                lease=int(name["lease"]),
                path=str(path),
                text=_tail(path),
            )
        )
    return found


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - bytes_shown_max))
        text = file.read().decode("utf-8", "replace")
    return text if size <= bytes_shown_max else f"… {size - bytes_shown_max:,} bytes before\n{text}"


def _print(console: Console, log: AttemptLog, *, only: bool) -> None:
    again = f", attempt {log.attempt}" if log.attempt > 1 or only else ""
    console.note(console.styled(f"── {log.step}{again}", "dim", err=True))
    for line in log.text.rstrip("\n").split("\n"):
        console.print(printable(line.expandtabs()) if console.out.isatty() else line)
