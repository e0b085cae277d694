# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""Inspection: one table held against a contract, outside of any run."""

from msgspec import Struct
from msgspec.structs import replace

from commands.steps.ports import Engine, StepBroken
from commands.steps.quarantine import LINE, REASON, RULE
from commands.steps.sql import literal
from commands.steps.terms import Relation, Verdict, judged
from commands.steps.verdicts import samples
from domain.data.contract import Contract, fits
from domain.data.quality import Severity
from domain.data.term import Query, columns_of, describe

_samples_max = 3


class Finding(Struct, frozen=True, kw_only=True):
    """What one term of the contract, or one column of it, came to."""

    name: str
    rule: str
    severity: Severity = "error"
    passed: bool
    failing_rows: int | None = None
    null_rows: int | None = None
    observed: str = ""
    where: str = ""
    """File and line of the contract."""
    rows: tuple[str, ...] = ()
    """The first that break it."""


def inspected(engine: Engine, contract: Contract, relation: Relation) -> list[Finding]:
    """Columns first, then every term whose columns are as they must be."""
    found, good = [], set(relation.columns)
    for column in contract.columns:
        have = relation.columns.get(column.name)
        if have is not None and fits(column, have):
            continue
        good.discard(column.name)
        rule = f"column({column.name}{': ' + column.logical if column.logical else ''})"
        found.append(
            Finding(
                name=rule,
                rule=rule,
                passed=False,
                observed="missing" if have is None else f"{have} in the data",
                where=contract.place(column.line),
            )
        )
    terms = tuple(one for one in contract.terms if good.issuperset(columns_of(one)))
    rows = replace(contract, terms=tuple(one for one in terms if not isinstance(one, Query)))
    verdicts = list(judged(engine, rows, relation))
    for term in terms:
        if isinstance(term, Query):
            verdicts.append(_asked(engine, contract, relation, term))
    return found + [_finding(engine, contract, relation, one) for one in verdicts]


def misfits(engine: Engine, rejects: str) -> list[Finding]:
    """Records of the file that could not be read as the contract's types, by what is wrong."""
    relation = f"read_parquet({literal(rejects)})"
    groups = engine.rows(f"select {RULE}, count(*) from {relation} group by 1 order by 1")
    found = []
    for rule, count in groups:
        shown = engine.rows(
            f"select {LINE}, {REASON} from {relation} where {RULE} = {literal(str(rule))} "
            f"order by 1 limit {_samples_max}"
        )
        found.append(
            Finding(
                name=str(rule),
                rule=str(rule),
                passed=False,
                failing_rows=int(str(count)),
                rows=tuple(f"line {line}: {reason}" for line, reason in shown),
            )
        )
    return found


def _asked(engine: Engine, contract: Contract, relation: Relation, term: Query) -> Verdict:
    try:
        (verdict,) = judged(engine, replace(contract, terms=(term,)), relation)
    except StepBroken as broken:
        message = " ".join(broken.error.message.split())
        return Verdict(term=term, passed=False, observed=message[:200])
    return verdict


def _finding(engine: Engine, contract: Contract, relation: Relation, verdict: Verdict) -> Finding:
    term, rule = verdict.term, describe(verdict.term)
    return Finding(
        name=term.name or rule,
        rule=rule,
        severity=term.severity,
        passed=verdict.passed,
        failing_rows=verdict.failing,
        null_rows=verdict.nulls,
        observed=verdict.observed,
        where=contract.place(term.line),
        rows=() if verdict.passed else samples(engine, contract, relation, verdict),
    )
