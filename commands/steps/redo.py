# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""Putting back: rows that this step set apart in an earlier run, mended or tried as they are.

An ingest casts them anew and puts what fits behind the rows that it had made of the others. A
validation or a cleaning works on its input once more, in which the mended rows stand in the place
of those that were set apart, so that what it demands of all rows together holds for all of them.
"""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from commands.steps.clean import clean
from commands.steps.ingest import ingested
from commands.steps.job import Job, JobInput, Made, replace_outcome
from commands.steps.lines import known_lines, lines_of
from commands.steps.mending import Mending, mending, patch, sort_out
from commands.steps.ports import SourceRead, broken
from commands.steps.quarantine import LINE, REASON
from commands.steps.sql import literal
from commands.steps.validate import validate
from domain.data.dataset import DatasetVersion
from domain.data.rowmap import RowMap
from domain.errors import Defect
from domain.pipeline.steps import Clean, Ingest, Validate
from domain.run.events import Redo, StepOutcome

_lines_shown = 5
"""Of the rows that would come in, where a good one is lost."""


def redone(job: Job, redo: Redo) -> Made:
    """What the step makes of all rows. Raises `StepBroken` with code `nothing_readmitted` where
    every row that was set apart would be so again."""
    step = job.step
    with mending(job, redo) as mended:
        match step:
            case Ingest():
                made = _ingest(job, step, redo, mended)
            case Validate():
                made = _again(job, redo, mended, lambda job: validate(job, step))
            case Clean():
                made = _again(job, redo, mended, lambda job: clean(job, step))
            case _:
                raise Defect(f"step {step.id} sets nothing apart")
        readmitted = redo.quarantine.rows - _still_apart(job, redo, made.outcome.quarantine)
        if not readmitted:
            raise _nothing(job, redo, made.outcome)
        file = mended.read.file if mended.read else None
        outcome = replace(made.outcome, readmitted=readmitted, mended=file)
    return replace_outcome(made, outcome)


def origins(redo: Redo, outcome: StepOutcome) -> tuple[str, ...]:
    """Fingerprints of what the outcome comes from beside the step's inputs."""
    found = (redo.output, redo.quarantine, redo.patched, outcome.mended)
    return ("redo", *(one.fingerprint if one else "" for one in found))


def _ingest(job: Job, step: Ingest, redo: Redo, mended: Mending) -> Made:
    source, artifacts = job.spec.sources[step.source], job.bench.artifacts
    if redo.output is None or redo.source is None or redo.rows_in is None:
        raise Defect(f"run {redo.run} does not say what step {step.id} made of the other rows")
    scratch, rejects, jumps = (artifacts.scratch() for _ in range(3))
    try:
        good = artifacts.path_of(redo.output)
        with job.bench.engines.open({}, (good, *mended.files, scratch, rejects)) as engine:
            rejected = sort_out(engine, source, mended, (good, scratch, rejects))
        read = SourceRead(
            source=redo.source,
            records=redo.rows_in,
            rejected=rejected,
            columns=tuple(source.types),
        )
        row_map = _row_map(job, redo, rejects, jumps)
        made = ingested(job, step, read, (scratch, rejects))
        return replace_outcome(made, replace(made.outcome, row_map=row_map))
    finally:
        for one in (scratch, rejects, jumps):
            artifacts.discard(one)


def _row_map(job: Job, redo: Redo, rejects: str, scratch: str) -> RowMap | None:
    """Where the rows stand: those that were good as before, and behind them those put back."""
    if redo.row_map is None or redo.output is None or redo.source is None:
        return None
    lines = known_lines(job, redo.source.name, (redo.row_map,))
    before = job.bench.artifacts.path_of(redo.quarantine)
    good = redo.output.rows
    with job.bench.engines.share() as engine:
        engine.rows(
            f"create temp table stretches as {lines.stretches(good)} "
            f"union all select {good} + row_number() over (order by {LINE}) - 1, {LINE} "
            f"from read_parquet({literal(before)}) "
            f"where {LINE} not in (select {LINE} from read_parquet({literal(rejects)}))"
        )
        first = engine.rows("select line from stretches where number = 0")
        engine.save("from stretches where number > 0 order by number", scratch)
    written = job.output(job.bench.artifacts.admit(scratch), "jumps")
    return RowMap(first=int(str(first[0][0])) if first else 1, jumps=written)


def _again(job: Job, redo: Redo, mended: Mending, make: Callable[[Job], Made]) -> Made:
    """The step's own work on its patched input."""
    given, artifacts = job.only_input(), job.bench.artifacts
    base, lines = redo.patched or given.version, lines_of(job)
    if mended.read is not None:
        scratch = artifacts.scratch()
        try:
            path = artifacts.path_of(base)
            files = (path, *mended.files, scratch, *lines.files)
            with job.bench.engines.open({}, files) as engine:
                patch(engine, (path, scratch), mended, lines)
            written = artifacts.admit(scratch)
        finally:
            artifacts.discard(scratch)
        base = DatasetVersion(
            dataset=given.version.dataset,
            fingerprint=written.fingerprint,
            rows=written.rows,
            bytes=written.bytes,
        )
    patched = JobInput(
        name=given.name, version=base, path=artifacts.path_of(base), origin=given.origin
    )
    made = make(_with_input(job, patched))
    inputs = tuple(
        replace(one, fingerprint=given.version.fingerprint) for one in made.outcome.inputs
    )
    output = made.outcome.output
    if output == base != given.version:
        # The step hands on what it was given, which is no version that its input ever had.
        output = replace(base, dataset=job.dataset)
    outcome = replace(made.outcome, inputs=inputs, output=output, patched=base)
    return replace_outcome(made, outcome)


def _with_input(job: Job, one: JobInput) -> Job:
    return Job(
        work=job.work,
        spec=job.spec,
        step=job.step,
        files=job.files,
        bench=job.bench,
        inputs=(one,),
        lookups=job.lookups,
    )


def _still_apart(job: Job, redo: Redo, now: DatasetVersion | None) -> int:
    """How many of the rows that were set apart are so again. Raises `StepBroken` where another
    row would be, for which a mended one would come in."""
    if now is None:
        return 0
    before, after = (job.bench.artifacts.path_of(one) for one in (redo.quarantine, now))
    old, new = f"read_parquet({literal(before)})", f"read_parquet({literal(after)})"
    with job.bench.engines.open({}, (before, after)) as engine:
        more = engine.rows(
            f"select {LINE}, {REASON} from {new} where {LINE} not in (select {LINE} from {old}) "
            f"order by {LINE} limit 1"
        )
        if more:
            came = engine.rows(
                f"select {LINE} from {old} where {LINE} not in (select {LINE} from {new}) "
                f"order by {LINE} limit {_lines_shown + 1}"
            )
            raise _good_row_lost(job, redo, more[0], [str(line) for (line,) in came])
        found = engine.rows(f"select count(*) from {new}")
    return int(str(found[0][0]))


def _good_row_lost(job: Job, redo: Redo, lost: Sequence[object], came: Sequence[str]) -> Exception:
    told = ", ".join([*came[:_lines_shown], *(["…"] if len(came) > _lines_shown else [])])
    by = f" (rows put back: {LINE} {told})" if told else ""
    return broken(
        "good_row_lost",
        f"line {lost[0]}, which had not been set apart, would be now: {lost[1]}{by}",
        where=redo.rows or f"steps.{job.step.id}",
        hint="mend the rows so that none repeats a good one, or run the pipeline anew",
    )


def _nothing(job: Job, redo: Redo, outcome: StepOutcome) -> Exception:
    assert outcome.quarantine is not None  # noqa: S101  # all of its rows were found there
    path = job.bench.artifacts.path_of(outcome.quarantine)
    with job.bench.engines.open({}, (path,)) as engine:
        line, reason = engine.rows(
            f"select {LINE}, {REASON} from read_parquet({literal(path)}) order by {LINE} limit 1"
        )[0]
    return broken(
        "nothing_readmitted",
        f"each of the {redo.quarantine.rows:,} rows would be set apart again; line {line}: "
        f"{reason}",
        where=redo.rows or f"steps.{job.step.id}",
        hint="mend them in a file, or try them with a revision whose rules they keep",
    )
