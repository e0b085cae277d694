"""A `headwater` that dies before its n-th change of the file system or of an SQLite file.

python -m tests.faults.dying N ARGUMENTS…
"""

import os
import sqlite3
import sys
from collections.abc import Callable, Sequence
from typing import Any

from runtime.cli import main

code = 137
"""How it ends, as after kill -9."""

_CHANGES = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"}


_STATEMENTS = ("BEGIN IMMEDIATE", "INSERT", "DELETE", "UPDATE", "COMMIT", "VACUUM")


def die_before(change: int) -> None:
    """End this process without a word before that change, counted from 1."""
    changes = 0

    def count() -> None:
        nonlocal changes
        changes += 1
        if changes == change:
            os._exit(code)

    def traced(statement: str) -> None:
        if statement.lstrip().startswith(_STATEMENTS):
            count()

    def audited(event: str, arguments: Sequence[Any]) -> None:
        if event in _CHANGES or (event == "open" and _writes(arguments)):
            count()

    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def watched(*given: Any, **named: Any) -> sqlite3.Connection:
        connection = connect(*given, **named)
        connection.set_trace_callback(traced)
        return connection

    vars(sqlite3)["connect"] = watched
    sys.addaudithook(audited)


def _writes(opened: Sequence[Any]) -> bool:
    path, _, flags = opened
    is_ours = isinstance(path, str) and "__pycache__" not in path and not path.startswith("/dev/")
    return is_ours and isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR))


if __name__ == "__main__":
    die_before(int(sys.argv[1]))
    sys.argv = ["headwater", *sys.argv[2:]]
    sys.exit(main())
