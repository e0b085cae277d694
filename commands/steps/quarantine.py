# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""Quarantine: rows that were set apart, each with the rule, the reason and the place it came from.

A step writes them beside its output, as text, to a file of their own. `settled` holds their number
against the step's limit, and makes them the dataset `<pipeline>.<step>.quarantine`.
"""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from commands.steps.job import Job
from commands.steps.ports import Engine, StepBroken, broken
from commands.steps.sql import literal, quoted
from domain.data.dataset import DatasetVersion
from domain.pipeline.limits import Limits
from domain.run.events import StepOutcome

RULE, REASON = "headwater_rule", "headwater_reason"
SOURCE, LINE, TEXT = "headwater_source", "headwater_line", "headwater_text"
RESERVED = (RULE, REASON, SOURCE, LINE, TEXT)
"""Columns of a quarantine behind the record's own: what broke, why, in which file or dataset, on
which physical line or row (from 1), and the record's own text where it has no columns."""

MISFIT = quoted("headwater misfit")
"""Why a row does not fit its types, while that is looked for."""

_shown_max = 3


class Apart(Struct, frozen=True, kw_only=True):
    """Rows to be set apart, in SQL: a relation, and expressions over it."""

    relation: str
    """What follows `from`."""
    columns: Sequence[str]
    """The record's own columns."""
    rule: str
    """The name of the rule that a row breaks; null for a row that breaks none."""
    reason: str
    source: str
    line: str
    text: str = "null"


def set_apart(engine: Engine, apart: Apart, target: str) -> None:
    """Write the rows that break a rule to the Parquet file `target`, in the order of lines."""
    own = "".join(f"cast({quoted(name)} as varchar) as {quoted(name)}, " for name in apart.columns)
    engine.save(
        f"""
        select {own}{apart.rule} as {RULE}, {apart.reason} as {REASON},
            {apart.source} as {SOURCE}, cast({apart.line} as bigint) as {LINE},
            cast({apart.text} as varchar) as {TEXT}
        from {apart.relation} where {apart.rule} is not null order by {apart.line}
        """,
        target,
    )


def settled(
    job: Job, limits: Limits | None, scratch: str, rejected: int, counted: StepOutcome
) -> DatasetVersion | None:
    """The quarantine that the file `scratch` becomes; None where no row was rejected.

    Raises `StepBroken` with code `too_many_quarantined` above the step's limit, or the pipeline's
    where the step has none; what was set apart is kept then too, so that it can be looked at.
    """
    if not rejected:
        return None
    limits = limits or job.spec.limits
    first = _first(job, scratch)
    version = job.output(job.bench.artifacts.admit(scratch), "quarantine")
    rows_in = counted.rows_in or 0
    if limits.allow(version.rows, rows_in):
        return version
    places = [f"{where}: {reason}" for where, reason in first]
    more = f" (and {version.rows - len(first):,} more)" if version.rows > len(first) else ""
    error = broken(
        "too_many_quarantined",
        f"{version.rows:,} of {rows_in:,} rows would be set apart, more than "
        f"{_said(limits)}: {'; '.join(places)}{more}",
        where=first[0][0],
        hint="mend the data or what is declared of it, or raise `limits: {max_quarantined: …}`",
    ).error
    raise StepBroken(error, replace(counted, quarantine=version, rows_quarantined=version.rows))


def _said(limits: Limits) -> str:
    most = limits.max_quarantined
    return f"the {most} allowed" if isinstance(most, str) else f"the {most:,} allowed"


def _first(job: Job, scratch: str) -> list[tuple[str, str]]:
    """Place and reason of the first rows that were set apart."""
    with job.bench.engines.open({}, (scratch,)) as engine:
        rows = engine.rows(
            f"select {SOURCE}, {LINE}, {REASON} from read_parquet({literal(scratch)}) "
            f"order by {LINE} limit {_shown_max}"
        )
    return [(f"{source}:{line}", str(reason)) for source, line, reason in rows]
