"""Answers about rules: what each found in the last runs, from the quality view."""

from itertools import groupby
from typing import Annotated

import msgspec
from msgspec import Meta

from domain.errors import Malformed, NotFound, Rejection
from projections.limits import candidates_max, trend_runs_default, trend_runs_max
from projections.ports import ReadModels, Row
from projections.questions import Document, PageQuestion, Text, did_you_mean, page

VIEW = "quality"

_Place = tuple[str, str, str]
"""Pipeline, step and name of a rule."""

_START: _Place = ("", "", "")


class ChecksQuestion(PageQuestion, frozen=True, kw_only=True):
    """Arguments of `quality.checks`; limit and cursor are for rules."""

    of: Text | None = None
    """A pipeline, or a dataset: `<pipeline>.<step>`, or a step where only one pipeline has it."""
    rule: Text | None = None
    """A rule's name, its whole text, or its kind such as `not_null`."""
    runs: Annotated[int, Meta(ge=1, le=trend_runs_max)] = trend_runs_default
    """How many of each pipeline's last runs with rules are told."""


async def checks(models: ReadModels, question: ChecksQuestion) -> Document:
    """A page of rules by pipeline, step and name, each with what it found in the last runs.

    Raises `NotFound`, `Rejection` for a step's name that several pipelines have.
    """
    pipeline, step = await _meant(models, question.of)
    after = _after(question.cursor)
    rows = await models.query(
        "quality.checks",
        {
            "pipeline": pipeline,
            "step": step,
            "rule": question.rule,
            "runs": question.runs,
            "after_pipeline": after[0],
            "after_step": after[1],
            "after_name": after[2],
            "limit": (question.limit + 1) * question.runs,
        },
    )
    items = [_rule(place, list(group)) for place, group in groupby(rows, _place)]
    if not items and question.rule is not None and question.cursor is None:
        await _no_rule(models, question, pipeline, step)
    return page(items[: question.limit + 1], question.limit, _cursor)


def _place(row: Row) -> _Place:
    return str(row["pipeline"]), str(row["step"]), str(row["name"])


def _rule(place: _Place, rows: list[Row]) -> Document:
    pipeline, step, name = place
    runs = [_found(row) for row in rows]
    return {
        "pipeline": pipeline,
        "step": step,
        "name": name,
        "rule": rows[0]["rule"],
        **runs[0],
        "runs": runs,
    }


def _found(row: Row) -> Document:
    names = (
        "run recorded_at position severity checked_rows failing_rows null_rows tolerance"
        " observed reused_from"
    )
    found = {name: row[name] for name in names.split()}
    return {**found, "passed": bool(row["passed"]), "share": share(found)}


def share(check: Document) -> float | None:
    """The share of the checked rows that break a rule; None where rows are not what it counts."""
    failing, checked = check.get("failing_rows"), check.get("checked_rows")
    return failing / checked if checked and failing is not None else None


def _cursor(item: Document) -> str:
    return msgspec.json.encode((item["pipeline"], item["step"], item["name"])).decode()


def _after(cursor: str | None) -> _Place:
    if cursor is None:
        return _START
    try:
        place: _Place = msgspec.json.decode(cursor, type=_Place)
    except msgspec.MsgspecError:
        raise Malformed(
            f"{cursor!r} is no cursor of this list", path="cursor", hint="pass `next` as it came"
        ) from None
    return place


async def _meant(models: ReadModels, text: str | None) -> tuple[str | None, str | None]:
    """The pipeline that is meant, and the step where a dataset is."""
    if text is None:
        return None, None
    pipeline, _, step = text.partition(".")
    if await models.query("quality.pipeline", {"pipeline": pipeline}):
        return pipeline, step or None
    places = await models.query("quality.places", {"limit": candidates_max})
    having = [str(row["pipeline"]) for row in places if row["step"] == text]
    if len(having) == 1:
        return having[0], text
    if having:
        names = [f"{one}.{text}" for one in having]
        raise Rejection(
            "dataset_ambiguous",
            f"{text!r} may be {' or '.join(names[:10])}: give the whole name",
            {"candidates": names[:100]},
        )
    known = [
        name
        for row in places
        for name in (str(row["pipeline"]), f"{row['pipeline']}.{row['step']}", str(row["step"]))
    ]
    hint = did_you_mean(text, known) or "`headwater checks` lists all rules"
    raise NotFound(f"no run of {text!r} is known", hint=hint)


async def _no_rule(
    models: ReadModels, question: ChecksQuestion, pipeline: str | None, step: str | None
) -> None:
    rows = await models.query(
        "quality.checks",
        {
            "pipeline": pipeline,
            "step": step,
            "rule": None,
            "runs": 1,
            "after_pipeline": "",
            "after_step": "",
            "after_name": "",
            "limit": candidates_max,
        },
    )
    rule = str(question.rule)
    known = [name for row in rows for name in (str(row["name"]), str(row["rule"]))]
    kinds = [name.partition("(")[0] for name in known]
    of = f" of {question.of}" if question.of else ""
    hint = did_you_mean(rule, [*kinds, *known]) or "`headwater checks` lists all rules"
    raise NotFound(f"no rule{of} is called {rule!r}", hint=hint)
