"""The lineage of a dataset as a tree."""

import pytest

from runtime.cli.lineage import Direction, tree
from runtime.session import Document
from tests.cli.consoles import plain_console
from tests.cli.golden import assert_golden


def _edge(start: str, end: str, step: str = "") -> Document:
    columns = {"from_column": None, "to_column": None}
    return {"from": start, "to": end, "run": "r", "step": step, **columns}


def _columns(start: str, end: str, column: str, to: str, kind: str = "direct") -> Document:
    step = end.rpartition(".")[2]
    return {**_edge(start, end, step), "from_column": column, "to_column": to, "kind": kind}


def _step(name: str, kind: str) -> Document:
    return {"id": f"flights/{name}", "kind": "step", "step_kind": kind, "step": name}


GRAPH: Document = {
    "dataset": "flights.punctuality",
    "nodes": [
        {"id": "flights.punctuality", "kind": "dataset", "rows": 276},
        _step("raw", "ingest"),
        _step("flown", "clean"),
        _step("punctuality", "transform"),
        _step("published", "store"),
        _step("gate", "check"),
        {"id": "flights.flown", "kind": "dataset", "rows": 327346},
        {"id": "flights.raw", "kind": "dataset", "rows": 336776},
        {"id": "flights.carriers", "kind": "dataset", "rows": 16},
        {"id": "file:/data/flights.csv.gz", "kind": "dataset", "rows": None},
        {"id": "file:/out/p.parquet", "kind": "dataset", "rows": 276},
    ],
    "edges": [
        _edge("flights.flown", "flights/punctuality", "punctuality"),
        _edge("flights.carriers", "flights/punctuality", "punctuality"),
        _edge("flights/punctuality", "flights.punctuality", "punctuality"),
        _edge("flights.raw", "flights/flown", "flown"),
        _edge("flights/flown", "flights.flown", "flown"),
        _edge("file:/data/flights.csv.gz", "flights/raw", "raw"),
        _edge("flights/raw", "flights.raw", "raw"),
        _edge("flights.punctuality", "flights/published", "published"),
        _edge("flights/published", "file:/out/p.parquet", "published"),
        _edge("flights.punctuality", "flights/gate", "gate"),
        _columns("flights.flown", "flights.punctuality", "arr_delay", "arr_delay"),
        _columns("flights.raw", "flights.flown", "arr_delay", "arr_delay"),
        _columns("flights.raw", "flights.flown", "dep_time", "arr_delay", "indirect"),
        _columns("flights.carriers", "flights.punctuality", "name", "airline"),
    ],
    "position": 9,
}


@pytest.mark.parametrize(
    ("name", "column", "ways"),
    [
        ("both", "", ["up", "down"]),
        ("column", "arr_delay", ["up"]),
        ("nothing", "month", ["up"]),
    ],
)
def test_trees(name: str, column: str, ways: list[Direction]) -> None:
    assert_golden(f"lineage-{name}", "\n".join(tree(plain_console(), GRAPH, column, ways)))


def test_a_diamond_is_drawn_once_and_named_twice() -> None:
    edges = [_edge("b", "a"), _edge("c", "a"), _edge("d", "b"), _edge("d", "c"), _edge("e", "d")]
    graph = {"dataset": "a", "nodes": [], "edges": edges}
    lines = list(tree(plain_console(), graph, "", ["up"]))
    assert lines[2:] == ["├─ b", "│  └─ d", "│     └─ e", "└─ c", "   └─ d  (above)"]


def test_a_cycle_ends() -> None:
    graph = {"dataset": "a", "nodes": [], "edges": [_edge("b", "a"), _edge("a", "b")]}
    assert len(list(tree(plain_console(), graph, "", ["up"]))) == 4
