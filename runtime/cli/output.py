"""Lists and documents in the form that was asked for."""

import csv
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from runtime.cli.console import Console
from runtime.cli.table import Column, render


def print_document(console: Console, document: Mapping[str, Any]) -> None:
    """One JSON object, indented."""
    console.print(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())


def print_line(console: Console, document: Mapping[str, Any]) -> None:
    """One JSON object in one line, at once."""
    console.print(msgspec.json.encode(document).decode())
    console.out.flush()


def print_list(
    console: Console,
    form: str,
    document: Mapping[str, Any],
    columns: Sequence[Column],
    *,
    nothing: str,
) -> None:
    """A document with `items`. `nothing` says, where a person reads it, what to do next."""
    items: Sequence[Mapping[str, Any]] = document["items"]
    match form:
        case "json":
            print_document(console, document)
        case "jsonl":
            for item in items:
                print_line(console, item)
        case "csv":
            print_csv(console, items)
        case _:
            if items:
                for line in render(console, columns, items):
                    console.print(line)
            else:
                console.note(nothing)
            if document.get("next"):
                console.note("There are more; ask for them with a higher --limit.")


def print_csv(
    console: Console,
    items: Sequence[Mapping[str, Any]],
    names: Sequence[str] = (),
    *,
    heads: bool = True,
) -> None:
    """Every key of the items as a column; lists and objects as JSON, null as nothing."""
    columns = list(names) or list(dict.fromkeys(name for item in items for name in item))
    writer = csv.writer(console.out, lineterminator="\n")
    if heads and columns:
        writer.writerow(columns)
    for item in items:
        writer.writerow([_csv_cell(item.get(name)) for name in columns])


def _csv_cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list | tuple):
        return msgspec.json.encode(value).decode()
    return value
