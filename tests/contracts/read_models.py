"""Read models of each kind, as fixtures' helpers: a file, PostgreSQL, memory, and memory under
virtual time."""

import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest

from adapters.postgres import Database
from adapters.readmodels.postgres import PostgresReadModels
from adapters.readmodels.sqlite import SqliteReadModels
from domain.errors import Defect
from projections.ports import Add, Bulk, Change, Delete, DeleteWhere, Put

Kind = Literal["file", "postgres", "memory", "memory on trio"]
KINDS: tuple[Kind, ...] = ("file", "postgres", "memory", "memory on trio")

Models = SqliteReadModels | PostgresReadModels

Place = Path | Database
"""A folder for a file, or the database itself."""


def loop_of(kind: Kind) -> str:
    """The event loop under which this kind is tried."""
    return "trio" if kind == "memory on trio" else "asyncio"


def place_for(kind: Kind, request: pytest.FixtureRequest) -> Place:
    """Where read models of a kind may lie."""
    if kind == "postgres":
        database: Database = request.getfixturevalue("database")
        return database
    folder: Path = request.getfixturevalue("tmp_path")
    return folder


@asynccontextmanager
async def open_read_models(kind: Kind, place: Place) -> AsyncIterator[Models]:
    """Open read models of a kind; at one place they are the same ones each time."""
    if isinstance(place, Database):
        async with PostgresReadModels.open(place) as opened:
            yield opened
    else:
        async with _open_sqlite(kind, place) as opened_file:
            yield opened_file


@asynccontextmanager
async def _open_sqlite(kind: Kind, folder: Path) -> AsyncIterator[SqliteReadModels]:
    match kind:
        case "file":
            async with SqliteReadModels.open(folder / "views.db") as opened:
                yield opened
        case "postgres":
            raise Defect("PostgreSQL needs a database, not a folder")
        case "memory":
            async with SqliteReadModels.open_in_memory() as opened:
                yield opened
        case "memory on trio":
            async with SqliteReadModels.open_in_memory(inline=True) as opened:
                yield opened


async def tamper(models: Models, statement: str, values: tuple[object, ...] = ()) -> int:
    """Do to the database what nobody should; returns how many rows it changed."""
    if isinstance(models, PostgresReadModels):
        numbered = "".join(
            part + (f"${place}" if place <= len(values) else "")
            for place, part in enumerate(statement.split("?"), 1)
        )
        async with models._writer.session() as session:
            told = await session.execute(numbered, *values)
        count = told.rpartition(" ")[2]
        return int(count) if count.isdecimal() else 0

    def work(connection: sqlite3.Connection) -> int:
        return connection.execute(statement, values).rowcount

    return await models._writer.run(work)


async def rows_of(models: Models, table: str) -> list[tuple[object, ...]]:
    """All rows of a table in the order of its key."""
    if not table.replace("_", "").isalpha():
        raise Defect(f"{table!r} is no table's name")
    if isinstance(models, PostgresReadModels):
        async with models._writer.session() as session:
            keys = await session.fetchval(_KEY_OF, table)
            rows = await session.fetch(f'SELECT * FROM "{table}" ORDER BY {keys}')  # noqa: S608  # checked
            return [tuple(row) for row in rows]

    def work(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
        return list(connection.execute(f'SELECT * FROM "{table}"'))  # noqa: S608  # checked

    return await models._writer.run(work)


_KEY_OF = """
SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.place)
FROM pg_index i CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = to_regclass($1) AND i.indisprimary
"""


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
