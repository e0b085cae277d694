"""What a session is given, and what it comes to."""

import threading
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from tests.postgres import PostgresServer


class Counted(Struct, kw_only=True):
    """What one session came to."""

    strikes: int
    slowest: float = 0.0
    """Longest time from a strike to the next acknowledgement, in seconds."""
    slowest_run: float = 0.0
    """Longest time from a strike to the next end of a run, in seconds."""
    counts: dict[str, int] = {}
    skipped: str = ""
    """Why it could not be tried here."""


class Room(Struct, kw_only=True):
    """What a session may use."""

    folder: Path
    """An empty folder; kept where the session fails."""
    postgres: Callable[[], PostgresServer]
    free_port: Callable[[], int]


Session = Callable[[Room, int, int], Counted]
"""Given a room, a seed and how many strikes. Raises `AssertionError` where a promise is broken."""


def stay(seconds: float) -> None:
    """Leave a fault in place for a while."""
    threading.Event().wait(seconds)
