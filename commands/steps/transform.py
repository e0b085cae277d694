"""Transforming: a query or a Python function makes a new dataset from its inputs."""

from commands.steps.job import Job, Made, account, checked
from commands.steps.ports import Engine
from commands.steps.sql import literal, quoted
from domain.pipeline.rules import QualityRules
from domain.pipeline.steps import Transform
from domain.run.events import StepOutcome
from domain.run.ledger import status_of


def transform(job: Job, step: Transform) -> Made:
    """Write what the query or the function makes. Its rows are counted, not proven."""
    scratch = job.bench.artifacts.scratch()
    try:
        if step.python:
            return _by_function(job, step, scratch)
        return _by_query(job, step, scratch)
    finally:
        job.bench.artifacts.discard(scratch)


def _by_query(job: Job, step: Transform, scratch: str) -> Made:
    query = job.query
    views = {one.name: one.path for one in job.inputs}
    with job.bench.engines.open(views, (scratch,)) as engine:
        values = job.values(engine, query)
        engine.save(engine.settled(query, values), scratch, values)
        outcome = _finished(job, engine, step.checks, scratch)
        schemas = {name: engine.columns(f"from {quoted(name)}") for name in views}
    return Made(outcome=outcome, edges=job.edges(schemas))


def _by_function(job: Job, step: Transform, scratch: str) -> Made:
    paths = {one.name: one.path for one in job.inputs}
    job.bench.functions.call(step.python, paths, job.work.params, scratch)
    if not step.checks:
        return Made(outcome=_finished(job, None, step.checks, scratch))
    with job.bench.engines.open({}, (scratch,)) as engine:
        return Made(outcome=_finished(job, engine, step.checks, scratch))


def _finished(job: Job, engine: Engine | None, rules: QualityRules, scratch: str) -> StepOutcome:
    inputs = tuple(account(one, reached=None, filtered=None, proven=False) for one in job.inputs)
    rows_in = sum(one.version.rows for one in job.inputs) if job.inputs else None
    counted = StepOutcome(inputs=inputs, rows_in=rows_in)
    relation = f"read_parquet({literal(scratch)})"
    checks, warnings = checked(job, engine, relation, rules, counted) if engine else ((), ())
    written = job.bench.artifacts.admit(scratch)
    return StepOutcome(
        inputs=inputs,
        output=job.output(written),
        rows_in=rows_in,
        rows_out=written.rows,
        ledger=status_of(inputs),
        checks=checks,
        warnings=warnings,
    )
