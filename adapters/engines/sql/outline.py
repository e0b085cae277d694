"""What SQL says: its meaning without its layout, and what in it never gives the same answer twice.

The engine's own parser writes a query as JSON. Where a word stands in the text is left out of it,
so comments and layout make no difference; function names are looked up in what the engine says of
its functions. What the parser cannot write that way (PIVOT is such a thing) stays as it is, and a
word in it counts as a function of that name: to work once too often is better than to be stale.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

import duckdb
import msgspec

from commands.steps.ports import Outline

LISTED_FOR = "2.0.0"
"""The engine's version that the list below was read from; another one is asked itself."""

UNSTEADY = frozenset(
    [
        "currval",
        "current_connection_id",
        "current_database",
        "current_date",
        "current_query",
        "current_query_id",
        "current_schema",
        "current_schemas",
        "current_setting",
        "current_transaction_id",
        "error",
        "gen_random_uuid",
        "get_current_time",
        "get_current_timestamp",
        "getvariable",
        "in_search_path",
        "nextval",
        "now",
        "random",
        "setseed",
        "setval",
        "sleep_ms",
        "stats",
        "today",
        "transaction_timestamp",
        "txid_current",
        "uuid",
        "uuidv4",
        "uuidv7",
        "vector_type",
        "write_log",
    ]
)
"""Functions whose answer is not settled by their arguments."""

_MACROS = frozenset(("ago", "pg_conf_load_time", "pg_postmaster_start_time"))
"""The engine's own shorthands for what calls one of them."""

_KEYWORDS = frozenset(
    [
        "current_catalog",
        "current_date",
        "current_role",
        "current_schema",
        "current_time",
        "current_timestamp",
        "current_user",
        "localtime",
        "localtimestamp",
        "session_user",
        "user",
    ]
)
"""Words that are calls without brackets. A column of that name counts as one, too."""

_WORD = re.compile(r"[a-z_][a-z0-9_]*")
_ONE_ARGUMENT = frozenset(("age",))
"""Functions that mean "until today" where they are given one argument alone."""

Ask = Callable[[str, str], str]
"""A statement with one parameter `q`, and its value → the one text that it answers."""


def outline(sql: str, ask: Ask) -> Outline:
    """The outline of a query or, where it is none, of an expression."""
    sql = sql.strip().removesuffix(";")
    for text in (sql, f"select (\n{sql}\n)"):
        answer = ask(
            "select json_serialize_sql($q, skip_null := true, skip_empty := true,"
            " skip_default := true)",
            text,
        )
        tree = msgspec.json.decode(answer)
        if not tree.get("error"):
            said = sorted(set(_calls(tree, _unsteady(ask))))
            return Outline(msgspec.json.encode(_placeless(tree)).decode(), tuple(said))
    words = set(_WORD.findall(sql.lower()))
    return Outline(sql, tuple(sorted(words & (_unsteady(ask) | _KEYWORDS | {"sample"}))))


def _unsteady(ask: Ask) -> frozenset[str]:
    listed = UNSTEADY if duckdb.__version__ == LISTED_FOR else told(ask)
    return listed | _MACROS


@lru_cache(1)
def told(ask: Ask) -> frozenset[str]:
    """What the engine itself says; this takes it as long as a small step."""
    answer = ask(
        "select string_agg(distinct function_name, ' ') from duckdb_functions()"
        " where stability <> $q",
        "CONSISTENT",
    )
    return frozenset(answer.split())


def _placeless(node: object) -> object:
    match node:
        case dict():
            return {
                key: _placeless(value)
                for key, value in node.items()
                if not key.startswith("query_location")
            }
        case list():
            return [_placeless(value) for value in node]
    return node


def _calls(node: object, unsteady: frozenset[str]) -> Iterator[str]:
    """Everything in a tree whose answer is not settled."""
    if isinstance(node, list):
        for value in node:
            yield from _calls(value, unsteady)
    if not isinstance(node, dict):
        return
    name = str(node.get("function_name", "")).lower()
    if name in unsteady or (name in _ONE_ARGUMENT and len(node.get("arguments", ())) == 1):
        yield f"{name}()"
    columns = node.get("column_names", ())
    if len(columns) == 1 and str(columns[0]).lower() in _KEYWORDS:
        yield str(columns[0]).lower()
    sample = node.get("sample")
    if isinstance(sample, dict) and sample.get("seed", -1) == -1:
        yield "a sample without a seed"
    for value in node.values():
        yield from _calls(value, unsteady)
