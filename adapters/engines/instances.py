"""DuckDB instances, which stay: to open one takes about 13 ms of processor time, all of it the
engine's own set-up, and that is more than a small step's whole work.

Whoever needs one works in a connection of its own, whose views and temporary tables end with it.
What confines an instance is set once and cannot be changed from inside.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import duckdb
from msgspec import Struct

from commands.steps.sql import literal


class Settings(Struct, frozen=True, kw_only=True):
    """How instances are set up."""

    threads: int
    spill_folder: str
    walls: str = ""
    """SQL that confines an instance once its memory is known."""


class Instance:
    """An instance that is opened when it is needed, and stays until it is given up."""

    def __init__(self, opener: ThreadPoolExecutor, settings: Settings) -> None:
        self._opener = opener
        self._settings = settings
        self._root: Future[duckdb.DuckDBPyConnection] | None = None
        self._memory_bytes: int | None = None

    @property
    def root(self) -> duckdb.DuckDBPyConnection:
        """Its first connection."""
        self.prepare()
        assert self._root is not None  # noqa: S101  # just prepared
        return self._root.result()

    def prepare(self) -> None:
        """Have it opened; does not wait for it."""
        if self._root is None:
            self._root = self._opener.submit(self._open)

    @contextmanager
    def connection(self, memory_bytes: int) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for the time of the block; `memory_bytes` bound the whole instance.

        One in which something went wrong is not used again.
        """
        try:
            self._bound(memory_bytes)
            connection = self.root.cursor()
            try:
                yield connection
            finally:
                connection.close()
        except BaseException:
            self.give_up()
            raise

    def give_up(self) -> None:
        """Close it. That takes as long as a small step's work, and nobody needs to wait for it."""
        if self._root is not None:
            self._opener.submit(self._root.result().close)
        self._root = self._memory_bytes = None

    def _bound(self, memory_bytes: int) -> None:
        if self._memory_bytes == memory_bytes:
            return
        if self._memory_bytes is not None and self._settings.walls:
            self.give_up()  # within its walls the limit cannot be changed
        limit = f"set memory_limit = '{memory_bytes // 1024}KiB'"
        self.root.execute(f"{limit}; {self._settings.walls}")
        self._memory_bytes = memory_bytes

    def _open(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(":memory:", config={"threads": self._settings.threads})
        connection.execute(
            f"""
            set temp_directory = {literal(self._settings.spill_folder)};
            set timezone = 'UTC';
            set preserve_insertion_order = true;
            set enable_progress_bar = false;
            set parquet_metadata_cache = true;
            set python_enable_replacements = false;
            set autoload_known_extensions = false;
            set autoinstall_known_extensions = false
            """
        )
        return connection
