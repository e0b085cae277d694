"""Rows written one by one, each told once its commit has returned: what guards the power cuts.

python -m tests.faults.campaign.writer TARGET SYNCHRONOUS
"""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import psycopg

TABLE = "CREATE TABLE IF NOT EXISTS written (n INTEGER PRIMARY KEY)"
INSERT = "INSERT INTO written SELECT coalesce(max(n), 0) + 1 FROM written RETURNING n"
_REPOSITORY = Path(__file__).parents[3]


def rows(target: str, synchronous: str) -> Iterator[int]:
    """Write to a file of SQLite or a database of PostgreSQL; a number is on the disk, or should."""
    if target.startswith("postgresql:"):
        with psycopg.connect(target, autocommit=True) as server:
            server.execute(TABLE)
            server.execute(f"SET synchronous_commit = {synchronous}".encode())
            while row := server.execute(INSERT).fetchone():
                yield int(row[0])
    file = sqlite3.connect(target, isolation_level=None)
    file.execute("PRAGMA journal_mode = WAL")
    file.execute(TABLE)
    file.execute(f"PRAGMA synchronous = {synchronous}")
    while True:
        yield int(file.execute(INSERT).fetchall()[0][0])


def told(target: str, synchronous: str, count: int, **given: str) -> set[int]:
    """What a writer has told until it was killed, behind `count` numbers or a few more."""
    command = [sys.executable, "-m", "tests.faults.campaign.writer", target, synchronous]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=_REPOSITORY, env={**os.environ, **given}
    ) as process:
        assert process.stdout is not None
        lines = list(islice(process.stdout, count))
        process.kill()
        lines += process.stdout
    assert len(lines) >= count, f"the writer ended by itself, behind {len(lines)} rows"
    return {int(line) for line in lines if line.endswith(b"\n")}


if __name__ == "__main__":
    for number in rows(*sys.argv[1:]):
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
