"""Read models of each kind, as fixtures' helpers: a file, memory, and memory under virtual time."""

import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from adapters.readmodels.sqlite import SqliteReadModels
from domain.errors import Defect
from projections.ports import Add, Bulk, Change, Delete, DeleteWhere, Put

Kind = Literal["file", "memory", "memory on trio"]
KINDS: tuple[Kind, ...] = ("file", "memory", "memory on trio")


def loop_of(kind: Kind) -> str:
    """The event loop under which this kind is tried."""
    return "trio" if kind == "memory on trio" else "asyncio"


@asynccontextmanager
async def open_read_models(kind: Kind, folder: Path) -> AsyncIterator[SqliteReadModels]:
    """Open read models of a kind; a file is the same one each time."""
    match kind:
        case "file":
            async with SqliteReadModels.open(folder / "views.db") as opened:
                yield opened
        case "memory":
            async with SqliteReadModels.open_in_memory() as opened:
                yield opened
        case "memory on trio":
            async with SqliteReadModels.open_in_memory(inline=True) as opened:
                yield opened


async def tamper(models: SqliteReadModels, statement: str, values: tuple[object, ...] = ()) -> int:
    """Do to the database what nobody should; returns how many rows it changed."""

    def work(connection: sqlite3.Connection) -> int:
        return connection.execute(statement, values).rowcount

    return await models._writer.run(work)


async def rows_of(models: SqliteReadModels, table: str) -> list[tuple[object, ...]]:
    """All rows of a table in the order of its key."""
    if not table.replace("_", "").isalpha():
        raise Defect(f"{table!r} is no table's name")

    def work(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
        return list(connection.execute(f'SELECT * FROM "{table}"'))  # noqa: S608  # checked

    return await models._writer.run(work)


def one_by_one(changes: Iterable[Change], key: tuple[str, ...] = ("a", "b")) -> list[Bulk]:
    """Changes as they stand, none of them merged; `key` is that of their table."""
    return [_bulk(change, key) for change in changes]


def _bulk(change: Change, key: tuple[str, ...]) -> Bulk:
    match change:
        case Put(table, place, values):
            return Bulk("put", table, tuple(values), [(*place, *values.values())])
        case Add(table, place, amounts):
            return Bulk("add", table, tuple(amounts), [(*place, *amounts.values())])
        case Delete(table, place):
            return Bulk("delete", table, key, [place])
        case DeleteWhere(table, values):
            return Bulk("delete", table, tuple(values), [tuple(values.values())])
