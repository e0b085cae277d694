"""The hash chain in the store's file: written with the events, read beside them."""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Self
from uuid import UUID

from adapters.eventstore.connection import (
    Connection,
    connected,
    layout,
    layout_of,
    layout_unchained,
    prepare,
    transaction,
)
from adapters.eventstore.sealed import Sealed, sealed_positions, segments_behind
from domain.chain import Link, StoredRow, link_bytes, links_after, start_of
from domain.errors import Unavailable
from domain.ids import Position
from projections.ports import ChainPage, EventChain

chained_rows_max = 1_000
"""Old events that get their links in one transaction: bounds its memory and its time."""

damage_told_max = 100
"""Broken places of the file that are told."""

_SELECT_LAST = "SELECT substr(links, -32) FROM event_links ORDER BY first_position DESC LIMIT 1"


def insert_links(connection: sqlite3.Connection, previous: Link, rows: Sequence[StoredRow]) -> None:
    """Chain rows that are written in the open transaction, whose positions follow each other."""
    if rows:
        connection.execute(
            "INSERT INTO event_links VALUES (?, ?)",
            (rows[0][0], b"".join(links_after(previous, rows))),
        )


async def prepared(writing: Connection) -> UUID:
    """Bring the store's file up to date, made where it is missing; returns the store's id.

    Raises `Malformed` for a newer one, `Unavailable`, `StorageFull`.
    """
    store_id = await writing.run(prepare)
    while await writing.run(partial(chain_old_events, store_id=store_id)):
        pass
    return store_id


def chain_old_events(connection: sqlite3.Connection, store_id: UUID) -> bool:
    """Chain some of the events of a store that has had no chain; False where none are left.

    Each call is one transaction, so that an opening that is cut off goes on with the next one.
    """
    with transaction(connection):
        if layout_of(connection) != layout_unchained:
            return False
        last = connection.execute(
            "SELECT first_position, length(links) FROM event_links"
            " ORDER BY first_position DESC LIMIT 1"
        ).fetchone()
        after = last[0] + last[1] // link_bytes - 1 if last else 0
        previous = connection.execute(_SELECT_LAST).fetchone()
        rows = connection.execute(f"{_SELECT_ROWS} LIMIT ?", (after, chained_rows_max)).fetchall()
        links = list(links_after(previous[0] if previous else start_of(store_id), rows))
        start = 0
        for end in range(1, len(rows) + 1):
            # Positions of an old store may have gaps, and those of a row of links have none.
            if end == len(rows) or rows[end][0] != rows[end - 1][0] + 1:
                found = (rows[start][0], b"".join(links[start:end]))
                connection.execute("INSERT INTO event_links VALUES (?, ?)", found)
                start = end
        if len(rows) < chained_rows_max:
            connection.execute(f"PRAGMA user_version = {layout:d}")
            return False
        return True


class SqliteEventChain(EventChain):
    """Events and links of one SQLite file, which is read alone, whoever writes to it."""

    def __init__(self, store_id: UUID, reading: Connection) -> None:
        self._store_id = store_id
        self._reading = reading
        self._sealed = Sealed(reading.path)

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path | str) -> AsyncIterator[Self]:
        """Open the file, which must be there. Raises `Unavailable`, `Malformed`."""
        async with connected(Path(path), read_only=True) as reading:
            yield cls(await reading.run(_identify), reading)

    @property
    def store_id(self) -> UUID:
        """Made once with the file."""
        return self._store_id

    async def page(self, after: Position, limit: int) -> ChainPage:
        """Events and links behind `after`, as they lie there."""
        return await self._reading.run(
            partial(_select_page, sealed=self._sealed, after=after, limit=limit)
        )

    async def damage(self) -> Sequence[str]:
        """What SQLite's own check says of the file, its indexes among it."""
        return await self._reading.run(_check)


_SELECT_ROWS = """
SELECT rowid,
       CASE typeof(originator_id) WHEN 'text' THEN originator_id ELSE '' END,
       CASE typeof(originator_version) WHEN 'integer' THEN originator_version ELSE -1 END,
       CASE typeof(topic) WHEN 'text' THEN topic ELSE '' END,
       CASE typeof(state) WHEN 'blob' THEN state ELSE x'' END
FROM stored_events WHERE rowid > ? ORDER BY rowid"""

_SELECT_LINKS = """
SELECT first_position, CASE typeof(links) WHEN 'blob' THEN links ELSE x'' END
FROM event_links
WHERE first_position >= coalesce((SELECT max(first_position) FROM event_links
                                  WHERE first_position <= ?1), ?1)
ORDER BY first_position"""


def _identify(connection: sqlite3.Connection) -> UUID:
    connection.text_factory = _text
    if layout_of(connection) != layout:
        raise Unavailable(
            "the event store is still as an older Headwater has left it",
            hint="it is brought up to date when it is next opened, such as by `headwater runs`",
        )
    (store_id,) = connection.execute("SELECT store_id FROM store_identity").fetchone()
    return UUID(store_id)


def _text(stored: bytes) -> str:
    return stored.decode("utf-8", "surrogateescape")


def _select_page(
    connection: sqlite3.Connection, sealed: Sealed, after: Position, limit: int
) -> ChainPage:
    connection.execute("BEGIN")  # one moment, whoever goes on writing
    try:
        return _page(connection, sealed, after, limit)
    finally:
        connection.execute("ROLLBACK")


def _page(connection: sqlite3.Connection, sealed: Sealed, after: Position, limit: int) -> ChainPage:
    try:
        links, more_links = _links(connection, after, limit)
        (given,) = connection.execute(
            "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'stored_events'"
        ).fetchone()
        segments = segments_behind(connection, after)
    except sqlite3.DatabaseError as error:
        return ChainPage(rows=(), links=(), until=after, broken=_reason(error))
    unreadable: dict[Position, str] = {}
    try:
        rows = connection.execute(f"{_SELECT_ROWS} LIMIT ?", (after, limit)).fetchall()
    except sqlite3.DatabaseError:
        rows, unreadable = _one_by_one(connection, [position for position, _ in links])
        limit = max(limit, len(links))
    for segment in segments:
        try:
            rows = sealed.merged(rows, [segment], after, limit)
        except Unavailable as error:
            unreadable |= dict.fromkeys(sealed_positions(connection, segment, links), error.message)
    # The page ends where both are complete.
    ends = [rows[-1][0]] if len(rows) >= limit else []
    ends += [links[-1][0]] if more_links else []
    until = min(ends, default=max([after, *(p for p, _ in links), *(row[0] for row in rows)]))
    return ChainPage(
        rows=[row for row in rows if row[0] <= until],
        links=[one for one in links if one[0] <= until],
        until=until,
        unreadable={p: reason for p, reason in unreadable.items() if p <= until},
        given=given,
        is_last=not ends,
    )


def _links(
    connection: sqlite3.Connection, after: Position, limit: int
) -> tuple[list[tuple[Position, Link]], bool]:
    """Links behind `after`, of at least `limit` events, and whether there are more."""
    found: list[tuple[Position, Link]] = []
    for first, links in connection.execute(_SELECT_LINKS, (after + 1,)):
        if len(found) >= limit:
            return found, True
        for place in range(0, len(links), link_bytes):
            position = first + place // link_bytes
            if position > after:
                found.append((position, links[place : place + link_bytes]))
    return found, False


def _one_by_one(
    connection: sqlite3.Connection, positions: Sequence[Position]
) -> tuple[list[StoredRow], dict[Position, str]]:
    """The events at some positions that can be read, and why the others cannot."""
    rows: list[StoredRow] = []
    unreadable: dict[Position, str] = {}
    for position in positions:
        try:
            row = connection.execute(f"{_SELECT_ROWS} LIMIT 1", (position - 1,)).fetchone()
        except sqlite3.DatabaseError as error:
            unreadable[position] = _reason(error)
        else:
            rows += [row] if row and row[0] == position else []
    return rows, unreadable


def _check(connection: sqlite3.Connection) -> Sequence[str]:
    try:
        found = connection.execute(f"PRAGMA integrity_check({damage_told_max:d})").fetchall()
    except sqlite3.DatabaseError as error:
        return (_reason(error),)
    return [str(line) for (line,) in found if line != "ok"]


def _reason(error: sqlite3.DatabaseError) -> str:
    """The same words for a damaged file; an error that may pass is raised again."""
    if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF in (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_INTERRUPT,
    ):
        raise error
    return str(error)
