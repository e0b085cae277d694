"""What a transform promises of its inputs' rows, held against its query before anything runs."""

from collections.abc import Iterator, Mapping

from adapters.engines.ledger.accounts import counted
from adapters.engines.tables import Columns, EmptyTables, SqlRefused
from commands.steps.tally import CountedFile, QueryCount
from domain.pipeline.names import did_you_mean
from domain.pipeline.problems import Problem
from domain.pipeline.shape import joined
from domain.pipeline.steps import Transform


def unknown_promises(step: Transform) -> Iterator[Problem]:
    """Promises about what is no input of the step."""
    path = joined(joined("steps", step.id), "keeps")
    for name in step.promises:
        if name not in step.aliases:
            hint = did_you_mean(name, [*step.aliases]) or "inputs here: " + ", ".join(step.aliases)
            yield Problem(path=path, message=f"the step does not read `{name}`", hint=hint)


def keeps_problems(
    step: Transform, sql: str, inputs: Mapping[str, Columns], engine: EmptyTables
) -> Iterator[Problem]:
    """Promises that cannot be proven."""
    path = joined(joined("steps", step.id), "keeps")
    known = [name for name in step.promises if name in inputs]
    if not known:
        return
    plan = _planned(sql, inputs, engine)
    if plan.unproven:
        shown = ", ".join(f"`{name}`" for name in known)
        message = f"whether the rows of {shown} are kept cannot be proven: {plan.unproven}"
        hint = "write the query without it, or leave `keeps` out; the ledger then says `unproven`"
        yield Problem(path=path, message=message, hint=hint)
        return
    for count in plan.inputs:
        if count.is_looked_at and count.name in known:
            message = f"no row of `{count.name}` goes into the result: the query only looks at it"
            hint = "name inputs whose rows are selected or joined"
            yield Problem(path=path, message=message, hint=hint)


def unproven(sql: str, inputs: Mapping[str, Columns], engine: EmptyTables) -> str:
    """Why the rows of a query's inputs could not be counted; empty where they can."""
    return _planned(sql, inputs, engine).unproven


def _planned(sql: str, inputs: Mapping[str, Columns], engine: EmptyTables) -> QueryCount:

    def columns(query: str) -> dict[str, str] | None:
        try:
            return engine.columns_of(query, inputs)
        except SqlRefused:
            return None

    files = {name: CountedFile(path="", rows=0) for name in inputs}
    return counted(sql, files, columns)
