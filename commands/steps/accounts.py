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
from commands.steps.losses import Told, lost, told
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


def planned(job: Job, engine: Engine, *, is_quick: bool = True) -> QueryCount:
    """How the rows of the query's inputs will be counted."""
    files = {one.name: CountedFile(path=one.path, rows=one.version.rows) for one in job.inputs}
    columns = Counting(job, engine).columns
    return job.bench.accountant.counts(job.query, files, columns, _promised(job), is_quick=is_quick)


def written(job: Job, engine: Engine, plan: QueryCount, target: str) -> QueryCount:
    """Write the query's rows to `target`, by way of a table that also holds counts where the plan
    wants one. Returns the plan as far as it still holds. Raises `StepBroken`."""
    query = job.query
    values = job.values(engine, query)
    settled = engine.settled(query, values)
    large = any(one.is_large for one in job.inputs)
    if plan.made:
        counting = Counting(job, engine)
        try:
            counting.rows(f"create or replace temp table {MADE} as {plan.made}")
        except StepBroken as stopped:
            if stopped.error.code != "sql_error":
                raise
            if plan.is_quick:
                plan = planned(job, engine, is_quick=False)
            plan = replace(plan, made="", hidden=(), kept="")
        else:
            shown = f"select * exclude ({listed(plan.hidden)}) from {_made(plan)}"
            is_open = settled != query.strip().removesuffix(";")
            engine.save(f"from ({shown}) order by all" if is_open else shown, target, large=large)
            return plan
    engine.save(settled, target, values, large=large)
    return plan


def _made(plan: QueryCount) -> str:
    """The query's own rows in the table `MADE`."""
    return f"{MADE} where {quoted(plan.kept)}" if plan.kept else MADE


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
    if plan.unique and counting.numbers(plan.unique) != (0,):
        other = planned(job, counting.engine, is_quick=False)
        if other.unproven:
            return uncounted(job.inputs, other.unproven)
        plan = replace(other, made=plan.made, hidden=plan.hidden, kept=plan.kept)
    for statement in plan.prepare:
        counting.rows(statement)
    if plan.is_quick and not plan.made:
        counting.rows(f"create or replace temp view {MADE} as from {relation}")
    if reason := _other_rows(counting, plan, relation):
        return uncounted(job.inputs, reason)
    entries, reasons = {}, {}
    is_gathered = False
    for count in plan.inputs:
        one = next(one for one in job.inputs if one.name == count.name)
        by_keys = count.prepare_by_keys if is_gathered else ()
        for statement in by_keys or count.prepare:
            counting.rows(statement)
        entry = _entry(counting, one, count)
        if entry.unmatched:
            is_gathered = is_gathered or bool(count.lost_prepare)
            reasons[one.name] = told(counting, one.path, count, entry, _fails(job, one.name))
        entries[one.name] = entry
    names = [one.name for one in job.inputs]
    return Accounts(
        {name: entries[name] for name in names},
        {name: reasons[name] for name in names if name in reasons},
    )


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
    times, reached = counting.counts(count.reached)
    reached = reached or 0
    filtered = counting.numbers(count.filtered)[0] if count.filtered else 0
    unmatched = 0
    if count.lost and reached + filtered < one.version.rows:
        unmatched = lost(counting, count)
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
    sources = [(f"select count(*) from {_made(plan)}", True)] if plan.made else []
    if plan.results:
        sources.append((plan.results, plan.is_steady))
    for source, is_steady in sources:
        (written,) = counting.numbers(f"select count(*) from {relation}")
        (expected,) = counting.numbers(source)
        if written != expected and not is_steady:
            return False
        if written != expected:
            raise broken(
                "ledger_unbalanced",
                f"the query gives {expected:,} rows, and {written:,} were written:"
                f" {abs(expected - written):,}"
                f" {'are missing' if written < expected else 'too many'}",
                where=f"steps.{counting.job.step.id}",
            )
    return True


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
