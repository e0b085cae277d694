"""What views want of events, old events, and the running digest."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from msgspec import Struct
from msgspec.structs import replace

from domain.catalog import CATALOG, Catalog, Upcast
from domain.record import Recorded
from domain.run.events import CancelRequested
from projections.dispatch import DISPATCH
from projections.lineage import LINEAGE
from projections.monitoring import MONITORING
from projections.ports import Change, Column, Put, Table
from projections.projection import Fact, Fold, Handler, Projection, beginning, digest_after
from projections.quality import QUALITY
from projections.stretch import stretch_of
from tests.projections.histories import History, all_kinds, runs
from tests.projections.support import ListLog

IGNORED = {
    "monitoring": {"run.quarantine_settled.v1", "run.columns_traced.v1"},
    "lineage": {
        "pipeline.registered.v1",
        "pipeline.revised.v1",
        "pipeline.paused.v1",
        "pipeline.resumed.v1",
        "pipeline.retired.v1",
        "run.step_scheduled.v1",
        "run.step_started.v1",
        "run.step_skipped.v1",
        "run.cancel_requested.v1",
        "run.cancelled.v1",
        "run.completed.v1",
        "run.failed.v1",
    },
    "quality": {
        "run.quarantine_settled.v1",
        "pipeline.registered.v1",
        "pipeline.revised.v1",
        "pipeline.paused.v1",
        "pipeline.resumed.v1",
        "pipeline.retired.v1",
        "run.planned.v1",
        "run.columns_traced.v1",
        "run.step_scheduled.v1",
        "run.step_started.v1",
        "run.step_skipped.v1",
        "run.cancel_requested.v1",
        "run.cancelled.v1",
        "run.completed.v1",
        "run.failed.v1",
    },
    "dispatch": {
        "run.quarantine_settled.v1",
        "pipeline.registered.v1",
        "pipeline.revised.v1",
        "pipeline.paused.v1",
        "pipeline.resumed.v1",
        "pipeline.retired.v1",
        "run.started.v1",
        "run.planned.v1",
        "run.columns_traced.v1",
        "run.cancel_requested.v1",
    },
}
"""Said for each view, so that an event that joins is not forgotten in silence."""


def project(view: Projection, record: Recorded) -> Sequence[Change]:
    """What one event changes."""
    return view.project(record.position, str(record.stream.id), record.tag, record.state)


@pytest.mark.parametrize(
    "view", [MONITORING, LINEAGE, QUALITY, DISPATCH], ids=lambda view: view.name
)
def test_each_event_is_wanted_or_ignored_on_purpose(view: Projection) -> None:
    assert set(view.tags) | IGNORED[view.name] == set(CATALOG.tags)
    assert not set(view.tags) & IGNORED[view.name]


@pytest.mark.parametrize(
    "view", [MONITORING, LINEAGE, QUALITY, DISPATCH], ids=lambda view: view.name
)
def test_the_same_events_give_the_same_changes(view: Projection) -> None:
    folds = []
    for _ in range(2):
        records = all_kinds().records
        fold = Fold(view, beginning(ListLog(records)))
        assert fold.add(stretch_of(records)) is None
        folds.append(msgspec.json.encode([fold.checkpoint, fold.drain()]))
    assert folds[0] == folds[1]


@pytest.mark.parametrize(
    "view", [MONITORING, LINEAGE, QUALITY, DISPATCH], ids=lambda view: view.name
)
def test_each_change_fits_its_table(view: Projection) -> None:
    tables = {table.name: table for table in view.tables}
    for record in all_kinds().records:
        for change in project(view, record):
            table = tables[change.table]
            columns = {column.name for column in table.columns} - set(table.key)
            if isinstance(change, Put):
                assert set(change.values) <= columns
                assert len(change.key) == len(table.key)


def test_no_row_is_left_to_dispatch_after_the_end_of_its_run() -> None:
    records = list(runs(3))
    fold = Fold(DISPATCH, beginning(ListLog(records)))
    assert fold.add(stretch_of(records)) is None
    assert not [change for change in fold.drain() if isinstance(change, Put)]


class OldRequest(Struct, frozen=True):
    """How a request to cancel was stored once."""

    why: str


NOTES = Table(name="notes", columns=(Column("run"), Column("reason")), key=("run",))


def _noted(fact: Fact[CancelRequested]) -> Sequence[Change]:
    return (Put("notes", (fact.id,), {"reason": fact.data.reason}),)


def _renamed(payload: dict[str, Any]) -> dict[str, Any]:
    return {"reason": payload["why"]}


def test_an_old_event_is_upcast_before_it_is_projected() -> None:
    catalog = Catalog(
        {"run.cancel_requested.v2": CancelRequested},
        {"run.cancel_requested.v1": Upcast("run.cancel_requested.v2", _renamed)},
    )
    view = Projection(
        name="notes",
        version=1,
        tables={NOTES: lambda row: f"run/{row['run']}"},
        handlers=[Handler(CancelRequested, _noted)],
        catalog=catalog,
    )
    history = History()
    history.start()
    written = history.records[-1]
    state = msgspec.json.decode(written.state)
    old = replace(
        written,
        tag="run.cancel_requested.v1",
        state=msgspec.json.encode({**state, "data": {"why": "late"}}),
    )
    [change] = project(view, old)
    assert change == Put("notes", (str(old.stream.id),), {"reason": "late"})


def test_the_digest_tells_order_number_and_identity() -> None:
    ids = [number << 90 | number for number in range(1, 6)]
    whole = digest_after("", ids)
    assert digest_after(digest_after("", ids[:2]), ids[2:]) == whole
    others = [
        ids[:-1],
        [*ids, ids[-1]],
        [ids[1], ids[0], *ids[2:]],
        [*ids[:-1], 7],
        [0, *ids],
    ]
    assert whole not in {digest_after("", other) for other in others}
