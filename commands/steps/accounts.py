# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""The accounts of a query's inputs: counted in the step's own engine, and held against its result.

Nothing is derived: what reaches the result, what conditions remove and what finds no match are
counted by statements of their own, and must add up to the rows that went in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from commands.steps.counting import Counting
from commands.steps.job import Job, JobInput
from commands.steps.losses import LOST, Told, told
from commands.steps.ports import Engine, StepBroken, broken
from commands.steps.sql import listed, quoted
from commands.steps.tally import MADE, CountedFile, InputCount, QueryCount
from domain.pipeline.steps import Transform
from domain.run.ledger import InputLedger

_INEXACT = ("DOUBLE", "FLOAT")
"""Sums of these differ in the last digits from one evaluation to the next."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """What became of the rows of each input."""

    entries: Mapping[str, InputLedger]
    """By the input's name in the step."""
    told: Mapping[str, Told] = field(default_factory=dict)
    """Why rows of an input were lost."""


def uncounted(inputs: tuple[JobInput, ...], reason: str) -> Accounts:
    """Accounts of inputs whose rows cannot be followed."""
    return Accounts({one.name: _bare(one, unproven=reason) for one in inputs})


def planned(job: Job, engine: Engine) -> QueryCount:
    """How the rows of the query's inputs will be counted."""
    files = {one.name: CountedFile(path=one.path, rows=one.version.rows) for one in job.inputs}
    return job.bench.accountant.counts(
        job.query, files, Counting(job, engine).columns, _promised(job)
    )


def written(job: Job, engine: Engine, plan: QueryCount, target: str) -> QueryCount:
    """Write the query's rows to `target`, by way of a table that also holds counts where the plan
    wants one. Returns the plan as far as it still holds. Raises `StepBroken`."""
    query = job.query
    values = job.values(engine, query)
    settled = engine.settled(query, values)
    if plan.made:
        counting = Counting(job, engine)
        try:
            counting.rows(f"create or replace temp table {MADE} as {plan.made}")
        except StepBroken as stopped:
            if stopped.error.code != "sql_error":
                raise
            plan = replace(plan, made="", hidden=(), quick=None, results="")
        else:
            shown = f"select * exclude ({listed(plan.hidden)}) from {MADE}"
            is_open = settled != query.strip().removesuffix(";")
            engine.save(f"from ({shown}) order by all" if is_open else shown, target)
            return plan
    engine.save(settled, target, values)
    return plan


def counted(
    job: Job,
    engine: Engine,
    plan: QueryCount,
    relation: str,
) -> Accounts:
    """Count what became of the rows of a query's inputs; `relation` holds what the query gave.

    Raises `StepBroken` with code `ledger_unbalanced` where fewer or more rows were written than the
    query gives.
    """
    counting = Counting(job, engine)
    if plan.unproven:
        return uncounted(job.inputs, plan.unproven)
    try:
        return _counted(counting, plan, relation)
    except StepBroken as stopped:
        if stopped.error.code != "sql_error":
            raise
        return uncounted(job.inputs, "a query whose rows the engine does not let us count")


def _counted(counting: Counting, plan: QueryCount, relation: str) -> Accounts:
    job = counting.job
    ways = _quick(counting, plan, relation)
    if not ways:
        ways = plan.inputs
        for statement in plan.prepare:
            counting.rows(statement)
        if reason := _other_rows(counting, plan, relation):
            return uncounted(job.inputs, reason)
    entries, reasons = {}, {}
    for count in ways:
        one = next(one for one in job.inputs if one.name == count.name)
        entry = _entry(counting, one, count)
        if entry.unmatched:
            reasons[one.name] = told(counting, one, count, entry.unmatched, _fails(job, one.name))
        entries[one.name] = entry
    return Accounts(entries, reasons)


def _quick(counting: Counting, plan: QueryCount, relation: str) -> tuple[InputCount, ...]:
    """The statements that need not do the query again; none where they would not be right."""
    if plan.quick is None or counting.numbers(plan.quick.unique) != (0,):
        return ()
    if plan.made:
        _hold(counting, plan, relation)
    else:
        counting.rows(f"create or replace temp view {MADE} as from {relation}")
    return plan.quick.inputs


def _promised(job: Job) -> tuple[str, ...]:
    return (*job.step.promises,) if isinstance(job.step, Transform) else ()


def _fails(job: Job, name: str) -> bool:
    """Whether lost rows of an input fail the step."""
    if not isinstance(job.step, Transform):
        return False
    promise = job.step.promises.get(name)
    return job.strictness == "strict" if promise is None else promise != "at_most_once"


def _entry(counting: Counting, one: JobInput, count: InputCount) -> InputLedger:
    if count.is_looked_at:
        return _bare(one, looked_at=True)
    for statement in count.prepare:
        counting.rows(statement)
    times, reached = counting.counts(count.reached)
    reached = reached or 0
    filtered = counting.numbers(count.filtered)[0] if count.filtered else 0
    unmatched = 0
    if count.lost and reached + filtered < one.version.rows:
        counting.rows(f"create or replace temp table {LOST} as {count.lost}")
        (unmatched,) = counting.numbers(f"select count(*) from {LOST}")
    return InputLedger(
        dataset=one.version.dataset,
        fingerprint=one.version.fingerprint,
        rows_in=one.version.rows,
        reached=reached,
        filtered=filtered,
        unmatched=unmatched,
        duplicated=None if times is None else times - reached,
        quarantined=0,
    )


def _bare(one: JobInput, *, unproven: str = "", looked_at: bool = False) -> InputLedger:
    return InputLedger(
        dataset=one.version.dataset,
        fingerprint=one.version.fingerprint,
        rows_in=one.version.rows,
        unproven=unproven,
        looked_at=looked_at,
    )


def _other_rows(counting: Counting, plan: QueryCount, relation: str) -> str:
    """Hold the rows that are counted against those that were written. Returns why they are others,
    if a query may give others each time. Raises `StepBroken`."""
    is_one = _hold(counting, plan, relation)
    if is_one and (not plan.carried or _same(counting, plan.carried, relation)):
        return ""
    return "a query that gives other rows each time; order it to the last row"


def _hold(counting: Counting, plan: QueryCount, relation: str) -> bool:
    """Whether as many rows were written as the query gives. Raises `StepBroken` where they must."""
    if not plan.results:
        return True
    (written,) = counting.numbers(f"select count(*) from {relation}")
    (expected,) = counting.numbers(plan.results)
    if written != expected and (plan.is_steady or plan.made):
        raise broken(
            "ledger_unbalanced",
            f"the query gives {expected:,} rows, and {written:,} were written:"
            f" {abs(expected - written):,} {'are missing' if written < expected else 'too many'}",
            where=f"steps.{counting.job.step.id}",
        )
    return written == expected


def _same(counting: Counting, carried: str, relation: str) -> bool:
    """Whether two tables hold the same rows, in whatever order; fractions are not compared."""
    written = counting.columns(f"from {relation}") or {}
    made = counting.columns(f"from {carried}") or {}
    pairs = [
        (mine, theirs)
        for (mine, type_), (theirs, other) in zip(written.items(), made.items(), strict=False)
        if type_ == other and not any(word in type_ for word in _INEXACT)
    ]
    if not pairs:
        return True
    sums = []
    for place, source in enumerate((relation, carried)):
        names = ", ".join(quoted(pair[place]) for pair in pairs)
        sums.append(counting.rows(f"select sum(hash({names})::hugeint) from {source}"))
    return sums[0] == sums[1]
