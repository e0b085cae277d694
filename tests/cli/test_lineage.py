"""The lineage of a dataset as a tree."""

import pytest

from runtime.cli.lineage import Direction, tree
from runtime.session import Document
from tests.cli.consoles import plain_console
from tests.cli.golden import assert_golden


def _edge(start: str, end: str, column: str = "", to: str = "") -> Document:
    columns = {"from_column": column or None, "to_column": to or None}
    return {"from": start, "to": end, "run": "r", "step": "s", **columns}


GRAPH: Document = {
    "dataset": "flights.punctuality",
    "nodes": [
        {"id": "flights.punctuality", "kind": "dataset", "rows": 276},
        {"id": "flights.flown", "kind": "dataset", "rows": 327346},
        {"id": "flights.raw", "kind": "dataset", "rows": 336776},
        {"id": "flights.carriers", "kind": "dataset", "rows": 16},
        {"id": "file:/data/flights.csv.gz", "kind": "dataset", "rows": None},
        {"id": "file:/out/p.parquet", "kind": "dataset", "rows": 276},
    ],
    "edges": [
        _edge("flights.flown", "flights.punctuality"),
        _edge("flights.carriers", "flights.punctuality"),
        _edge("flights.raw", "flights.flown"),
        _edge("file:/data/flights.csv.gz", "flights.raw"),
        _edge("flights.punctuality", "file:/out/p.parquet"),
        _edge("flights.flown", "flights.punctuality", "arr_delay", "arr_delay"),
        _edge("flights.raw", "flights.flown", "arr_delay", "arr_delay"),
        _edge("flights.raw", "flights.flown", "dep_time", "arr_delay"),
        _edge("flights.carriers", "flights.punctuality", "name", "airline"),
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
