"""retain."""

from contextlib import ExitStack, closing
from datetime import UTC, datetime
from typing import Annotated, ClassVar

from anyio import to_thread

from runtime.cli.console import Console
from runtime.cli.events import moment_of
from runtime.cli.exits import Exit, Usage
from runtime.cli.output import print_document
from runtime.cli.parsing import Command, Option
from runtime.cli.sessions import Way
from runtime.cli.words import plural, size
from runtime.session import Document


class Retain(Command):
    """Seal the events of runs that ended long ago into segments beside the store.

    Nothing is forgotten: `events`, `show`, `replay`, `verify` and everything else go on reading
    them, and the chain goes through the segments. The store's file gets smaller where no service
    has it open; else the room in it is used anew. A segment is a Parquet file that never changes;
    it belongs to the store, and into every backup. In a database segments are rows of a table.
    """

    examples: ClassVar = (
        ("headwater retain --before 30d --dry-run", "how much that would be"),
        ("headwater retain --before 30d", "seal runs that ended more than 30 days ago"),
        ("headwater retain --before 2026-01-01", "or before a day"),
    )

    before: Annotated[str, Option("age, such as 30d or 12h, or a moment", "WHEN")] = ""
    dry_run: Annotated[bool, Option("only tell")] = False

    async def execute(self, console: Console) -> Exit:
        """Find what has ended, and seal it."""
        from runtime.wiring.retention import in_database, in_file, retain

        if not self.before:
            raise Usage("which runs are old?", hint="write --before 30d, or --before 2026-01-31")
        before = datetime.fromisoformat(moment_of(self.before, datetime.now(UTC), "--before"))
        way = Way(self)
        with ExitStack() as stack:
            if way.settings.store.is_database:
                opening, shrink = in_database(way.settings), True
            else:
                directory = way.known()
                opening, shrink = in_file(directory), await way.holder() is None
                if shrink:
                    held = await to_thread.run_sync(directory.take, "read")
                    stack.enter_context(closing(held))
            told = await retain(opening, before, dry_run=self.dry_run, shrink=shrink)
        if self.json:
            print_document(console, told)
        else:
            _tell(console, told)
        return Exit.DONE


def _tell(console: Console, told: Document) -> None:
    if not told["runs"]:
        console.note(f"Nothing to seal: no other run ended before {told['before'][:19]} UTC.")
        console.note(
            "Runs that are sealed stay so, and the one with the newest event is not sealed."
        )
        return
    what = f"{plural(told['runs'], 'run')}, {plural(told['events'], 'event')}, "
    what += size(told["bytes"])
    if told["dry_run"]:
        console.print(f"{what} would be sealed")
        return
    mark = console.styled("✓", "green")
    console.print(f"{mark} {what} sealed in {plural(len(told['segments']), 'segment')}")
    was, now = told["file_bytes_before"], told["file_bytes_after"]
    if now is None:
        console.note("How much room the store takes now is not known: it does not answer.")
    elif now < was:
        console.note(f"The store's file had {size(was)}, and has {size(now)}.")
    else:
        console.note("The store takes as much room as before; new events use what is free in it.")
