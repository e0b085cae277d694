"""What a worker's process does with one step, from its words to its report."""

from collections.abc import Mapping

from msgspec.structs import replace

from commands.steps.check import check
from commands.steps.clean import clean
from commands.steps.ingest import ingest
from commands.steps.job import Job, Made, inputs_for, lookups_for
from commands.steps.ports import Kept, StepBroken, Workbench, broken
from commands.steps.redo import origins, redone
from commands.steps.reuse import done_before, is_picking_anew, origin_words
from commands.steps.store import place_of, store
from commands.steps.transform import transform
from commands.steps.validate import validate
from commands.steps.work import StepWork
from domain.pipeline.spec import PipelineSpec
from domain.pipeline.steps import Check, Clean, Ingest, Store, Transform, Validate
from domain.run.commands import Failed, Reused, StepResult, Succeeded
from domain.run.events import StepOutcome


def carry_out(
    work: StepWork, spec: PipelineSpec, files: Mapping[str, str], bench: Workbench
) -> StepResult:
    """Do the work of one step and say what came of it.

    What was done before for the same step and content is not done again: its outcome is found
    under its key. So a step that is handed out twice reports the same twice, and a later run says
    that it reuses what an earlier one did.
    """
    started = bench.stopwatch()
    try:
        step = spec.step(work.step)
        job = Job(
            work=work,
            spec=spec,
            step=step,
            files=files,
            bench=bench,
            inputs=inputs_for(work, step, bench),
            lookups=lookups_for(work, step, bench),
        )
        if work.redo is None and (done := _done_before(job)):
            return done
        made = _balanced(redone(job, work.redo) if work.redo else _make(job))
        inputs = (*made.outcome.inputs, *job.looked_at())
        row_map = made.outcome.row_map
        if row_map is not None and is_picking_anew(job):
            row_map = None
        seconds = bench.stopwatch() - started
        outcome = replace(made.outcome, inputs=inputs, row_map=row_map, seconds=seconds)
        return _kept(job, replace(outcome, key=_key(job, made)), made)
    except StepBroken as stopped:
        counted = stopped.outcome
        if counted is not None:
            counted = replace(counted, seconds=bench.stopwatch() - started)
        return Failed(error=stopped.error, outcome=counted)
    finally:
        bench.artifacts.reclaim()


def _make(job: Job) -> Made:
    step = job.step
    match step:
        case Ingest():
            return ingest(job, step)
        case Validate():
            return validate(job, step)
        case Clean():
            return clean(job, step)
        case Transform():
            return transform(job, step)
        case Check():
            return check(job, step)
        case Store():
            return store(job, step)


def _done_before(job: Job) -> Succeeded | Reused | None:
    match job.step:
        case Store():
            # Whether anything is to be done is for the destination to say.
            return None
        case Ingest(source=name):
            source = job.bench.sources.known(job.filled(job.spec.sources[name].path))
            return done_before(job, source) if source is not None else None
        case _:
            return done_before(job)


def _key(job: Job, made: Made) -> str:
    destination, redo = made.outcome.destination, job.work.redo
    if redo is not None:
        return job.key(made.outcome.source, origins(redo, made.outcome))
    if destination is not None:
        return job.key(place_of(destination))
    return job.key(made.outcome.source, origin_words(job) if made.outcome.quarantine else ())


def _kept(job: Job, outcome: StepOutcome, made: Made) -> Succeeded:
    """Keep the outcome. Another worker of this run that was first is right; another run with the
    same key keeps its place unless ours was wanted anew, and our own outcome is what we report."""
    mine = Kept(run=job.work.run, step=job.work.step, outcome=outcome, edges=made.edges)
    first = job.bench.artifacts.keep(outcome.key, mine, anew=job.work.fresh)
    if job.is_own(first):
        return Succeeded(outcome=first.outcome, edges=first.edges)
    if _content(first.outcome) != _content(outcome):
        warning = f"the same step on the same content gave other rows in run {first.run}"
        outcome = replace(outcome, warnings=(*outcome.warnings, warning))
    return Succeeded(outcome=outcome, edges=made.edges)


def _content(outcome: StepOutcome) -> str:
    return outcome.output.fingerprint if outcome.output else ""


def _balanced(made: Made) -> Made:
    outcome = made.outcome
    if outcome.ledger == "unbalanced":
        raise StepBroken(
            broken(
                "ledger_unbalanced",
                f"{outcome.rows_in} rows went in, {outcome.rows_out} came out, "
                f"{outcome.rows_filtered} were removed by rules and "
                f"{outcome.rows_quarantined or 0} set apart",
                hint="a condition that gives another answer each time, such as random(), does this",
            ).error,
            outcome,
        )
    return made
