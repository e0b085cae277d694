"""The checks of a step: every rule evaluated, and what follows from what was found."""

from commands.steps.job import Job
from commands.steps.ports import Engine, StepBroken, broken
from commands.steps.quality import Subject, evaluate
from commands.steps.sql import literal
from domain.data.quality import CheckResult, told_breaking
from domain.pipeline.names import did_you_mean
from domain.pipeline.rules import QualityRules, columns_of, describe
from domain.run.events import StepError, StepOutcome


def checked(
    job: Job, engine: Engine, relation: str, rules: QualityRules, outcome: StepOutcome
) -> tuple[tuple[CheckResult, ...], tuple[str, ...]]:
    """Results of `rules` on a relation, and warnings of those that only warn.

    Raises `StepBroken` with code `check_failed`, and what was counted, where an error was found.
    """
    if not rules:
        return (), ()
    subject = Subject(
        name=job.step.id,
        relation=relation,
        columns=engine.columns(f"from {relation}"),
        others={step: f"read_parquet({literal(path)})" for step, path in job.rule_rows.items()},
        params=lambda query: job.values(engine, query),
        run_time=job.work.run_time,
    )
    results = _found(job, engine, subject, rules)
    failed = [one for one in results if not one.passed]
    errors = [one for one in failed if one.severity == "error"]
    warnings = tuple(f"check {said(one)}" for one in failed if one.severity == "warn")
    if errors:
        words = "; ".join(said(one) for one in errors[:3])
        more = f" (and {len(errors) - 3} more)" if len(errors) > 3 else ""
        error = StepError(
            code="check_failed",
            message=f"{len(errors)} of {len(results)} checks failed: {words}{more}",
            where=f"steps.{job.step.id}",
            hint="mend the data or the step before, or set `severity: warn`",
        )
        raise StepBroken(error, _with_checks(outcome, results, warnings))
    return results, warnings


def said(result: CheckResult) -> str:
    """A check that failed, in words."""
    found = result.observed or told_breaking(result.failing_rows or 0)
    if result.tolerance:
        found = told_breaking(result.failing_rows or 0, result.checked_rows)
        found += f", more than {result.tolerance}"
    name = result.name if result.name == result.rule else f"{result.name} ({result.rule})"
    return f"{name}: {found}"


def _with_checks(
    outcome: StepOutcome, results: tuple[CheckResult, ...], warnings: tuple[str, ...]
) -> StepOutcome:
    return StepOutcome(
        inputs=outcome.inputs,
        rows_in=outcome.rows_in,
        rows_filtered=outcome.rows_filtered,
        rows_quarantined=outcome.rows_quarantined,
        quarantine=outcome.quarantine,
        counts=outcome.counts,
        checks=(*outcome.checks, *results),
        source=outcome.source,
        warnings=(*outcome.warnings, *warnings),
    )


def _found(
    job: Job, engine: Engine, subject: Subject, rules: QualityRules
) -> tuple[CheckResult, ...]:
    """What the rules found. Raises `StepBroken` that names the rule that cannot be evaluated."""
    where = f"steps.{job.step.id}"
    for rule in rules:
        for column in columns_of(rule):
            if column not in subject.columns:
                message = f"check {describe(rule)}: there is no column `{column}`"
                hint = did_you_mean(column, [*subject.columns])
                raise broken("missing_column", message, where=where, hint=hint)
    try:
        return evaluate(engine, subject, rules)
    except StepBroken as stopped:
        if stopped.error.code != "sql_error":
            raise
        for rule in rules:
            try:
                evaluate(engine, subject, QualityRules((rule,)))
            except StepBroken as one:
                message = f"check {describe(rule)}: {one.error.message}"
                hint = one.error.hint
                raise broken("sql_error", message, where=where, hint=hint) from one
        raise
