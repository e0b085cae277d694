# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""DuckDB, opened for one step and confined to the step's files.

Opening an instance takes about 13 ms of processor time, all of it the engine's own set-up. A warm
child therefore keeps one spare instance ready (`DuckEngines.prepare`); what confines it is set when
a step takes it and cannot be changed by the step's SQL. Statements of Headwater's own need no such
walls: they share one instance, which stays.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import lru_cache

import duckdb
import msgspec

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
_outlines_max = 256
"""Texts whose outline is kept at hand: each is asked for more than once."""

_PLACE = re.compile(r"\n\nLINE (\d+):")


class _Operator(msgspec.Struct):
    name: str
    children: list["_Operator"] = []
    extra_info: dict[str, object] = {}


class DuckEngines(Engines):
    """Opens DuckDB within one bound of memory. What does not fit is spilled to `spill_folder`."""

    def __init__(self, spill_folder: str, threads: int) -> None:
        self._spill_folder = spill_folder
        self._threads = threads
        self._spare: Future[duckdb.DuckDBPyConnection] | None = None
        self._shared: duckdb.DuckDBPyConnection | None = None
        self._opener = ThreadPoolExecutor(1, thread_name_prefix="duckdb")
        self._outlines = lru_cache(_outlines_max)(lambda sql: outline(sql, self._ask))
        self.memory_bytes = 1 << 30

    @property
    def version(self) -> str:
        return f"duckdb {duckdb.__version__}"

    def outline(self, sql: str) -> Outline:
        return self._outlines(sql)

    def prepare(self) -> None:
        """Have an instance made ready for the next step; does not wait for it."""
        if self._spare is None:
            self._spare = self._opener.submit(self._connect)

    def close(self) -> None:
        """Give the spare instance up; return when every instance is closed."""
        if self._spare is not None:
            self._spare.result().close()
            self._spare = None
        if self._shared is not None:
            self._shared.close()
            self._shared = None
        self._opener.shutdown()

    @contextmanager
    def open(self, views: Mapping[str, str], files: Sequence[str] = ()) -> Iterator[Engine]:
        connection = self._taken()
        try:
            with _translated():
                self._confine(connection, [*views.values(), *files])
                for name, path in views.items():
                    connection.execute(
                        f"create view {quoted(name)} as from read_parquet({literal(path)})"
                    )
            yield DuckEngine(connection)
        finally:
            # Closing takes as long as a small step's whole work, and nobody needs to wait for it.
            self._opener.submit(connection.close)

    @contextmanager
    def share(self) -> Iterator[Engine]:
        with _translated():
            if self._shared is None:
                self._shared = self._connect()
            connection = self._shared.cursor()
            connection.execute(self._memory_limit)
        try:
            yield DuckEngine(connection)
        except BaseException:
            # Whatever went wrong in it, the next one to come finds an instance in order.
            self._shared.close()
            self._shared = None
            raise
        finally:
            connection.close()

    def _ask(self, statement: str, q: str) -> str:
        # The instance that waits for the next step answers; this leaves nothing behind in it.
        self.prepare()
        assert self._spare is not None  # noqa: S101  # just prepared
        with _translated():
            found = self._spare.result().execute(statement, {"q": q}).fetchone()
        return str(found[0]) if found else ""

    @property
    def _memory_limit(self) -> str:
        return f"set memory_limit = '{self.memory_bytes // 1024}KiB'"

    def _taken(self) -> duckdb.DuckDBPyConnection:
        spare, self._spare = self._spare, None
        return self._connect() if spare is None else spare.result()

    def _connect(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(":memory:", config={"threads": self._threads})
        connection.execute(
            f"""
            set temp_directory = {literal(self._spill_folder)};
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

    def _confine(self, connection: duckdb.DuckDBPyConnection, files: Sequence[str]) -> None:
        allowed = ", ".join(literal(path) for path in dict.fromkeys(files))
        connection.execute(
            f"""
            {self._memory_limit};
            set allowed_paths = [{allowed}];
            set enable_external_access = false;
            set lock_configuration = true
            """
        )


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
    ) -> None:
        options = "format parquet, compression lz4_raw" if sink is None else _options(sink)
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
    except duckdb.Error as error:
        raise _broken_by(error) from error


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
