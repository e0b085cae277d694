"""What SQLite does for each query: nothing that grows with the history is looked through."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from adapters.readmodels import named, views
from adapters.readmodels.dialect import SQLITE
from projections.dispatch import DISPATCH
from projections.lineage import LINEAGE
from projections.monitoring import MONITORING
from projections.quality import QUALITY

VIEWS = (MONITORING, LINEAGE, QUALITY, DISPATCH)
QUERIES = named.load(SQLITE)

FEW = {
    "lineage.named": {"lineage_datasets"},
    "lineage.names": {"lineage_datasets"},
    "monitoring.pipeline_names": {"monitoring_pipelines"},
    "monitoring.run_ids": {"monitoring_runs"},
}
"""Looked through all the same: what there is as often as people name things, and run ids in the
order of an index, which ends with the page."""


@pytest.fixture
def tables() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        views.prepare(connection)
        for view in VIEWS:
            views.create(connection, view.name, view.version, view.tables)
        yield connection


def plan(connection: sqlite3.Connection, name: str) -> list[str]:
    text = QUERIES.text(name)
    given = dict.fromkeys(re.findall(r":([a-z_]+)", text))
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", given)]


def test_no_query_looks_through_a_table_of_runs_steps_or_edges(
    tables: sqlite3.Connection,
) -> None:
    known = {table.name for view in VIEWS for table in view.tables}
    scanned = {
        name: {word for line in plan(tables, name) for word in line.split()[1:2] if "SCAN" in line}
        & known
        for name in QUERIES.names
    }
    assert {name: found for name, found in scanned.items() if found} == FEW


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("lineage.versions_of_run", "sqlite_autoindex_lineage_edges_1|PRIMARY KEY"),
        ("lineage.maker_in_run", "sqlite_autoindex_lineage_edges_1|PRIMARY KEY"),
        ("lineage.quarantines_of_run", "PRIMARY KEY"),
        ("monitoring.runs_of_pipeline_status", "monitoring_runs_by_pipeline_status_position"),
    ],
)
def test_what_belongs_to_one_thing_is_found_by_it(
    tables: sqlite3.Connection, name: str, index: str
) -> None:
    assert re.search(index, plan(tables, name)[0])
