"""Plain baselines: what a store and a bare script do at best, without anything of ours."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import asyncpg

_STATE = b"x" * 500

group_rows = 100
"""Rows in a group commit: about what 64 callers have waiting."""


def sqlite_commits(folder: Path, rows: int, events: int = 2_000) -> float:
    """Events a second with a synced commit for each `rows` of them."""
    path = folder / f"raw-{rows}.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE events (id INTEGER PRIMARY KEY, state BLOB)")
        start = time.perf_counter()
        for _ in range(events // rows):
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO events (state) VALUES (?)", [(_STATE,)] * rows)
            connection.execute("COMMIT")
        return events / (time.perf_counter() - start)


def postgres_commits(url: str, password: str, rows: int, events: int = 2_000) -> float:
    """The same in PostgreSQL, through asyncpg."""

    async def measure() -> float:
        connection = await asyncpg.connect(url, password=password)
        try:
            await connection.execute(
                "CREATE TABLE IF NOT EXISTS raw_events"
                " (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, state bytea)"
            )
            start = time.perf_counter()
            for _ in range(events // rows):
                await connection.execute(
                    "INSERT INTO raw_events (state) SELECT unnest($1::bytea[])", [_STATE] * rows
                )
            return events / (time.perf_counter() - start)
        finally:
            await connection.close()

    return asyncio.run(measure())
