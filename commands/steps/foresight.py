"""Foresight: what a run would do with each step, told without doing it.

It asks the questions that a worker would ask (`commands.steps.reuse`), in the order of the plan, as
far as the answers are known before anything has run: where a step would be worked on, the content
that comes out is not known yet, and so whether what follows can be reused is not, either.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from commands.steps.job import Job, JobInput
from commands.steps.part import path_of
from commands.steps.ports import Kept, StepBroken, Workbench
from commands.steps.reuse import kept_for, unsteady
from commands.steps.work import StepInput, StepWork
from domain.pipeline.spec import PipelineSpec
from domain.pipeline.steps import Ingest, Step, Store, inputs_of, kind_of, lookups_of, needs_of
from domain.run.origin import origin_after

NOT_DONE = "no run has done this on this content, or its data is gone"
"""Why a step is worked on of whose work no outcome is kept."""

Verdict = Literal["run", "reuse", "unchanged", "depends"]


class Foreseen(Struct, frozen=True, kw_only=True):
    """What would become of one step."""

    step: str
    kind: str
    verdict: Verdict
    """`run`: it is worked on. `reuse`: an earlier run's result stands. `unchanged`: a destination
    holds the rows already. `depends`: a step before it runs, and what it makes decides."""
    from_run: UUID | None = None
    because: str = ""
    """Why it is worked on, or what decides."""


class Prospect(Struct, frozen=True, kw_only=True):
    """A run that somebody thinks of."""

    work: StepWork
    """As a worker would get it; its step and inputs are filled in."""
    spec: PipelineSpec
    files: Mapping[str, str]
    order: Sequence[str]
    """Ids of the steps, each behind its inputs."""
    no_cache: bool = False
    fresh: frozenset[str] = frozenset()


def foresee(prospect: Prospect, bench: Workbench) -> list[Foreseen]:
    """The verdict on each step, in order. Nothing is written anywhere."""
    known: dict[str, StepInput] = {}
    told = []
    for id_ in prospect.order:
        step = prospect.spec.step(id_)
        unknown = [one for one in needs_of(step) if one not in known]
        seen, kept = _look(_job(prospect, step, known, bench), prospect, unknown)
        told.append(seen)
        if kept is not None and kept.outcome.output is not None:
            main = known.get(next(iter(inputs_of(step).values()), ""))
            origin = origin_after(kind_of(step), main.origin if main else None, kept.outcome)
            known[id_] = StepInput(step=id_, version=kept.outcome.output, origin=origin)
    return told


def _job(prospect: Prospect, step: Step, known: Mapping[str, StepInput], bench: Workbench) -> Job:
    inputs = tuple(
        JobInput(name=name, version=known[source].version, path="", origin=known[source].origin)
        for name, source in inputs_of(step).items()
        if source in known
    )
    lookups = tuple(
        JobInput(name=name, version=known[name].version, path="")
        for name in lookups_of(step)
        if name in known
    )
    work = replace(prospect.work, step=step.id)
    return Job(
        work=work,
        spec=prospect.spec,
        step=step,
        files=prospect.files,
        bench=bench,
        inputs=inputs,
        lookups=lookups,
    )


class _Tell(Protocol):
    def __call__(self, word: Verdict, because: str = "", run: UUID | None = None) -> Foreseen: ...


def _look(job: Job, prospect: Prospect, unknown: Sequence[str]) -> tuple[Foreseen, Kept | None]:
    """The verdict, and the outcome that would stand."""
    step = job.step

    def verdict(word: Verdict, because: str = "", run: UUID | None = None) -> Foreseen:
        return Foreseen(
            step=step.id, kind=kind_of(step), verdict=word, because=because, from_run=run
        )

    if prospect.no_cache or step.id in prospect.fresh:
        return verdict("run", "it is wanted anew"), None
    if calls := unsteady(job):
        return verdict("run", f"{', '.join(calls)} gives another answer each time"), None
    if unknown:
        return verdict("depends", f"what comes out of {', '.join(unknown)} decides"), None
    if job.uses_run_time:
        return verdict("run", "$run_time is another one in each run"), None
    try:
        return _known(job, verdict)
    except StepBroken as stopped:
        return verdict("run", f"and it would fail: {stopped.error.message}"), None


def _known(job: Job, verdict: _Tell) -> tuple[Foreseen, Kept | None]:
    match job.step:
        case Store() as step:
            place, mark = job.bench.sinks.seen(path_of(job, step))
            kept = job.bench.artifacts.find(job.key(place))
            if mark is not None and mark.key == job.key(place):
                return verdict("unchanged", run=mark.run), kept
            why = "the destination is not what was last written to it"
            if mark is not None:
                why = f"the destination holds the rows of run {mark.run}"
            return verdict("run", why), None
        case Ingest(source=name):
            path = job.filled(job.spec.sources[name].path)
            source = job.bench.sources.known(path)
            if source is None:
                return verdict("run", f"{path} was not read before as it is now"), None
            kept = kept_for(job, source)
        case _:
            kept = kept_for(job)
    if kept is None:
        return verdict("run", NOT_DONE), None
    return verdict("reuse", run=kept.run), kept
