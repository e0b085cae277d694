"""A copy of the store's file as of one moment, while others write to it."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from adapters.eventstore.connection import place_of, translated
from adapters.eventstore.sealed import segments_behind


def copy_store(source: Path, target: Path) -> None:
    """Make `target`, one file that needs no other beside it; appends to `source` are not held up.

    Blocks: run it in a thread. Raises `Unavailable`, `StorageFull`.
    """
    with (
        translated(),
        closing(sqlite3.connect(place_of(source, "ro"), uri=True)) as reading,
        closing(sqlite3.connect(place_of(target, "rwc"), uri=True)) as writing,
    ):
        # All pages in one step are of one moment, and in WAL mode a reader keeps no writer waiting.
        reading.backup(writing, pages=-1)
        writing.execute("PRAGMA journal_mode = DELETE")


def segments_of(store: Path) -> Sequence[str]:
    """Names of the segments that a store needs beside it. Raises `Unavailable`."""
    with translated(), closing(sqlite3.connect(place_of(store, "ro"), uri=True)) as reading:
        return [segment.name for segment in segments_behind(reading, 0)]
