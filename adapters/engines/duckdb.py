# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""DuckDB, opened for one step and confined to the step's files.

Users' SQL is confined to the room of the step in work, where its inputs are linked; statements of
Headwater's own are not, as they read what lies outside.
"""

import errno
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import lru_cache

import duckdb
import msgspec
from msgspec.structs import replace

from adapters.engines.instances import Instance, Settings
from adapters.engines.sql.outline import outline
from commands.steps.ports import Engine, Engines, Outline, SqlValue, StepBroken, broken
from commands.steps.sql import literal, quoted
from domain.pipeline.sinks import CsvSink, JsonlSink, ParquetSink, Sink

_STEADY = frozenset(
    {
        "COLUMN_DATA_SCAN",
        "CTE",
        "CTE_SCAN",
        "DUMMY_SCAN",
        "EMPTY_RESULT",
        "EXPRESSION_SCAN",
        "FILTER",
        "LIMIT",
        "PROJECTION",
        "READ_PARQUET",
        "STREAMING_LIMIT",
        "STREAMING_WINDOW",
        "TABLE_SCAN",
        "UNGROUPED_AGGREGATE",
        "UNNEST",
    }
)
"""Operators that hand rows on in the order in which they come."""

_ORDERED = frozenset({"ORDER_BY", "TOP_N"})
_PASSING = frozenset({"LIMIT", "PROJECTION", "STREAMING_LIMIT"})
_STEADY_JOINS = ("INNER", "LEFT", "SEMI", "ANTI", "MARK", "SINGLE")
_SMALL = "format parquet, compression lz4_raw"
_LARGE = f"{_SMALL}, parquet_version v2, dictionary_size_limit 1000, write_bloom_filter false"
"""A sixth less to write, as what has many values goes into no dictionary. One of a fixed size is
what a file of one row would have to pay for."""

_outlines_max = 256
"""Texts whose outline is kept at hand: each is asked for more than once."""

_PLACE = re.compile(r"\n\nLINE (\d+):")


class _Operator(msgspec.Struct):
    name: str
    children: list["_Operator"] = []
    extra_info: dict[str, object] = {}


class DuckEngines(Engines):
    """Opens DuckDB within one bound of memory.

    `room` is a folder for the files of the step in work: what is in it, every query may read. What
    does not fit into memory is spilled below it.
    """

    def __init__(self, room: str, threads: int) -> None:
        self._room = f"{room}/"
        self._settings = Settings(threads=threads, spill_folder=f"{room}/spill")
        self._opener = ThreadPoolExecutor(1, thread_name_prefix="duckdb")
        self._own = Instance(self._opener, self._settings)
        self._roomed = self._walled(f"allowed_directories = [{literal(self._room)}]")
        self._outlines = lru_cache(_outlines_max)(lambda sql: outline(sql, self._ask))
        self.memory_bytes = 1 << 30

    @property
    def version(self) -> str:
        return f"duckdb {duckdb.__version__}"

    def outline(self, sql: str) -> Outline:
        return self._outlines(sql)

    def prepare(self) -> None:
        """Have an instance made ready for the next step; does not wait for it."""
        self._roomed.prepare()

    def close(self) -> None:
        """Return when every instance is closed."""
        self._own.give_up()
        self._roomed.give_up()
        self._opener.shutdown()

    @contextmanager
    def open(self, views: Mapping[str, str], files: Sequence[str] = ()) -> Iterator[Engine]:
        paths = (*views.values(), *files)
        if all(path.startswith(self._room) for path in paths):
            with self._connected(self._roomed, views) as engine:
                yield engine
            return
        walled = self._walled(f"allowed_paths = [{', '.join(map(literal, dict.fromkeys(paths)))}]")
        try:
            with self._connected(walled, views) as engine:
                yield engine
        finally:
            walled.give_up()

    def share(self) -> AbstractContextManager[Engine]:
        return self._connected(self._own, {})

    @contextmanager
    def _connected(self, instance: Instance, views: Mapping[str, str]) -> Iterator[Engine]:
        with instance.connection(self.memory_bytes) as connection:
            with _translated():
                for name, path in views.items():
                    connection.execute(
                        f"create temp view {quoted(name)} as from read_parquet({literal(path)})"
                    )
            yield DuckEngine(connection)

    def _walled(self, allowed: str) -> Instance:
        walls = f"set {allowed}; set enable_external_access = false; set lock_configuration = true"
        return Instance(self._opener, replace(self._settings, walls=walls))

    def _ask(self, statement: str, q: str) -> str:
        with _translated():
            found = self._roomed.root.cursor().execute(statement, {"q": q}).fetchone()
        return str(found[0]) if found else ""


class DuckEngine(Engine):
    """One confined instance."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def columns(self, query: str) -> dict[str, str]:
        described = self.rows(f"select column_name, column_type from (describe {query})")
        return {str(name): str(type_) for name, type_ in described}

    def params(self, query: str) -> frozenset[str]:
        with _translated():
            statements = self._connection.extract_statements(query)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise broken("sql_error", "one SELECT is wanted, and nothing else", hint="drop the `;`")
        return frozenset(statements[0].named_parameters)

    def rows(
        self, statement: str, params: Mapping[str, SqlValue] | None = None
    ) -> Sequence[tuple[object, ...]]:
        with _translated():
            result = self._connection.execute(statement, dict(params) if params else None)
            return result.fetchall()

    def settled(self, query: str, params: Mapping[str, SqlValue]) -> str:
        query = query.strip().removesuffix(";")
        explained = self.rows(f"explain (format json) {query}", params)
        roots = msgspec.json.decode(str(explained[0][1]), type=list[_Operator])
        if all(_is_settled(root) for root in roots):
            return query
        return f"from (\n{query}\n) order by all"

    def save(
        self,
        query: str,
        target: str,
        params: Mapping[str, SqlValue] | None = None,
        sink: Sink | None = None,
        *,
        large: bool = False,
    ) -> None:
        options = (_LARGE if large else _SMALL) if sink is None else _options(sink)
        self.rows(
            f"copy (\n{query}\n) to {literal(target)} ({options}, use_tmp_file false)", params
        )


def _options(sink: Sink) -> str:
    match sink:
        case ParquetSink(compression=compression):
            codec = "uncompressed" if compression == "none" else compression
            return f"format parquet, compression {codec}"
        case CsvSink(path=path, delimiter=delimiter, header=header):
            shape = f"format csv, header {str(header).lower()}, delimiter {literal(delimiter)}"
            return shape + _gzip(path)
        case JsonlSink(path=path):
            return "format json, array false" + _gzip(path)


def _gzip(path: str) -> str:
    return ", compression gzip" if path.endswith(".gz") else ", compression none"


def _is_settled(operator: _Operator) -> bool:
    """Whether the same files always give the rows in the same order."""
    top = operator
    while top.name in _PASSING and top.children:
        top = top.children[0]
    return top.name in _ORDERED or _is_steady(operator)


def _is_steady(operator: _Operator) -> bool:
    if operator.name.endswith("_JOIN"):
        kind = str(operator.extra_info.get("Join Type", ""))
        steady = operator.name == "HASH_JOIN" and kind in _STEADY_JOINS
    else:
        steady = operator.name in _STEADY or operator.name in _ORDERED
    return steady and all(_is_steady(child) for child in operator.children)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise broken(
            "memory_exceeded",
            f"the query needs more memory than it may have: {_first(error)}",
            hint="give the step more `memory`, or split it",
        ) from error
    except duckdb.PermissionException as error:
        raise broken(
            "sql_error",
            _first(error),
            hint="a query can read the steps before it, no files and no settings",
        ) from error
    except duckdb.IOException as error:
        raise _unread(error) from error
    except duckdb.Error as error:
        raise _broken_by(error) from error


def _unread(error: duckdb.IOException) -> StepBroken:
    """The disk's own word. Where it is about no file, it is about the query."""
    for number in (errno.EIO, errno.EROFS, errno.ENODEV, errno.ESTALE):
        if os.strerror(number) in str(error):
            return broken("io_error", _first(error), hint="look at the disk", retryable=True)
    return _broken_by(error)


def _broken_by(error: duckdb.Error) -> StepBroken:
    text = str(error)
    if "No space left on device" in text:
        return broken("storage_full", _first(error), hint="make room on the disk", retryable=True)
    place = _PLACE.search(text)
    message = text[: place.start()] if place else text
    return broken("sql_error", message, where=f"line {place.group(1)}" if place else "")


def _first(error: duckdb.Error) -> str:
    with suppress(IndexError):
        return str(error).splitlines()[0]
    return type(error).__name__
