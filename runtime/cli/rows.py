"""Rows of a dataset on the command line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anyio import to_thread

from domain.data.dataset import DatasetVersion
from domain.errors import NotFound
from runtime.cli import words
from runtime.cli.console import Console
from runtime.cli.output import print_csv, print_document, print_line
from runtime.cli.sessions import Way
from runtime.cli.table import Column, render
from runtime.session import Rows

_NUMBERS = ("INT", "DOUBLE", "FLOAT", "DECIMAL", "REAL", "HUGEINT")


async def kept(way: Way, version: Mapping[str, Any]) -> Path:
    """The file of a dataset version. Raises `NotFound` where it is neither on this machine nor
    in the bucket, `Malformed` where it is damaged."""
    from runtime.wiring.files import hold_content  # not for --help

    names = ("dataset", "fingerprint", "rows", "bytes")
    recorded = DatasetVersion(**{name: version[name] for name in names})
    if way.settings.datasets:
        from runtime.wiring.datasets import bring

        await to_thread.run_sync(bring, way.settings, way.datadir, recorded)
    path = way.datadir.dataset(recorded.fingerprint)
    if not path.is_file():
        raise NotFound(
            f"the rows of {version['dataset']} are not kept on this machine",
            hint=f"version {str(version['fingerprint'])[:12]}; run its pipeline again",
        )
    await to_thread.run_sync(hold_content, path, recorded)
    return path


def print_rows(
    console: Console, form: str, rows: Rows, version: Mapping[str, Any], *, whole: bool
) -> None:
    """Rows of a dataset version, whose `position` is that of the answer; `whole` where they are
    its own and not those of a query."""
    items = [dict(zip(rows.columns, row, strict=True)) for row in rows.rows]
    match form:
        case "json":
            more = None if not rows.more else str(len(items))
            told = {"dataset": version["dataset"], "fingerprint": version["fingerprint"]}
            listed = {"items": items, "next": more, "position": version["position"]}
            print_document(console, {**told, **listed})
        case "jsonl":
            for item in items:
                print_line(console, item)
        case "csv":
            print_csv(console, items, rows.columns)
        case _:
            for line in render(console, _columns(rows), items):
                console.print(line)
            total = version.get("rows")
            of = f" of {total:,}" if total is not None and whole else ""
            note = f"{words.plural(len(items), 'row')}{of}" + (
                "; more with --limit" if rows.more else ""
            )
            console.note(console.styled(note, "dim", err=True))


def _columns(rows: Rows) -> tuple[Column, ...]:
    return tuple(
        Column(
            title=name,
            text=_cell(name),
            right=any(kind.upper().startswith(number) for number in _NUMBERS)
            or "INT" in kind.upper(),
            gives_way=True,
        )
        for name, kind in zip(rows.columns, rows.types, strict=True)
    )


def _cell(name: str) -> Any:
    return lambda item: words.scalar(item[name])
