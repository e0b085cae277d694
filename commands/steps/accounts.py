# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""The accounts of a query's inputs: counted in the step's own engine, and held against its result.

Nothing is derived: what reaches the result, what conditions remove and what finds no match are
counted by statements of their own, and must add up to the rows that went in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from commands.steps.counting import Counting
from commands.steps.job import Job, JobInput
from commands.steps.losses import LOST, Told, told
from commands.steps.ports import Engine, StepBroken, broken
from commands.steps.sql import quoted
from commands.steps.tally import CountedFile, InputCount, QueryCount
from domain.data.promise import Promise, Strictness
from domain.run.ledger import InputLedger

_INEXACT = ("DOUBLE", "FLOAT")
"""Sums of these differ in the last digits from one evaluation to the next."""
thorough_rows_max = 2_000_000
"""Rows of an input whose every column is looked at for a mere warning: a second of work."""


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


def counted(
    job: Job,
    engine: Engine,
    relation: str,
    promises: Mapping[str, Promise],
    strictness: Strictness,
) -> Accounts:
    """Count what became of the rows of a query's inputs; `relation` holds what the query gave.

    Raises `StepBroken` with code `ledger_unbalanced` where fewer or more rows were written than the
    query gives.
    """
    counting = Counting(job, engine)
    files = {one.name: CountedFile(path=one.path, rows=one.version.rows) for one in job.inputs}
    plan = job.bench.accountant.counts(job.query, files, counting.columns)
    if plan.unproven:
        return uncounted(job.inputs, plan.unproven)
    try:
        for statement in plan.prepare:
            counting.rows(statement)
        if reason := _other_rows(counting, plan, relation):
            return uncounted(job.inputs, reason)
        entries, reasons = {}, {}
        for count in plan.inputs:
            one = next(one for one in job.inputs if one.name == count.name)
            entry = _entry(counting, one, count)
            if entry.unmatched:
                promise = promises.get(one.name)
                fails = strictness == "strict" if promise is None else promise != "at_most_once"
                small = one.version.rows <= thorough_rows_max
                reasons[one.name] = told(
                    counting, one.path, count, entry.unmatched, thorough=fails or small
                )
            entries[one.name] = entry
    except StepBroken as stopped:
        if stopped.error.code != "sql_error":
            raise
        return uncounted(job.inputs, "a query whose rows the engine does not let us count")
    return Accounts(entries, reasons)


def _entry(counting: Counting, one: JobInput, count: InputCount) -> InputLedger:
    if count.is_looked_at:
        return _bare(one, looked_at=True)
    times, reached = counting.numbers(count.reached)
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
        duplicated=times - reached,
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
    (written,) = counting.numbers(f"select count(*) from {relation}")
    expected = counting.numbers(plan.results)[0] if plan.results else written
    if written != expected and plan.is_steady:
        raise broken(
            "ledger_unbalanced",
            f"the query gives {expected:,} rows, and {written:,} were written:"
            f" {abs(expected - written):,} {'are missing' if written < expected else 'too many'}",
            where=f"steps.{counting.job.step.id}",
        )
    if written == expected and (not plan.carried or _same(counting, plan.carried, relation)):
        return ""
    return "a query that gives other rows each time; order it to the last row"


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
