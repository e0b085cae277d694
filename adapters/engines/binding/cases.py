"""Tests of a pipeline bound: rows of every step that they need, columns and params that exist."""

from collections.abc import Iterator, Mapping, Sequence

from domain.errors import Rejection
from domain.pipeline.cases import Case, Rows, to_be_run
from domain.pipeline.names import did_you_mean
from domain.pipeline.params import Param, resolve
from domain.pipeline.problems import Problem
from domain.pipeline.shape import joined
from domain.pipeline.steps import Step

Known = Mapping[str, Mapping[str, str] | None]
"""Step → its columns and their types; None where they show only in a run."""


def case_problems(
    cases: Sequence[Case], steps: Sequence[Step], params: Mapping[str, Param], known: Known
) -> Iterator[Problem]:
    """What is wrong with tests whose steps exist; `steps` follow their inputs."""
    for place, case in enumerate(cases):
        path = joined("tests", place)
        try:
            to_be_run(case, steps)
        except KeyError as error:
            yield Problem(
                path=joined(path, "given"),
                message=f"the rows of `{error.args[0]}` are needed and not given",
                hint="give them, or those of a step behind it",
            )
        yield from _columns(case.given, known, joined(path, "given"))
        yield from _columns(case.expect, known, joined(path, "expect"))
        yield from _params(params, case, path)


def _columns(tables: Mapping[str, Rows], known: Known, path: str) -> Iterator[Problem]:
    for id_, rows in tables.items():
        columns = known.get(id_)
        if columns is None:
            continue
        for place, row in enumerate(rows):
            for column in row.keys() - columns.keys():
                at = joined(joined(joined(path, id_), place), column)
                hint = did_you_mean(column, [*columns])
                yield Problem(path=at, message=f"`{id_}` has no column `{column}`", hint=hint)


def _params(params: Mapping[str, Param], case: Case, path: str) -> Iterator[Problem]:
    try:
        resolve(params, case.params)
    except Rejection as rejection:
        found = rejection.details.get("problems")
        for one in found if isinstance(found, list) else []:
            yield Problem(path=joined(path, one["path"]), message=one["message"], hint=one["hint"])
