"""What DuckDB's own functions are: which of them aggregate, and which answer anew each time."""

import re
from functools import cache

import duckdb
from msgspec import Struct
from sqlglot import exp

from adapters.engines.sql.queries import DIALECT

_CALLED = re.compile(r"\s*(\w+)\s*\(")
_BARE = frozenset(("current_date", "current_timestamp", "current_time", "localtimestamp"))


class Vocabulary(Struct, frozen=True):
    """Names of functions, in small letters."""

    aggregates: frozenset[str]
    volatile: frozenset[str]
    known: frozenset[str]


@cache
def vocabulary() -> Vocabulary:
    """Of the engine that this process has."""
    with duckdb.connect(":memory:") as connection:
        rows = connection.execute(
            "select function_name, function_type, stability, macro_definition"
            " from duckdb_functions()"
        ).fetchall()
    aggregates = {name for name, kind, _, _ in rows if kind == "aggregate"}
    volatile = {name for name, _, stability, _ in rows if stability not in (None, "CONSISTENT")}
    macros = [(name, text or "") for name, kind, _, text in rows if kind == "macro"]
    for _ in range(3):  # a macro may stand on another
        aggregates |= {name for name, text in macros if _calls(text) & aggregates}
        volatile |= {name for name, text in macros if _calls(text) & volatile}
    volatile |= _BARE | {"ago"}
    known = frozenset(name for name, _, _, _ in rows)
    return Vocabulary(frozenset(aggregates), frozenset(volatile), known)


def name_of(function: exp.Expr) -> str:
    """The function's name as the engine reads it; empty for what is written without one."""
    found = _CALLED.match(function.sql(dialect=DIALECT))
    if found is not None:
        return found[1].lower()
    text = function.sql(dialect=DIALECT).lower()
    return text if text in _BARE else ""


def is_aggregate(node: exp.Expr) -> bool:
    """Whether a node makes one value of many rows."""
    if isinstance(node, exp.AggFunc):
        return True
    return isinstance(node, exp.Func) and name_of(node) in vocabulary().aggregates


def volatile_in(tree: exp.Expr) -> str:
    """The first function in a tree that gives another answer each time; empty without one."""
    for node in tree.find_all(exp.Func):
        if (name := name_of(node)) in vocabulary().volatile:
            return name
    return ""


def _calls(text: str) -> set[str]:
    return {name.lower() for name in re.findall(r'(\w+)"?\(', text)}
