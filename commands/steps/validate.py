# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""Validating: an input held against a contract, row by row and as a whole."""

from collections.abc import Sequence
from typing import get_args

from commands.steps.job import Job, JobInput, Made, account, checked
from commands.steps.ports import Engine, StepBroken, broken
from commands.steps.quality import Values
from commands.steps.sql import listed, literal, quoted
from commands.steps.terms import Relation, Verdict, breaking, judged
from domain.data.contract import Contract, fits
from domain.data.quality import CheckResult, Severity
from domain.data.term import RowTerm, columns_of, describe
from domain.pipeline.contracts import InvalidContract, place_of
from domain.pipeline.steps import Validate
from domain.run.events import StepError, StepOutcome
from domain.run.ledger import status_of

_results_max = 150
"""Of one step: an event holds no more. What fails comes first."""

_samples_max = 3
"""Rows shown of what breaks a term."""

_terms_shown_max = 10
"""Broken terms that are told one by one in the message."""

_value_chars_max = 40

_WRONG = quoted("headwater breaks it")


def validate(job: Job, step: Validate) -> Made:
    """Hold the input against the contract. The output is the input's own dataset version."""
    source, contract = job.only_input(), contract_of(job, step)
    views = {source.name: source.path, contract.table: source.path}
    with job.bench.engines.open(views) as engine:
        relation = Relation(
            source=scan_of(source), columns=engine.columns(f"from {quoted(source.name)}")
        )
        hold_columns(contract, relation, f"steps.{step.id}")
        verdicts = judged(engine, contract, relation)
        counted = StepOutcome(
            inputs=(account(source, reached=None, filtered=None, proven=False),),
            rows_in=source.version.rows,
            checks=results_of(verdicts, mild=step.on_violation == "warn"),
        )
        errors = [one for one in verdicts if not one.passed and one.term.severity == "error"]
        if errors and step.on_violation != "warn":
            raise StepBroken(_violated(step, contract, engine, relation, errors), counted)
        told = warnings_of(contract, verdicts)
        checks, warnings = checked(job, engine, quoted(source.name), step.checks, counted)
        seen = engine.rows(f"select count(*) from {quoted(source.name)}")[0][0]
    rows = seen if isinstance(seen, int) else None
    inputs = (account(source, reached=rows, filtered=0),)
    outcome = StepOutcome(
        inputs=inputs,
        output=source.version,
        rows_in=source.version.rows,
        rows_out=rows,
        rows_filtered=0,
        rows_quarantined=0,
        ledger=status_of(inputs),
        checks=(*counted.checks, *checks),
        warnings=(*told, *warnings),
    )
    return Made(outcome=outcome)


def contract_of(job: Job, step: Validate) -> Contract:
    """The step's contract, from the bundle."""
    file, table = place_of(step.contract)
    try:
        return job.bench.contracts(file, table, job.files.get(file, ""))
    except InvalidContract as error:
        first = error.problems[0]
        raise broken(
            "invalid_contract", first.message, where=first.path, hint=first.hint
        ) from error


def scan_of(source: JobInput) -> str:
    """The input with the place of each row beside it."""
    return f"read_parquet({literal(source.path)}, file_row_number = true)"


def hold_columns(contract: Contract, relation: Relation, where: str) -> None:
    """Raise `StepBroken` where a column of the contract is not there, or is of another type."""
    for column in contract.columns:
        have = relation.columns.get(column.name)
        if have is None:
            raise broken(
                "missing_column",
                f"column `{column.name}` of the contract is missing "
                f"({contract.place(column.line)})",
                where=where,
                hint="there are: " + ", ".join([*relation.columns][:20]),
            )
        if not fits(column, have):
            raise broken(
                "wrong_type",
                f"column `{column.name}` is {column.logical} in the contract "
                f"({contract.place(column.line)}) and {have} in the data",
                where=where,
                hint="cast it before, or read its source with the contract",
            )


def results_of(verdicts: Sequence[Verdict], *, mild: bool) -> tuple[CheckResult, ...]:
    """What was found as check results, what fails first; `mild` makes warnings of errors."""
    ordered = sorted(verdicts, key=lambda verdict: verdict.passed)
    shown = [_result(verdict, mild=mild) for verdict in ordered[:_results_max]]
    rest = ordered[_results_max:]
    if rest:
        failed = sum(not verdict.passed for verdict in rest)
        shown.append(
            CheckResult(
                name=f"{len(rest)} more terms of the contract",
                rule="contract",
                severity="warn" if mild else "error",
                passed=not failed,
                observed=f"{failed} broken",
            )
        )
    return tuple(shown)


def warnings_of(contract: Contract, verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    """What is broken and stops nothing, and what nobody checks."""
    broken_ = [verdict for verdict in verdicts if not verdict.passed]
    told = [f"contract {_said(contract, verdict)}" for verdict in broken_[:_terms_shown_max]]
    if len(broken_) > _terms_shown_max:
        told.append(f"contract: {len(broken_) - _terms_shown_max} more terms are broken")
    if contract.unchecked:
        more = f" and {len(contract.unchecked) - 1} more" if len(contract.unchecked) > 1 else ""
        told.append(f"not checked in {contract.file}: {contract.unchecked[0]}{more}")
    return tuple(told)


def _result(verdict: Verdict, *, mild: bool) -> CheckResult:
    term = verdict.term
    severity: Severity = "warn" if mild else term.severity
    rule = describe(term)
    return CheckResult(
        name=term.name or rule,
        rule=rule,
        severity=severity,
        passed=verdict.passed,
        failing_rows=verdict.failing,
        null_rows=verdict.nulls,
        observed=verdict.observed,
    )


def _said(contract: Contract, verdict: Verdict) -> str:
    term, rule = verdict.term, describe(verdict.term)
    name = f"{term.name}: {rule}" if term.name else rule
    found = verdict.observed or f"{verdict.failing} rows break it"
    return f"{name}: {found} ({contract.place(term.line)})"


def _violated(
    step: Validate,
    contract: Contract,
    engine: Engine,
    relation: Relation,
    errors: Sequence[Verdict],
) -> StepError:
    lines = []
    for verdict in errors[:_terms_shown_max]:
        rows = samples(engine, contract, relation, verdict)
        lines.append(_said(contract, verdict) + ("; " + "; ".join(rows) if rows else ""))
    if len(errors) > _terms_shown_max:
        lines.append(f"and {len(errors) - _terms_shown_max} more")
    head = f"{len(errors)} of {len(contract.terms)} terms of {contract.file} are broken"
    return StepError(
        code="contract_violated",
        message="\n".join([head, *lines]),
        where=f"steps.{step.id}",
        hint="mend the data or the contract, or set `on_violation: warn`",
    )


def samples(
    engine: Engine, contract: Contract, relation: Relation, verdict: Verdict
) -> tuple[str, ...]:
    """The first rows that break a term: their place, their key, and the value."""
    term = verdict.term
    if not isinstance(term, get_args(RowTerm)):
        return ()
    values = Values()
    wrong = breaking(term, relation.columns, values)
    names = tuple(dict.fromkeys((*contract.key, *columns_of(term))))
    row = quoted("file_row_number")
    hidden = {column.name for column in contract.columns if column.is_hidden}
    query = (
        f"select {row}, {listed(names)} "
        f"from (select *, {wrong} as {_WRONG} from {relation.source}) "
        f"where {_WRONG} order by {row} limit {_samples_max}"
    )
    return tuple(
        f"row {int(str(row[0])) + 1} ({_shown(names, row[1:], hidden)})"
        for row in engine.rows(query, values.bound)
    )


def _shown(names: Sequence[str], values: Sequence[object], hidden: set[str]) -> str:
    pairs = zip(names, values, strict=True)
    return ", ".join(
        f"{name} = {'hidden' if name in hidden and value is not None else _value(value)}"
        for name, value in pairs
    )


def _value(value: object) -> str:
    if value is None:
        return "null"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _value_chars_max else text[:_value_chars_max] + "…"
