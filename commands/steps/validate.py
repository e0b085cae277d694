"""Validating: an input held against a contract, row by row and as a whole."""

from collections.abc import Sequence

from msgspec.structs import replace

from commands.steps.checks import checked
from commands.steps.job import Job, JobInput, Made, account
from commands.steps.ports import Engine, StepBroken, broken
from commands.steps.sieve import sift
from commands.steps.sql import literal, quoted
from commands.steps.terms import Relation, Verdict, judged
from commands.steps.verdicts import broken_rows, is_row_term, results_of, violated, warnings_of
from domain.data.contract import Contract, fits
from domain.pipeline.contracts import InvalidContract, place_of
from domain.pipeline.steps import Validate
from domain.run.events import StepOutcome
from domain.run.ledger import status_of


def validate(job: Job, step: Validate) -> Made:
    """Hold the input against the contract. The output is the input's own dataset version, unless
    rows of it are set apart."""
    source, contract = job.only_input(), contract_of(job, step)
    with job.bench.engines.open(_views(source, contract, source.path), job.rule_files) as engine:
        columns = engine.columns(f"from {quoted(source.name)}")
        _hold_columns(contract, columns, f"steps.{step.id}")
        relation = _relation(source.path, columns)
        verdicts = judged(engine, contract, relation)
        if step.on_violation != "quarantine" or not broken_rows(verdicts):
            return Made(outcome=_untouched(job, contract, engine, relation, verdicts))
    return _sifted(job, contract, relation, verdicts)


def _untouched(
    job: Job,
    contract: Contract,
    engine: Engine,
    relation: Relation,
    verdicts: Sequence[Verdict],
) -> StepOutcome:
    source, step = job.only_input(), job.step
    mild = isinstance(step, Validate) and step.on_violation == "warn"
    counted = StepOutcome(
        inputs=(account(source, reached=None, filtered=None, proven=False),),
        rows_in=source.version.rows,
        checks=results_of(verdicts, mild=mild),
        warnings=warnings_of(contract, verdicts, mild=mild),
    )
    if not mild and (errors := _errors(verdicts)):
        raise StepBroken(violated(step.id, contract, engine, relation, errors), counted)
    checks, warnings = checked(job, engine, quoted(source.name), step.checks, counted)
    seen = engine.rows(f"select count(*) from {quoted(source.name)}")[0][0]  # noqa: S608
    rows = seen if isinstance(seen, int) else None
    inputs = (account(source, reached=rows, filtered=0),)
    return replace(
        counted,
        inputs=inputs,
        output=source.version,
        rows_out=rows,
        rows_filtered=0,
        rows_quarantined=0,
        ledger=status_of(inputs),
        checks=(*counted.checks, *checks),
        warnings=(*counted.warnings, *warnings),
    )


def _sifted(job: Job, contract: Contract, relation: Relation, verdicts: Sequence[Verdict]) -> Made:
    """Rows that break a row term are set apart, and what is left is held against all terms."""
    source, artifacts = job.only_input(), job.bench.artifacts
    scratch, rejects, gaps = (artifacts.scratch() for _ in range(3))
    rows = [one for one in verdicts if is_row_term(one)]
    try:
        counted = sift(job, relation, broken_rows(verdicts), (scratch, rejects, gaps))
        with job.bench.engines.open(_views(source, contract, scratch), job.rule_files) as engine:
            left = _relation(scratch, relation.columns)
            after = judged(engine, contract, left)
            whole = [one for one in after if not is_row_term(one)]
            counted = replace(
                counted,
                checks=(*results_of(rows, mild=True), *results_of(whole, mild=False)),
                warnings=warnings_of(contract, after),
            )
            if errors := _errors(after):
                raise StepBroken(violated(job.step.id, contract, engine, left, errors), counted)
            checks, warnings = checked(job, engine, quoted(source.name), job.step.checks, counted)
        written, row_map = artifacts.admit(scratch), job.gaps(gaps)
    finally:
        for one in (scratch, rejects, gaps):
            artifacts.discard(one)
    apart = counted.rows_quarantined or 0
    inputs = (account(source, reached=written.rows, filtered=0, quarantined=apart),)
    outcome = replace(
        counted,
        inputs=inputs,
        output=job.output(written),
        rows_out=written.rows,
        rows_filtered=0,
        row_map=row_map,
        ledger=status_of(inputs),
        checks=(*counted.checks, *checks),
        warnings=(*counted.warnings, *warnings),
    )
    return Made(outcome=outcome, edges=job.edges({source.name: relation.columns}))


def _errors(verdicts: Sequence[Verdict]) -> list[Verdict]:
    return [one for one in verdicts if not one.passed and one.term.severity == "error"]


def _relation(path: str, columns: dict[str, str]) -> Relation:
    scan = f"read_parquet({literal(path)}, file_row_number = true)"
    return Relation(source=scan, columns=columns)


def _views(source: JobInput, contract: Contract, path: str) -> dict[str, str]:
    """The data under the input's name and the contract's; they may be one name to the engine."""
    views = {contract.table.lower(): contract.table, source.name: source.name}
    return dict.fromkeys(views.values(), path)


def contract_of(job: Job, step: Validate) -> Contract:
    file, table = place_of(step.contract)
    try:
        return job.bench.contracts(file, table, job.files.get(file, ""))
    except InvalidContract as error:
        first = error.problems[0]
        raise broken(
            "invalid_contract", first.message, where=first.path, hint=first.hint
        ) from error


def _hold_columns(contract: Contract, columns: dict[str, str], where: str) -> None:
    for column in contract.columns:
        have = columns.get(column.name)
        place = contract.place(column.line)
        if have is None:
            raise broken(
                "missing_column",
                f"column `{column.name}` of the contract is missing ({place})",
                where=where,
                hint="there are: " + ", ".join([*columns][:20]),
            )
        if not fits(column, have):
            raise broken(
                "wrong_type",
                f"column `{column.name}` is {column.logical} in the contract ({place}) and "
                f"{have} in the data",
                where=where,
                hint="cast it before, or read its source with the contract",
            )
