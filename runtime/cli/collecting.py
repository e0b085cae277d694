"""gc."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from domain.errors import Malformed
from runtime.cli.console import Console
from runtime.cli.exits import Exit, Usage
from runtime.cli.output import print_document
from runtime.cli.parsing import Command, Option
from runtime.cli.sessions import Way
from runtime.cli.table import Column, render
from runtime.cli.words import moment, plural, size
from runtime.session import Document


class Gc(Command):
    """Drop datasets that were used longest ago, as far as there are too many.

    Keeps within the setting `datasets_bytes_max`, spares what open runs need, and takes quarantines
    last. A running service does the same by itself from time to time. Nothing that has happened is
    forgotten: events stay, and what is gone is made again by the next run that needs it.
    """

    examples: ClassVar = (
        ("headwater gc --dry-run", "what would go, and which results are lost"),
        ("headwater gc", "keep within the setting"),
        ("headwater gc --keep 0B", "drop everything that no open run needs"),
    )

    dry_run: Annotated[bool, Option("only tell")] = False
    keep: Annotated[str, Option("keep so much instead of the setting, such as 5GiB", "SIZE")] = ""

    async def execute(self, console: Console) -> Exit:
        """Ask what is needed, and drop the rest by age."""
        from runtime.wiring.collection import Sweep, collect, used_seconds_min

        way = Way(self)
        bytes_max = self._bytes_max(way)
        is_shared = await way.holder() is not None
        sweep = Sweep(
            bytes_max=bytes_max,
            rest_seconds=used_seconds_min if is_shared else 0.0,
            dry_run=self.dry_run,
        )
        async with way.reading() as session:
            told = await collect(session.query, way.datadir, sweep)
        if self.json:
            print_document(console, told)
        else:
            _tell(console, told)
            if is_shared and told["bytes_after"] > bytes_max:
                console.note("What was used in the last 10 minutes stays while a service runs.")
        return Exit.DONE

    def _bytes_max(self, way: Way) -> int:
        from domain.pipeline.units import ByteSize

        if not self.keep:
            return way.settings.datasets_bytes_max.bytes
        try:
            return ByteSize(self.keep).bytes
        except (ValueError, Malformed) as error:
            raise Usage(f"--keep {self.keep}: {error}") from error


def _tell(console: Console, told: Document) -> None:
    items = told["items"]
    for line in render(console, _COLUMNS, items) if items else ():
        console.print(line)
    gone = told["bytes_before"] - told["bytes_after"]
    verb = "would be dropped" if told["dry_run"] else "dropped"
    console.note(
        f"{plural(len(items), 'dataset')}, {size(gone)} {verb}; {size(told['bytes_after'])} stay, "
        f"{size(told['bytes_max'])} may"
    )


def _lost(item: Mapping[str, Any]) -> str:
    names = [f"{one['step']} of run {one['run']}" for one in item["lost"]]
    return ", ".join(names) or "nothing: no result leads to it"


_COLUMNS = (
    Column(title="dataset", text=lambda item: item["fingerprint"][:12], style="dim"),
    Column(title="size", text=lambda item: size(item["bytes"]), right=True),
    Column(title="last used", text=lambda item: moment(item["used_at"])),
    Column(title="not reusable any more", text=_lost, gives_way=True),
    Column(title="", text=lambda item: "quarantine" if item["quarantine"] else ""),
)
