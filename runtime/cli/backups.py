"""backup, restore."""

from contextlib import closing
from pathlib import Path
from typing import Annotated, ClassVar

from anyio import to_thread

from runtime.cli.chain_view import tell_chain
from runtime.cli.console import Console
from runtime.cli.exits import Exit, Usage
from runtime.cli.output import print_document
from runtime.cli.parsing import Argument, Command, Option
from runtime.cli.sessions import Way
from runtime.cli.words import count, moment, plural, size
from runtime.session import Document


class Backup(Command):
    """Copy the events into a new folder, also while a service runs.

    The copy is of one moment, holds up nobody, and is proven by its hash chain before it gets its
    name. Views and the bus are left out: they are made anew from the events. So are datasets, which
    runs make again from their sources; with --datasets they are copied too, and with them rows in
    quarantine, which their sources may not have any more.
    """

    examples: ClassVar = (
        ("headwater backup backups/monday", "into a folder that is not there yet"),
        ("headwater backup backups/monday --datasets", "with all results of steps"),
    )

    to: Annotated[str, Argument("DIR", "the folder to make")]
    datasets: Annotated[bool, Option("what steps made, too")] = False

    async def execute(self, console: Console) -> Exit:
        """Copy, prove, name."""
        from runtime.wiring.backup import make_backup

        way = Way(self)
        way.filed("back the database up with its own tools, such as pg_dump")
        bucket = way.settings.datasets if self.datasets else ""
        told = await make_backup(
            way.known(), _folder(self.to), datasets=self.datasets, bucket=bucket
        )
        if self.json:
            print_document(console, told)
        elif told["ok"]:
            _tell(console, "Backed up", told["manifest"], told["path"])
            console.note(f"Head: {told['manifest']['head']}")
        else:
            tell_chain(console, told["chain"])
            console.note("No backup was made: older ones may be well, and this would not be.")
        return Exit.DONE if told["ok"] else Exit.FAILED


class Restore(Command):
    """Put a backup into an empty data directory, or in the place of what is there.

    Every file is counted and hashed, and the events proven by their chain, before anything is
    touched. A service must not be running. With --replace the old events are kept in a folder
    beside, `replaced/`. The next start makes the views anew, and goes on with runs that were open
    at the moment of the backup.
    """

    examples: ClassVar = (
        ("headwater restore backups/monday --data new/.headwater", "on an empty host"),
        ("headwater restore backups/monday --replace", "in the place of what is there"),
    )

    backup: Annotated[str, Argument("DIR", "a folder made by `headwater backup`")]
    replace: Annotated[bool, Option("take the place of what is in the data directory")] = False

    async def execute(self, console: Console) -> Exit:
        """Check, unpack, prove, put in place."""
        from runtime.wiring.restoring import restore

        directory = Way(self).filed("name a store in files: --set store=sqlite")
        held = await to_thread.run_sync(directory.take, "read")
        with closing(held):
            told = await restore(held, _folder(self.backup), replace=self.replace)
        if self.json:
            print_document(console, told)
        else:
            _tell(console, "Restored", told["manifest"], told["data"])
            if told["replaced"]:
                console.note(f"What was there is in {told['replaced']}")
        return Exit.DONE


def _folder(text: str) -> Path:
    if not text:
        raise Usage("a backup is a folder with a name")
    return Path(text).absolute()


def _tell(console: Console, done: str, manifest: Document, place: str) -> None:
    mark = console.styled("✓", "green")
    files = plural(manifest["files"], "file")
    console.print(
        f"{mark} {done} {plural(manifest['events'], 'event')} up to position "
        f"{count(manifest['position'])}, as of {moment(manifest['made_at'])}"
    )
    console.print(f"  {files}, {size(manifest['bytes'])}: {place}")
