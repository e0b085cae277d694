"""verify, replay."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from runtime.cli.chain_view import tell_chain
from runtime.cli.console import Console
from runtime.cli.exits import Exit, Usage
from runtime.cli.output import print_document
from runtime.cli.parsing import Argument, Command, Option
from runtime.cli.sessions import Way
from runtime.cli.words import count, plural

_NAME_WIDTH = 10

differences_shown_max = 20
"""Of one view, for a person; --json has all of them."""


class Verify(Command):
    """Prove that every view is what the events say.

    Folds all events into new tables beside the live ones and compares them row by row. A missing,
    doubled or altered row is named with the stream it belongs to.

    With --chain it proves the events themselves: each was stored with a link, a hash over itself
    and the link before it, and is held against it. What was altered, deleted or put in is named.
    The head that is printed proves later, given back by --head, that nothing before it has changed:
    keep it where those who can write to the store cannot.
    """

    examples: ClassVar = (
        ("headwater verify", "exit code 1 if anything differs"),
        ("headwater verify --repair", "and put it right"),
        ("headwater verify --chain", "the events, by the hashes stored with them"),
        ("headwater verify --chain --head LINK@POSITION", "and by a head kept elsewhere"),
    )

    repair: Annotated[bool, Option("replace views that differ by what the events say")] = False
    chain: Annotated[bool, Option("the stored events instead of the views")] = False
    head: Annotated[str, Option("with --chain: a head printed before", "LINK@POSITION")] = ""

    async def execute(self, console: Console) -> Exit:
        """Compare all views, or all events."""
        if self.chain:
            return await self._prove_chain(console)
        if self.head:
            raise Usage("--head is a place in the chain of events: give --chain with it")
        async with Way(self).reading() as session:
            report = await session.verify(repair=self.repair)
        if self.json:
            print_document(console, report)
        else:
            for view in report["projections"]:
                _tell(console, view, repaired=self.repair)
            console.print(_verdict(console, report, repaired=self.repair))
        return Exit.DONE if report["ok"] else Exit.FAILED

    async def _prove_chain(self, console: Console) -> Exit:
        from domain.chain import parse_head
        from runtime.wiring.proof import prove_chain, prove_database_chain

        if self.repair:
            raise Usage(
                "what was altered in the events cannot be repaired from anything",
                hint="put a backup in their place: headwater restore --help",
            )
        head = parse_head(self.head) if self.head else None
        way = Way(self)
        if way.settings.store.is_database:
            report = await prove_database_chain(way.settings, head)
        else:
            report = await prove_chain(way.known(), head)
        if self.json:
            print_document(console, report)
        else:
            tell_chain(console, report)
        return Exit.DONE if report["ok"] else Exit.FAILED


class Replay(Command):
    """Rebuild a view from the events.

    The new tables are made beside the live ones, which answer until the two are swapped. Nothing
    is run again and nobody is told again: a view has no effects.
    """

    examples: ClassVar = (("headwater replay monitoring", "from the first event on"),)

    view: Annotated[str, Argument("VIEW", "monitoring or lineage")]

    async def execute(self, console: Console) -> Exit:
        """Fold, compare, swap."""
        async with Way(self).reading() as session:
            report = await session.replay(self.view)
        if self.json:
            print_document(console, report)
        else:
            _tell(console, report, repaired=True)
        return Exit.DONE


def _tell(console: Console, view: Mapping[str, Any], *, repaired: bool) -> None:
    differences: Sequence[Mapping[str, Any]] = view["differences"]
    mark = console.styled("✓", "green")
    told = "as the events say"
    if differences:
        mark = console.styled("↺" if repaired else "✗", "yellow" if repaired else "red")
        found = plural(len(differences), "row")
        told = f"{found} put right" if repaired else f"{found} not as the events say"
    rows = f"{plural(view['rows'], 'row')}, position {count(view['position'])}"
    name = f"{view['name']:{_NAME_WIDTH}}"
    console.print(f"{mark} {name}  {told}  {console.styled(rows, 'dim')}")
    for difference in differences[:differences_shown_max]:
        for line in _difference(difference):
            console.print(f"    {line}")
    if len(differences) > differences_shown_max:
        console.print(f"    … and {len(differences) - differences_shown_max:,} more (--json)")


def _difference(difference: Mapping[str, Any]) -> list[str]:
    expected, found = difference.get("expected"), difference.get("found")
    head = f"{difference['table']} {_compact(difference['key'])}"
    if difference.get("stream"):
        head += f"  of {difference['stream']}"
    if found is None:
        return [f"{head}: missing"]
    if expected is None:
        return [f"{head}: should not be there"]
    changed = [name for name in expected if expected[name] != found.get(name)]
    lines = [
        f"  {name}: {_compact(found.get(name))}, should be {_compact(expected[name])}"
        for name in changed
    ]
    return [f"{head}: altered", *lines]


def _verdict(console: Console, report: Mapping[str, Any], *, repaired: bool) -> str:
    if report["ok"]:
        done = "Repaired: everything" if _any_difference(report) and repaired else "Everything"
        return console.styled(
            f"{done} up to position {count(report['position'])} is proven.", "bold"
        )
    return console.styled("Not proven.", "bold", "red") + " Put it right: headwater verify --repair"


def _any_difference(report: Mapping[str, Any]) -> bool:
    return any(view["differences"] for view in report["projections"])


def _compact(value: Any) -> str:
    return msgspec.json.encode(value).decode()
