"""lineage."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from runtime.cli.console import Console
from runtime.cli.exits import Exit, Usage
from runtime.cli.output import print_document
from runtime.cli.parsing import Argument, Command, Option
from runtime.cli.sessions import Way
from runtime.cli.words import plural, printable
from runtime.session import Document

Direction = Literal["up", "down"]
Edge = Mapping[str, Any]


class Lineage(Command):
    """Show where a dataset comes from and goes to.

    With --column, the columns that one column is made from (--up), or that are made from it
    (--down).
    """

    examples: ClassVar = (
        ("headwater lineage flights.punctuality", "both ways"),
        ("headwater lineage flights.punctuality --column arr_delay --up", "where it comes from"),
        ("headwater lineage flights.raw --down --depth 1", "who reads it"),
    )

    dataset: Annotated[str, Argument("DATASET", "name such as flights.punctuality")]
    column: Annotated[str, Option("only what has to do with this column", "COLUMN")] = ""
    up: Annotated[bool, Option("only where it comes from")] = False
    down: Annotated[bool, Option("only where it goes to")] = False
    depth: Annotated[
        Annotated[int, Meta(ge=1, le=100)] | None, Option("so many steps far", "N")
    ] = None

    async def execute(self, console: Console) -> Exit:
        """Ask the lineage view."""
        if self.up and self.down:
            raise Usage("--up and --down exclude each other", hint="leave both out for both ways")
        asked: Document = {"dataset": self.dataset}
        if self.column:
            asked["column"] = self.column
        if self.up or self.down:
            asked["direction"] = "up" if self.up else "down"
        if self.depth is not None:
            asked["depth"] = self.depth
        async with Way(self).reading() as session:
            graph = await session.query("lineage.graph", asked)
        if self.json:
            print_document(console, graph)
            return Exit.DONE
        ways: list[Direction] = ["up"] if self.up else ["down"] if self.down else ["up", "down"]
        for line in tree(console, graph, self.column, ways):
            console.print(line)
        return Exit.DONE


def tree(
    console: Console, graph: Document, column: str, ways: Sequence[Direction]
) -> Iterator[str]:
    """The graph as indented text, seen from its dataset."""
    nodes = {str(node["id"]): node for node in graph["nodes"]}
    start = str(graph["dataset"])
    name = console.styled(f"{start}.{column}" if column else start, "bold")
    told = "" if column else _told(nodes.get(start, {}))
    yield f"{name}  {console.styled(told, 'dim')}".rstrip()
    for way in ways:
        drawer = _Drawer(console, nodes, graph["edges"], way, by_column=bool(column))
        lines = list(drawer.draw(start, column))
        title = "comes from" if way == "up" else "goes to"
        yield console.styled(f"{title}{'' if lines else ' nothing that is known'}", "dim")
        yield from lines


class _Drawer:
    """Draws one direction of a graph; what was drawn already is only named."""

    def __init__(
        self,
        console: Console,
        nodes: Mapping[str, Mapping[str, Any]],
        edges: Sequence[Edge],
        way: Direction,
        *,
        by_column: bool,
    ) -> None:
        self._console = console
        self._nodes = nodes
        self._by_column = by_column
        self._near, self._far = ("to", "from") if way == "up" else ("from", "to")
        self._verb = "read" if way == "up" else "made"
        self._edges: dict[tuple[str, str], list[Edge]] = {}
        self._seen: set[tuple[str, str]] = set()
        for edge in edges:
            if by_column == bool(edge.get("from_column")):
                self._edges.setdefault(self._place(edge, self._near), []).append(edge)

    def draw(self, node: str, column: str, indent: str = "") -> Iterator[str]:
        """Lines below a node."""
        self._seen.add((node, column))
        nexts = self._nexts((node, column))
        for number, ((name, far), edge) in enumerate(nexts.items(), 1):
            last = number == len(nexts)
            again = (name, far) in self._seen and (name, far) in self._edges
            yield f"{indent}{'└─ ' if last else '├─ '}{self._line(name, far, edge, again=again)}"
            if not again:
                yield from self.draw(name, far, indent + ("   " if last else "│  "))

    def _nexts(self, place: tuple[str, str]) -> dict[tuple[str, str], Edge]:
        """What comes next, with the edge that leads there. A step between two datasets is only
        named; one that leads nowhere, such as a check, is a place of its own."""
        found: dict[tuple[str, str], Edge] = {}
        for edge in self._edges.get(place, ()):
            far = self._place(edge, self._far)
            beyond = self._edges.get(far) if self._is_step(far[0]) else None
            for further in beyond or [edge]:
                found.setdefault(self._place(further, self._far), further)
        return found

    def _is_step(self, name: str) -> bool:
        return self._nodes.get(name, {}).get("kind") == "step"

    def _place(self, edge: Edge, side: str) -> tuple[str, str]:
        return str(edge[side]), str(edge.get(f"{side}_column") or "")

    def _line(self, name: str, column: str, edge: Edge, *, again: bool) -> str:
        shown = printable(f"{name}.{column}" if column else name)
        told = [
            "" if self._by_column else _told(self._nodes.get(name, {})),
            f"{self._verb} by {edge['step']}" if edge["step"] and not self._is_step(name) else "",
            "to join, filter, group or order" if edge.get("kind") == "indirect" else "",
            "(above)" if again else "",
        ]
        rest = "  ".join(filter(None, told))
        return f"{shown}  {self._console.styled(rest, 'dim')}" if rest else shown


def _told(node: Mapping[str, Any]) -> str:
    if node.get("kind") == "step":
        return str(node.get("step_kind") or "")
    rows = node.get("rows")
    return plural(rows, "row") if rows is not None else ""
