"""contract."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from anyio import to_thread

from runtime.cli.console import Console
from runtime.cli.exits import Exit, Usage
from runtime.cli.output import print_document
from runtime.cli.parsing import Argument, Command, Option
from runtime.cli.rows import kept
from runtime.cli.sessions import Way
from runtime.cli.words import plural
from runtime.session import Document


class Contract(Command):
    """Make a contract from data, or test data against one.

    A contract is a file of the Open Data Contract Standard. DATA is a file (CSV, JSON lines or
    Parquet) or a dataset such as flights.raw. What `infer` prints is kept by the data it was made
    from: types, what is never missing, what is never repeated.
    """

    examples: ClassVar = (
        ("headwater contract infer orders.csv > orders.odcs.yaml", "a first contract"),
        ("headwater contract check orders.odcs.yaml orders.csv", "each term a line, exit code 1"),
        ("headwater contract check orders.odcs.yaml shop.raw --json", "a dataset, for a build"),
    )

    action: Annotated[Literal["infer", "check"], Argument("infer|check", "what to do")]
    given: Annotated[
        tuple[str, ...], Argument("[CONTRACT] DATA", "a contract first where one is checked")
    ]
    name: Annotated[str, Option("name of an inferred contract and its table", "NAME")] = ""
    null: Annotated[
        tuple[str, ...], Option("what a missing value looks like in a CSV file", "TEXT")
    ] = ()
    delimiter: Annotated[str, Option("what parts the fields of a CSV file", "CHARACTER")] = ""

    async def execute(self, console: Console) -> Exit:
        """Do what was asked."""
        wanted = 1 if self.action == "infer" else 2
        if len(self.given) != wanted:
            what = "DATA" if wanted == 1 else "CONTRACT and DATA"
            raise Usage(f"contract {self.action} takes {what}")
        if len(self.delimiter) > 1:
            raise Usage(f"{self.delimiter!r} is not one character")
        path = await self._path(self.given[-1])
        if self.action == "infer":
            return await self._infer(console, path)
        return await self._check(console, path)

    async def _infer(self, console: Console, path: Path) -> Exit:
        from runtime.wiring.contracts import infer_contract  # the engine is slow to import

        name = self.name or _name_of(self.given[-1])
        found, text = await to_thread.run_sync(infer_contract, self._data(path), name)
        if self.json:
            print_document(console, found)
        else:
            console.print(text.rstrip("\n"))
        return Exit.DONE

    async def _check(self, console: Console, path: Path) -> Exit:
        from runtime.wiring.contracts import check_contract

        found = await to_thread.run_sync(check_contract, self.given[0], self._data(path))
        found["data"] = self.given[1]
        if self.json:
            print_document(console, found)
        else:
            _tell(console, found)
        return Exit.DONE if found["ok"] else Exit.FAILED

    def _data(self, path: Path) -> Any:
        from runtime.wiring.contracts import Data

        return Data(path=path, nulls=self.null, delimiter=self.delimiter)

    async def _path(self, named: str) -> Path:
        """The file meant, or the file of a dataset's newest version."""
        if _is_file(named):
            return Path(named)
        way = Way(self)
        async with way.reading() as session:
            version = await session.query("lineage.dataset", {"dataset": named})
        return await kept(way, {**version, "dataset": named})


_SUFFIXES = (".csv", ".tsv", ".txt", ".gz", ".jsonl", ".ndjson", ".parquet", ".pq")


def _is_file(named: str) -> bool:
    return "/" in named or named.endswith(_SUFFIXES) or Path(named).is_file()


def _name_of(data: str) -> str:
    stem = Path(data).name.partition(".")[0] if _is_file(data) else data
    return re.sub(r"\W+", "_", stem).strip("_") or "data"


def _tell(console: Console, found: Document) -> None:
    signs = {"error": console.styled("✗", "red"), "warn": console.styled("!", "yellow")}
    for term in found["terms"]:
        sign = console.styled("✓", "green") if term["passed"] else signs[term["severity"]]
        console.print(f"{sign} {_said(term)}")
        for row in term["rows"]:
            console.print(f"    {row}")
    for text in found["unchecked"]:
        console.print(f"  not checked: {text}")
    broken = sum(not one["passed"] for one in found["terms"])
    total = plural(len(found["terms"]), "term")
    console.note(f"{broken} of {total} broken" if broken else f"{total}, all kept")


def _said(term: Mapping[str, Any]) -> str:
    text = term["rule"] if term["name"] == term["rule"] else f"{term['name']}: {term['rule']}"
    found = term["observed"]
    if term["failing_rows"] and not found:
        failing = term["failing_rows"]
        found = f"{plural(failing, 'row')} {'breaks' if failing == 1 else 'break'} it"
    where = f" ({term['where']})" if term["where"] and not term["passed"] else ""
    return f"{text}{': ' + found if found else ''}{where}"
