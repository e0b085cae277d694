"""The shape of each view's tables, pinned to the view's version.

A view is made anew where its version is another one than the file's. One that has other tables
under the same version would go on with the old ones, and halt at the first column it misses.
"""

from collections.abc import Iterator

import pytest

from projections.dispatch import DISPATCH
from projections.lineage import LINEAGE
from projections.monitoring import MONITORING
from projections.ports import Table
from projections.projection import Projection
from projections.quality import QUALITY

SHAPES = {
    ("dispatch", 1): """
        dispatch_steps = run step attempt:integer engine due in_work:integer traceparent
            correlation_id
          key run step
    """,
    ("monitoring", 3): """
        monitoring_pipelines = pipeline status reason bundle description registered_at
            changed_at changed_by project env revision:integer last_revision:integer
            position:integer
          key pipeline
        monitoring_runs = run pipeline bundle retry_of retry_from status reason params
            principal requested_at finished_at trace_id correlation_id error env
            revision:integer draft:integer steps:integer succeeded:integer reused:integer
            failed:integer skipped:integer position:integer last_position:integer
          key run
          index position
          index pipeline position
          index status position
          index pipeline status position
        monitoring_steps = run step kind engine depends status worker due started_at
            attempt_started_at finished_at reused_from because outcome error log
            place:integer attempts:integer lease:integer
          key run step
    """,
    ("lineage", 2): """
        lineage_runs = run pipeline revision:integer recorded_at position:integer
          key run
        lineage_steps = run step kind reused_from columns recorded_at position:integer
          key run step
        lineage_datasets = namespace name fingerprint rows:integer bytes:integer
            kept:integer run step recorded_at position:integer
          key namespace name
        lineage_edges = run step direction namespace name fingerprint rows:integer
            bytes:integer position:integer
          key run step direction namespace name
          index namespace name direction position
        lineage_traces = run step part:integer columns position:integer
          key run step part
        lineage_columns = columns edges run
          key columns
        lineage_quarantines = run step dataset fingerprint rows:integer bytes:integer
            rows_in:integer failed:integer reused_from settled_by settled_at
            readmitted:integer remaining:integer recorded_at position:integer
          key run step
          index position
    """,
    ("quality", 1): """
        quality_runs = run pipeline position:integer checked:integer
          key run
          index pipeline checked
        quality_checks = run step place:integer name rule severity passed:integer
            checked_rows:integer failing_rows:integer null_rows:integer tolerance observed
            reused_from recorded_at position:integer
          key run step place
    """,
}
"""View and version → its tables in words. Old versions need not be kept."""


def told(table: Table) -> Iterator[str]:
    """A table in words: columns (text where nothing else is said), key, indexes."""
    columns = (c.name if c.type == "text" else f"{c.name}:{c.type}" for c in table.columns)
    yield f"{table.name} = {' '.join(columns)}"
    yield f"  key {' '.join(table.key)}"
    for index in table.indexes:
        yield f"  index {' '.join(index)}"


def shape(view: Projection) -> str:
    """All tables of a view in words."""
    return "\n".join(line for table in view.tables for line in told(table))


@pytest.mark.parametrize(
    "view", [DISPATCH, MONITORING, LINEAGE, QUALITY], ids=lambda view: view.name
)
def test_a_view_of_another_shape_has_another_version(view: Projection) -> None:
    pinned = SHAPES.get((view.name, view.version), "")
    assert shape(view).split() == pinned.split(), (
        f"the tables of view {view.name} are not those of its version {view.version}: give it a "
        f"version of its own (version={view.version + 1}), so that files with the old tables are "
        f"made anew, and write the new shape into SHAPES:\n{shape(view)}"
    )
