# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""Verdicts on the terms of a contract in words: check results, warnings, and why a step fails."""

from collections.abc import Sequence

from commands.steps.ports import Engine
from commands.steps.quality import Values
from commands.steps.sql import listed, quoted
from commands.steps.terms import ROW, Relation, Verdict, breaking
from domain.data.contract import Contract
from domain.data.quality import CheckResult, Severity, told_breaking
from domain.data.term import Metric, Query, RowTerm, columns_of, describe
from domain.run.events import StepError

_results_max = 150
"""Of one step: an event holds no more. What fails comes first."""

_samples_max = 3
"""Rows shown of what breaks a term."""

_terms_shown_max = 10
"""Broken terms that are told one by one in the message."""

_value_chars_max = 40

_WRONG = quoted("headwater breaks it")


def is_row_term(verdict: Verdict) -> bool:
    """Whether it is about each row for itself."""
    return not isinstance(verdict.term, Metric | Query)


def broken_rows(verdicts: Sequence[Verdict]) -> list[RowTerm]:
    """The terms for which rows are set apart."""
    return [
        one.term
        for one in verdicts
        if not one.passed
        and one.term.severity == "error"
        and not isinstance(one.term, Metric | Query)
    ]


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


def warnings_of(
    contract: Contract, verdicts: Sequence[Verdict], *, mild: bool = False
) -> tuple[str, ...]:
    """What is broken and stops nothing, and what nobody checks; `mild` terms stop nothing."""
    broken_ = [one for one in verdicts if not one.passed and (mild or one.term.severity == "warn")]
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
        checked_rows=verdict.checked,
        failing_rows=verdict.failing,
        null_rows=verdict.nulls,
        observed=verdict.observed,
    )


def _said(contract: Contract, verdict: Verdict) -> str:
    term, rule = verdict.term, describe(verdict.term)
    name = f"{term.name}: {rule}" if term.name else rule
    found = verdict.observed or told_breaking(verdict.failing or 0)
    return f"{name}: {found} ({contract.place(term.line)})"


def violated(
    step: str,
    contract: Contract,
    engine: Engine,
    relation: Relation,
    errors: Sequence[Verdict],
) -> StepError:
    """Why the step fails: every broken term with its count, and the first rows that break it."""
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
        where=f"steps.{step}",
        hint="mend the data or the contract, or set another `on_violation`",
    )


def samples(
    engine: Engine, contract: Contract, relation: Relation, verdict: Verdict
) -> tuple[str, ...]:
    """The first rows that break a term: their place, their key, and the value."""
    term = verdict.term
    if isinstance(term, Metric | Query):
        return ()
    values = Values()
    wrong = breaking(term, relation.columns, values)
    names = tuple(dict.fromkeys((*contract.key, *columns_of(term))))
    hidden = {column.name for column in contract.columns if column.is_hidden}
    query = (
        f"select {ROW}, {listed(names)} "
        f"from (select *, {wrong} as {_WRONG} from {relation.source}) "
        f"where {_WRONG} order by {ROW} limit {_samples_max}"
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
