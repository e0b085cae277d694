"""Transforming: a query or a Python function makes a new dataset from its inputs."""

from msgspec.structs import replace

from commands.steps.accounts import Accounts, counted, planned, uncounted, written
from commands.steps.checks import checked
from commands.steps.job import Job, Made
from commands.steps.ports import Engine
from commands.steps.promises import entries_of, hold, warnings_of
from commands.steps.sql import literal, quoted
from domain.pipeline.rules import QualityRules
from domain.pipeline.steps import Transform
from domain.run.events import StepOutcome
from domain.run.ledger import InputLedger, status_of

_BY_PYTHON = "a Python step: what a function does with rows cannot be followed"


def transform(job: Job, step: Transform) -> Made:
    """Write what the query or the function makes, and account for the rows of each input.

    Raises `StepBroken` with code `rows_lost` or `rows_duplicated` where what the step `keeps` was
    not kept, or where the ledger is strict and rows found no match.
    """
    scratch = job.bench.artifacts.scratch()
    try:
        if step.python:
            return _by_function(job, step, scratch)
        return _by_query(job, step, scratch)
    finally:
        job.bench.artifacts.discard(scratch)


def _by_query(job: Job, step: Transform, scratch: str) -> Made:
    views = {one.name: one.path for one in job.inputs}
    with job.bench.engines.open(views, (scratch, *job.rule_files)) as engine:
        plan = written(job, engine, planned(job, engine), scratch)
        relation = f"read_parquet({literal(scratch)})"
        accounts = counted(job, engine, plan, relation)
        outcome = _finished(job, engine, step.checks, scratch, accounts)
        schemas = {name: engine.columns(f"from {quoted(name)}") for name in views}
    return Made(outcome=outcome, edges=job.edges(schemas))


def _by_function(job: Job, step: Transform, scratch: str) -> Made:
    paths = {one.name: one.path for one in job.inputs}
    job.bench.functions.call(step.python, paths, job.work.params, scratch)
    accounts = uncounted(job.inputs, _BY_PYTHON)
    if not step.checks:
        return Made(outcome=_finished(job, None, step.checks, scratch, accounts))
    with job.bench.engines.open({}, (scratch, *job.rule_files)) as engine:
        return Made(outcome=_finished(job, engine, step.checks, scratch, accounts))


def _finished(
    job: Job, engine: Engine | None, rules: QualityRules, scratch: str, accounts: Accounts
) -> StepOutcome:
    inputs = entries_of(job, accounts)
    rows_in = sum(one.version.rows for one in job.inputs) if job.inputs else None
    outcome = StepOutcome(
        inputs=inputs,
        rows_in=rows_in,
        rows_filtered=_filtered(inputs),
        ledger=status_of(inputs),
        warnings=warnings_of(job, accounts),
    )
    hold(job, accounts, outcome)
    relation = f"read_parquet({literal(scratch)})"
    checks, warnings = checked(job, engine, relation, rules, outcome) if engine else ((), ())
    written = job.bench.artifacts.admit(scratch)
    return replace(
        outcome,
        output=job.output(written),
        rows_out=written.rows,
        checks=checks,
        warnings=(*outcome.warnings, *warnings),
    )


def _filtered(inputs: tuple[InputLedger, ...]) -> int | None:
    """Rows that conditions on one input alone removed; None where some were not counted."""
    counted_ones = [one.filtered for one in inputs if not one.looked_at]
    known = [one for one in counted_ones if one is not None]
    return sum(known) if known and len(known) == len(counted_ones) else None
