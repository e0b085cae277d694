"""Rows that steps have set apart, run by run, and what became of them. Part of the lineage view."""

from collections.abc import Sequence
from typing import Literal, TypeVar
from uuid import UUID

from msgspec import Struct

from domain.data.dataset import DatasetVersion
from domain.run.events import QuarantineSettled
from projections.ports import Change, Column, Put, ReadModels, Row, Table, Value
from projections.projection import Fact
from projections.questions import Document, PageQuestion, Text, number_of, page

E = TypeVar("E")

_NEWEST = (1 << 63) - 1

QUARANTINES = Table(
    name="lineage_quarantines",
    columns=(
        Column("run"),
        Column("step"),
        Column("dataset"),
        Column("fingerprint"),
        Column("rows", "integer"),
        Column("bytes", "integer"),
        Column("rows_in", "integer"),
        Column("failed", "integer"),
        Column("reused_from"),
        Column("settled_by"),
        Column("settled_at"),
        Column("readmitted", "integer"),
        Column("remaining", "integer"),
        Column("recorded_at"),
        Column("position", "integer"),
    ),
    key=("run", "step"),
    indexes=(("position",),),
)
"""`settled_by` is the run that has put rows back, `position` that of the step's outcome."""


class FailedOutcome(Struct, frozen=True, gc=False):
    """What a failed step could count."""

    quarantine: DatasetVersion | None = None
    rows_in: int | None = None


class FailedStep(Struct, frozen=True, gc=False):
    """As much of `run.step_failed` as matters here."""

    step: str
    final: bool = True
    outcome: FailedOutcome | None = None


def set_apart(
    fact: Fact[E], step: str, quarantine: DatasetVersion, values: dict[str, Value]
) -> Put:
    """The row of a step that has set rows apart."""
    known: dict[str, Value] = {
        "dataset": quarantine.dataset,
        "fingerprint": quarantine.fingerprint,
        "rows": quarantine.rows,
        "bytes": quarantine.bytes,
        "recorded_at": fact.meta.recorded_at,
        "position": fact.position,
    }
    return Put(QUARANTINES.name, (fact.id, step), {**known, **values})


def failed(fact: Fact[FailedStep]) -> Sequence[Change]:
    """A step that has set too many apart."""
    step, outcome = fact.data, fact.data.outcome
    if outcome is None or outcome.quarantine is None or not step.final:
        return ()
    values: dict[str, Value] = {"rows_in": outcome.rows_in, "failed": 1}
    return (set_apart(fact, step.step, outcome.quarantine, values),)


def settled(fact: Fact[QuarantineSettled]) -> Sequence[Change]:
    """Rows of an earlier run were put back."""
    event = fact.data
    values: dict[str, Value] = {
        "settled_by": fact.id,
        "settled_at": fact.meta.recorded_at,
        "readmitted": event.readmitted,
        "remaining": event.remaining,
    }
    return (Put(QUARANTINES.name, (str(event.of_run), event.step), values),)


class QuarantinesQuestion(PageQuestion, frozen=True, kw_only=True):
    """Arguments of `lineage.quarantines`."""

    pipeline: Text | None = None
    run: UUID | None = None
    status: Literal["open", "settled"] | None = None


async def quarantines(models: ReadModels, question: QuarantinesQuestion) -> Document:
    """A page of quarantines, newest first."""
    rows = await models.query(
        "lineage.quarantines_of_run" if question.run else "lineage.quarantines",
        {
            "before": number_of(question.cursor, _NEWEST),
            "pipeline": question.pipeline,
            "run": str(question.run) if question.run else None,
            "settled": None if question.status is None else int(question.status == "settled"),
            "limit": question.limit + 1,
        },
    )
    return page([_told(row) for row in rows], question.limit, lambda item: str(item["position"]))


def _told(row: Row) -> Document:
    names = (
        "run pipeline step dataset fingerprint rows bytes rows_in reused_from"
        " settled_by settled_at readmitted remaining recorded_at position"
    )
    status = "open" if row["settled_by"] is None else "settled"
    return {
        **{name: row[name] for name in names.split()},
        "status": status,
        "failed": bool(row["failed"]),
    }
