"""Following a run to its end, and what Ctrl-C means on the way."""

import signal
from typing import Literal

import anyio
from anyio.abc import TaskGroup

from domain.errors import Failure, Rejection
from runtime.cli.console import Console
from runtime.cli.exits import Exit, exit_of_run
from runtime.cli.interrupts import stop_at_once
from runtime.cli.live import View, redraw_seconds, view_for
from runtime.cli.output import print_document
from runtime.cli.run_view import summary
from runtime.cli.sessions import Serving
from runtime.session import Document, follow, whole_run

How = Literal["ended", "detached", "stopped"]


class Follower:
    """Follows one run; what an interrupt does depends on whose service it runs in."""

    def __init__(self, console: Console, serving: Serving) -> None:
        self._console = console
        self._session = serving.session
        self._hosting = serving.hosting
        self._interrupts = 0
        self.how: How = "ended"
        self.run: Document | None = None

    async def follow(self, run: str, since: int) -> None:
        """Show the run until it ends, or until somebody has seen enough."""
        view = view_for(self._console)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._tick, view)
                group.start_soon(self._listen, run, view, group)
                async for document in follow(self._session, run, anyio.sleep, since=since):
                    self.run = document
                    view.show(document)
                group.cancel_scope.cancel()
        finally:
            view.close()

    async def _tick(self, view: View) -> None:
        while True:
            await anyio.sleep(redraw_seconds)
            view.tick()

    async def _listen(self, run: str, view: View, group: TaskGroup) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for which in signals:
                self._interrupts += 1
                if which == signal.SIGTERM or not self._hosting:
                    self.how = "stopped" if self._hosting else "detached"
                    group.cancel_scope.cancel()
                    return
                if self._interrupts > 1:
                    view.close()
                    stop_at_once(self._console)
                view.say("Cancelling the run. Ctrl-C again stops at once.")
                group.start_soon(self._cancel, run, view)

    async def _cancel(self, run: str, view: View) -> None:
        try:
            await self._session.command("run.cancel", {"run": run, "reason": "Ctrl-C"})
        except (Rejection, Failure) as error:
            view.say(f"The run could not be cancelled: {error.message}")


async def follow_and_tell(
    console: Console, serving: Serving, run: str, *, json: bool, since: int = 0
) -> Exit:
    """Follow a run, print what came of it, and return the exit code that says so.

    `since` is the position at which the run is known to be there.
    """
    follower = Follower(console, serving)
    await follower.follow(run, since)
    if follower.how == "ended" and follower.run is not None:
        ended = follower.run
        if ended.get("steps_next"):
            ended = await whole_run(serving.session, run)
        print_run(console, ended, json=json)
        return exit_of_run(str(ended["status"]))
    if follower.how == "detached":
        console.note(f"The run goes on.  Watch it:  headwater watch {run}")
        console.note(f"                  Stop it:   headwater cancel {run}")
    else:
        serving.leaving = True
        console.note(f"Stopping. Run {run} goes on when a service is started here again.")
    return Exit.INTERRUPTED


def print_run(console: Console, run: Document, *, json: bool, rules: bool = False) -> None:
    """A run as a person or as a program reads it; with what all `rules` found, if wanted."""
    if json:
        print_document(console, run)
        return
    for line in summary(console, run, rules=rules):
        console.print(line)
