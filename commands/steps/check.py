# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""Checking: rules on an input that stays as it is."""

from commands.steps.checks import checked
from commands.steps.job import Job, Made, account
from commands.steps.sql import quoted
from domain.pipeline.rules import QualityRules
from domain.pipeline.steps import Check
from domain.run.events import StepOutcome
from domain.run.ledger import status_of


def check(job: Job, step: Check) -> Made:
    """Hold the input against the rules. The output is the input's own dataset version."""
    source = job.only_input()
    name = quoted(source.name)
    with job.bench.engines.open({source.name: source.path}, job.rule_files) as engine:
        schema = engine.columns(f"from {name}")
        counted = StepOutcome(
            inputs=(account(source, reached=None, filtered=None, proven=False),),
            rows_in=source.version.rows,
        )
        rules = QualityRules((*step.rules, *step.checks))
        checks, warnings = checked(job, engine, name, rules, counted)
        seen = engine.rows(f"select count(*) from {name}")[0][0]
    rows = seen if isinstance(seen, int) else None
    inputs = (account(source, reached=rows, filtered=0),)
    outcome = StepOutcome(
        inputs=inputs,
        output=source.version,
        rows_in=source.version.rows,
        rows_out=rows,
        rows_filtered=0,
        ledger=status_of(inputs),
        checks=checks,
        warnings=warnings,
    )
    return Made(outcome=outcome, edges=job.edges({source.name: schema}))
