# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""Empty tables of known columns, against which SQL is bound without running it."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime

import duckdb

from commands.steps.ports import SqlValue
from commands.steps.sql import quoted, sql_type
from domain.errors import Malformed
from domain.pipeline.names import did_you_mean
from domain.pipeline.params import Param, ParamType

Columns = Mapping[str, str]
"""Name → type in the engine's words, in order."""

_PLACE = re.compile(r"\n\nLINE (\d+): ")
_CANDIDATES = re.compile(
    r"\n(?:Candidate bindings|Did you mean|Candidate functions):?\s*(.*)", re.DOTALL
)
_KIND = re.compile(r"^[A-Z][A-Za-z ]* Error: ")
_SAMPLES: dict[ParamType, SqlValue] = {
    "string": "x",
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "date": date(2000, 1, 1),
    "timestamp": datetime(2000, 1, 1),  # noqa: DTZ001 # a timestamp param has no zone of its own
}
RUN_TIME = datetime(2000, 1, 1, tzinfo=UTC)
"""What `$run_time` stands for while nothing runs."""


class SqlRefused(Malformed):
    """DuckDB refuses a text; `text_line` is the line in it, where it is known."""

    def __init__(self, message: str, *, hint: str = "", text_line: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.text_line = text_line


class EmptyTables:
    """A locked DuckDB without any data. Its tables come and go with each question."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, params: Mapping[str, Param]) -> None:
        self._connection = connection
        self._params = params
        self._tables: dict[str, Columns] = {}

    def columns_of(self, sql: str, inputs: Mapping[str, Columns]) -> dict[str, str]:
        """Name → type of what a query over `inputs` gives. Raises `SqlRefused`."""
        values = self._values(sql)
        self.with_tables(inputs)
        rows = self._rows(f"describe ({_bare(sql)})", values)
        names = [str(row[0]) for row in rows]
        for place, name in enumerate(names):
            if name.lower() in [one.lower() for one in names[:place]]:
                raise SqlRefused(f"two columns are called `{name}`", hint="name one with `as`")
        return {str(row[0]): _stored(str(row[1])) for row in rows}

    def values_of(self, sql: str) -> dict[str, SqlValue]:
        """Sample values of the params that a query asks for. Raises `SqlRefused`."""
        return self._values(sql)

    def check_syntax(self, sql: str) -> None:
        """Raise `SqlRefused` for what is no single query."""
        self._values(sql)

    def type_of(self, expression: str, columns: Columns) -> str:
        """The type of an expression over one table's columns. Raises `SqlRefused`."""
        # In brackets of its own, so that no text can end the expression and go on.
        query = f"select ({expression}\n) as it from rows_of_input"
        found = self.columns_of(query, {"rows_of_input": columns})
        if list(found) != ["it"]:
            raise SqlRefused("one expression is wanted, and nothing else")
        return found["it"]

    def settled_type(self, type_: str) -> str:
        """A type as the engine itself writes it."""
        return self.columns_of(f"select cast(null as {type_}) as it", {})["it"]

    def with_tables(self, tables: Mapping[str, Columns]) -> duckdb.DuckDBPyConnection:
        """The engine, which now has these tables and no others."""
        changes = [
            f"drop table {quoted(name)}"
            for name, columns in self._tables.items()
            if tables.get(name) != columns
        ]
        for name, columns in tables.items():
            if self._tables.get(name) != columns:
                shown = ", ".join(
                    f"{quoted(one)} {sql_type(type_)}" for one, type_ in columns.items()
                )
                changes.append(f"create table {quoted(name)} ({shown})")
        if changes:
            self._rows("; ".join(changes), {})
            self._tables = dict(tables)
        return self._connection

    def _values(self, sql: str) -> dict[str, SqlValue]:
        try:
            statements = self._connection.extract_statements(sql)
        except duckdb.Error as error:
            raise refused(error) from error
        if not statements:
            raise SqlRefused("there is no query")
        if len(statements) > 1:
            raise SqlRefused(f"{len(statements)} statements", hint="write one SELECT")
        kind = statements[0].type
        if kind != duckdb.StatementType.SELECT:
            hint = "write one SELECT"
            if kind == duckdb.StatementType.MULTI:
                hint = "write `from STEP pivot (… for COLUMN in (…))`, which names its columns"
            raise SqlRefused("a step's SQL is one query", hint=hint)
        return {name: self._value(name) for name in statements[0].named_parameters}

    def _value(self, name: str) -> SqlValue:
        if name == "run_time":
            return RUN_TIME
        if name in ("partition_start", "partition_end"):
            raise SqlRefused(f"`${name}` is not there yet", hint="a later version brings it")
        if name not in self._params:
            hint = did_you_mean(name, [*self._params])
            raise SqlRefused(f"there is no param `{name}`", hint=hint or "declare it in `params:`")
        return _SAMPLES[self._params[name].type]

    def _rows(self, statement: str, values: Mapping[str, SqlValue]) -> list[tuple[object, ...]]:
        try:
            return self._connection.execute(statement, dict(values) or None).fetchall()
        except duckdb.Error as error:
            raise refused(error) from error


@contextmanager
def empty_tables(params: Mapping[str, Param]) -> Iterator[EmptyTables]:
    """A DuckDB that can reach nothing and cannot be told otherwise."""
    connection = duckdb.connect(":memory:", config={"threads": 1})
    try:
        connection.execute(
            """
            set memory_limit = '512MiB';
            set timezone = 'UTC';
            set python_enable_replacements = false;
            set autoload_known_extensions = false;
            set autoinstall_known_extensions = false;
            set temp_directory = '';
            set enable_external_access = false;
            set lock_configuration = true
            """
        )
        yield EmptyTables(connection, params)
    finally:
        connection.close()


def names_of(sql: str, inputs: Mapping[str, Columns]) -> tuple[str, ...]:
    """The names of a query's columns, whatever its params are. Raises `SqlRefused`."""
    with empty_tables({}) as engine:
        connection = engine.with_tables(inputs)
        try:
            asked = connection.extract_statements(sql)[0].named_parameters
            rows = connection.execute(f"describe ({_bare(sql)})", dict.fromkeys(asked) or None)
            return tuple(str(row[0]) for row in rows.fetchall())
        except (duckdb.Error, IndexError) as error:
            raise SqlRefused(str(error)) from error


def refused(error: duckdb.Error) -> SqlRefused:
    """DuckDB's words without its own prefixes, with its candidates as the hint."""
    text = str(error)
    place = _PLACE.search(text)
    head = _KIND.sub("", text[: place.start()] if place else text)
    hint = ""
    if isinstance(error, duckdb.PermissionException):
        hint = "SQL reads steps only; files come in through sources and ingest steps"
    if candidates := _CANDIDATES.search(head):
        head = head[: candidates.start()]
        names = re.findall(r'"([^"]+)"', candidates[1])
        hint = "did you mean " + " or ".join(f"`{name}`" for name in names) + "?" if names else ""
    message = " ".join(head.split())
    return SqlRefused(message or text, hint=hint, text_line=int(place[1]) if place else 0)


def _bare(sql: str) -> str:
    # A comment at the end would swallow what follows, so a line ends it.
    return sql.strip().rstrip(";") + "\n"


def _stored(type_: str) -> str:
    """The type as a file can hold it: a column of nothing but nulls is one of integers."""
    return "INTEGER" if type_ == '"NULL"' else type_
