# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""Storing: a dataset's rows go to a destination outside, whole or not at all."""

from msgspec.structs import replace

from commands.steps.checks import checked
from commands.steps.job import Job, JobInput, Made, account
from commands.steps.part import path_of
from commands.steps.ports import Draft, Engine, Mark, broken
from commands.steps.reuse import unsteady
from commands.steps.sql import literal, quoted
from domain.data.dataset import OuterDataset
from domain.data.quality import CheckResult
from domain.pipeline.rules import orderings
from domain.pipeline.sinks import CsvSink, JsonlSink, ParquetSink, Sink
from domain.pipeline.steps import Store
from domain.run.events import StepOutcome
from domain.run.ledger import status_of

_ROW = "file_row_number"
"""The engine's name for a row's place in its file."""

Checked = tuple[tuple[CheckResult, ...], tuple[str, ...]]


def store(job: Job, step: Store) -> Made:
    """Replace the destination's content, or its part for this run's slice, by the input's rows.

    A destination that this very content was written to, and nobody touched since, stays as it is,
    unless it is wanted anew.
    """
    source = job.only_input()
    if source.version.rows == 0 and not step.allow_empty:
        raise broken(
            "empty_output",
            f"{source.version.dataset} has no rows, and would replace what is there",
            where=f"steps.{step.id}",
            hint="set `allow_empty: true` on the step if that can be",
        )
    with job.bench.sinks.draft(path_of(job, step)) as draft:
        key = job.key(place_of(draft.destination))
        kept = job.bench.artifacts.find(key)
        if kept is not None and job.is_own(kept):
            # Written by this run already; what others wrote since is not ours to replace.
            return Made(outcome=kept.outcome, edges=kept.edges)
        there = _there(job, draft, key)
        if kept is not None and there is not None and not unsteady(job):
            return Made(outcome=_left(kept.outcome, job, there), edges=kept.edges)
        views = {source.name: source.path}
        with job.bench.engines.open(views, (draft.path, *job.rule_files)) as engine:
            counted = StepOutcome(rows_in=source.version.rows)
            results = checked(job, engine, quoted(source.name), step.checks, counted)
            schema = engine.columns(f"from {quoted(source.name)}")
            mark = there or _write(job, step, engine, draft, key)
        outcome = _outcome(source, draft, mark, results)
    return Made(outcome=_left(outcome, job, mark), edges=job.edges({source.name: schema}))


def place_of(destination: OuterDataset) -> OuterDataset:
    """A destination by its name alone, which stays the same whatever it holds."""
    return replace(destination, fingerprint="", bytes=0)


def _there(job: Job, draft: Draft, key: str) -> Mark | None:
    """The mark of a destination in which nothing is to be done."""
    mark = draft.unchanged(key, job.work.run_time)
    if mark is None or (job.work.fresh and mark.run != job.work.run):
        return None
    return mark


def _left(outcome: StepOutcome, job: Job, mark: Mark) -> StepOutcome:
    """The outcome with the earlier run that wrote the rows, if it was one."""
    return replace(outcome, written_by=None if mark.run == job.work.run else mark.run)


def _write(job: Job, step: Store, engine: Engine, draft: Draft, key: str) -> Mark:
    source = job.only_input()
    engine.save(_ordered(source, step, engine), draft.path, sink=step.sink)
    seen = engine.rows(f"select count(*) from {_read_back(step.sink, draft.path)}")[0][0]
    rows = seen if isinstance(seen, int) else -1
    if rows != source.version.rows:
        raise broken(
            "ledger_unbalanced",
            f"{source.version.rows} rows went in, {rows} can be read from the destination",
            where=draft.destination.name,
        )
    work = job.work
    mark = Mark(
        pipeline=work.pipeline,
        step=work.step,
        run=work.run,
        run_time=work.run_time,
        key=key,
        rows=rows,
    )
    return draft.publish(mark)


def _ordered(source: JobInput, step: Store, engine: Engine) -> str:
    """The rows as they are to be written. Those that `order_by` leaves equal stay in the order of
    the input, which a sort alone does not promise."""
    rows = f"from {quoted(source.name)}"
    keys = [
        f"{quoted(one.column)} {'desc' if one.descending else 'asc'} nulls last"
        for one in orderings(step.order_by)
    ]
    if not keys:
        return rows
    columns = engine.columns(rows)
    if _ROW in columns:
        ties = [f"{quoted(name)} nulls last" for name in columns]
        return f"{rows} order by {', '.join((*keys, *ties))}"
    scan = f"read_parquet({literal(source.path)}, {_ROW} = true)"
    return f"select * exclude ({_ROW}) from {scan} order by {', '.join((*keys, _ROW))}"


def _read_back(sink: Sink, path: str) -> str:
    """The written file as a relation, read as text where it is text."""
    place = literal(path)
    match sink:
        case ParquetSink():
            return f"read_parquet({place})"
        case CsvSink(path=name, delimiter=delimiter, header=header):
            return (
                f"read_csv({place}, all_varchar = true, header = {str(header).lower()}, "
                f"delim = {literal(delimiter)}, quote = '\"', escape = '\"', "
                f"null_padding = false, compression = {_compression(name)})"
            )
        case JsonlSink(path=name):
            return (
                f"read_json_objects({place}, format = 'newline_delimited', "
                f"compression = {_compression(name)})"
            )


def _compression(path: str) -> str:
    return "'gzip'" if path.endswith(".gz") else "'none'"


def _outcome(source: JobInput, draft: Draft, mark: Mark, results: Checked) -> StepOutcome:
    inputs = (account(source, reached=mark.rows, filtered=0),)
    return StepOutcome(
        inputs=inputs,
        output=source.version,
        rows_in=source.version.rows,
        rows_out=mark.rows,
        rows_filtered=0,
        ledger=status_of(inputs),
        checks=results[0],
        destination=draft.destination,
        warnings=results[1],
    )
