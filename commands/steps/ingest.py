"""Ingesting: a source becomes a dataset, and every record of it is accounted for."""

from msgspec.structs import replace

from commands.steps.checks import checked
from commands.steps.job import Job, Made, replace_outcome
from commands.steps.lines import gaps_of
from commands.steps.ports import SourceFiles, SourceRead, Written, broken
from commands.steps.quarantine import settled
from commands.steps.sql import literal
from domain.data.quality import CheckResult
from domain.data.rowmap import RowMap
from domain.pipeline.steps import Ingest
from domain.run.events import StepOutcome
from domain.run.ledger import InputLedger, status_of


def ingest(job: Job, step: Ingest) -> Made:
    """Read the whole source; what does not fit its declaration goes to quarantine."""
    source, artifacts = job.spec.sources[step.source], job.bench.artifacts
    scratch, rejects, jumps = (artifacts.scratch() for _ in range(3))
    files = SourceFiles(rows=scratch, rejects=rejects, jumps=jumps)
    try:
        path = job.filled(source.path)
        read = job.bench.sources.read(step.source, source, path, files)
        if read.records == 0 and not step.allow_empty:
            raise broken(
                "empty_source",
                f"{read.source.name} has no records",
                where=read.source.name,
                hint="set `allow_empty: true` on the step if that can be",
            )
        row_map = RowMap(first=read.first)
        if read.jumps:
            row_map = replace(row_map, jumps=job.output(artifacts.admit(jumps), "jumps"))
        if read.rejected:
            row_map = replace(row_map, gaps=gaps_of(job, read.source.name, row_map, rejects))
        made = ingested(job, step, read, (scratch, rejects))
        return replace_outcome(made, replace(made.outcome, row_map=row_map))
    finally:
        for one in (scratch, rejects, jumps):
            artifacts.discard(one)


def ingested(job: Job, step: Ingest, read: SourceRead, files: tuple[str, str]) -> Made:
    """What was read of a source, accounted for: `files` hold the rows that fit, and the others."""
    scratch, rejects = files
    counted = StepOutcome(rows_in=read.records, source=read.source)
    quarantine = settled(job, step.limits, rejects, read.rejected, counted)
    rows = quarantine.rows if quarantine else 0
    counted = replace(counted, quarantine=quarantine, rows_quarantined=rows)
    checks, warnings = _checked(job, step, counted, scratch)
    written = job.bench.artifacts.admit(scratch)
    outcome = replace(_outcome(job, counted, read, written), checks=checks, warnings=warnings)
    schema = {step.source: dict.fromkeys(read.columns, "")}
    return Made(outcome=outcome, edges=job.edges(schema))


def _outcome(job: Job, counted: StepOutcome, read: SourceRead, written: Written) -> StepOutcome:
    entry = InputLedger(
        dataset=read.source.name,
        fingerprint=read.source.fingerprint,
        rows_in=read.records,
        reached=written.rows,
        filtered=0,
        unmatched=0,
        duplicated=0,
        quarantined=counted.rows_quarantined,
    )
    return replace(
        counted,
        inputs=(entry,),
        output=job.output(written),
        rows_out=written.rows,
        rows_filtered=0,
        ledger=status_of((entry,)),
    )


def _checked(
    job: Job, step: Ingest, counted: StepOutcome, scratch: str
) -> tuple[tuple[CheckResult, ...], tuple[str, ...]]:
    if not step.checks:
        return (), ()
    with job.bench.engines.open({}, (scratch, *job.rule_files)) as engine:
        return checked(job, engine, f"read_parquet({literal(scratch)})", step.checks, counted)
