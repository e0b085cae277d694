"""Answers about datasets and their versions, from the lineage view."""

from typing import NamedTuple
from uuid import UUID

from domain.errors import NotFound, Rejection
from projections.limits import candidates_max
from projections.lineage import NAMESPACE
from projections.ports import ReadModels, Row
from projections.questions import (
    Document,
    PageQuestion,
    Text,
    did_you_mean,
    number_of,
    page,
)

VIEW = "lineage"
_NEWEST = (1 << 63) - 1


class DatasetKey(NamedTuple):
    """A dataset's name and the space it is in."""

    namespace: str
    name: str

    @property
    def id(self) -> str:
        """As people write it: ours by the name alone, outer ones as `file:/data/x.csv`."""
        if self.namespace == NAMESPACE:
            return self.name
        return f"{self.namespace}:{self.name}"


class DatasetsQuestion(PageQuestion, frozen=True, kw_only=True):
    """Arguments of `lineage.datasets`."""

    pipeline: Text | None = None


class DatasetQuestion(PageQuestion, frozen=True, kw_only=True):
    """Arguments of `lineage.dataset`; limit and cursor are for its versions."""

    dataset: Text
    run: UUID | None = None
    """Only the version that this run made."""


def key_of(row: Row) -> DatasetKey:
    """The dataset that a row is about."""
    return DatasetKey(str(row["namespace"]), str(row["name"]))


async def datasets(models: ReadModels, question: DatasetsQuestion) -> Document:
    """A page of datasets with their latest versions, by name."""
    namespace, _, name = (question.cursor or "").partition("\n")
    rows = await models.query(
        "lineage.datasets",
        {
            "namespace": namespace,
            "name": name,
            "pipeline": question.pipeline,
            "limit": question.limit + 1,
        },
    )
    items = [_latest(row) for row in rows]
    return page(items, question.limit, lambda item: f"{item['namespace']}\n{item['name']}")


def _latest(row: Row) -> Document:
    names = "namespace name pipeline step run fingerprint rows bytes recorded_at"
    kept = row["kept"]
    return {
        "dataset": key_of(row).id,
        **{name: row[name] for name in names.split()},
        "kept": None if kept is None else bool(kept),
    }


async def dataset(models: ReadModels, question: DatasetQuestion) -> Document:
    """A dataset: its latest version, and a page of all, newest first.

    Raises `NotFound`, `Rejection` for a short name that several have.
    """
    key = await resolve(models, question.dataset)
    place = {"namespace": key.namespace, "name": key.name}
    rows = await models.query("lineage.dataset", place)
    versions = await models.query(
        "lineage.versions_of_run" if question.run else "lineage.versions",
        {
            **place,
            "run": str(question.run) if question.run else None,
            "before": number_of(question.cursor, _NEWEST),
            "limit": question.limit + 1,
        },
    )
    if question.run is not None and not versions:
        raise NotFound(f"run {question.run} has made no dataset {key.id}")
    listed = page([dict(row) for row in versions], question.limit, lambda v: str(v["position"]))
    latest = _latest(rows[0])
    if question.run is not None:
        latest = {**latest, **{name: versions[0][name] for name in _VERSION}}
    return {**latest, "versions": listed["items"], "next": listed["next"]}


_VERSION = ("run", "step", "fingerprint", "rows", "bytes", "recorded_at")


async def resolve(models: ReadModels, text: str) -> DatasetKey:
    """The dataset that is meant by a whole name, or by a step's or file's where only one has it.

    Raises `NotFound` with names that are near, `Rejection` where several have it.
    """
    rows = await models.query(
        "lineage.named",
        {"text": text, "ending": f".{text}", "file": f"/{text}", "limit": candidates_max},
    )
    found = [key_of(row) for row in rows]
    whole = [key for key in found if text in (key.name, key.id)]
    if len(whole) == 1 or len(found) == 1:
        return (whole or found)[0]
    if found:
        names = [key.id for key in whole or found]
        raise Rejection(
            "dataset_ambiguous",
            f"{text!r} may be {' or '.join(names[:10])}: give the whole name",
            {"candidates": names[:100]},
        )
    known = await models.query("lineage.names", {"limit": candidates_max})
    hint = did_you_mean(text, (key_of(row).id for row in known))
    raise NotFound(f"there is no dataset {text!r}", hint=hint or "`headwater datasets` lists them")
