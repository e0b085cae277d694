# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""Sifting: rows that keep every row term of a contract go on, the others are set apart.

A row is set apart under the first term that it breaks, in the order of the contract; uniqueness is
looked at last and among the rows that keep all other terms, so that no good row is lost to a bad
one. Only terms that are known to be broken are looked at again.
"""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from commands.steps.job import Job
from commands.steps.lines import PLACE, lines_of
from commands.steps.ports import Engine
from commands.steps.quality import Values
from commands.steps.quarantine import REASON, RULE, Apart, set_apart, settled
from commands.steps.sql import listed, literal, quoted, shown_value
from commands.steps.terms import ROW, Relation, breaking, whole
from domain.data.quality import RuleCount
from domain.data.term import RowTerm, Unique, columns_of, describe
from domain.pipeline.steps import Validate
from domain.run.events import StepOutcome

_BY = quoted("headwater set apart by")
_APART = quoted("headwater set apart")


def sift(
    job: Job,
    relation: Relation,
    terms: Sequence[RowTerm],
    targets: tuple[str, str, str],
) -> StepOutcome:
    """Write the rows that keep `terms` to the first target, the others to the second and their
    numbers to the third; returns what was counted. Raises `StepBroken` where more are set apart
    than the step may."""
    source, limits, lines = job.only_input(), None, lines_of(job)
    if isinstance(job.step, Validate):
        limits = job.step.limits
    files = (*targets, *lines.files)
    with job.bench.engines.open({source.name: source.path}, files) as engine:
        ordered = sorted(terms, key=lambda term: isinstance(term, Unique))
        counts = _mark(engine, relation, ordered)
        _save_kept(engine, relation, ordered, targets[0], large=source.is_large)
        places = f"({lines.of(_APART)}) using ({ROW})"
        apart = Apart(
            relation=f"{relation.source} join {_APART} using ({ROW}) join {places}",
            columns=[*relation.columns],
            rule=RULE,
            reason=REASON,
            source=literal(lines.source),
            line=PLACE,
        )
        set_apart(engine, apart, targets[1])
        engine.save(f"select {ROW} as number from {_APART} order by {ROW}", targets[2])
    counted = StepOutcome(rows_in=source.version.rows, counts=counts)
    rejected = sum(one.rows for one in counts)
    quarantine = settled(job, limits, targets[1], rejected, counted)
    rows = quarantine.rows if quarantine else 0
    return replace(counted, quarantine=quarantine, rows_quarantined=rows)


def _mark(engine: Engine, relation: Relation, terms: Sequence[RowTerm]) -> tuple[RuleCount, ...]:
    """Make the table `_APART`: the place of each such row, its rule and the reason."""
    values = Values()
    plain, unique = [], []
    for number, term in enumerate(terms, start=1):
        if isinstance(term, Unique):
            unique.append((number, term))
        else:
            plain.append(f"when {breaking(term, relation.columns, values)} then {number}")
    looked_at = listed([*dict.fromkeys(name for term in terms for name in columns_of(term))])
    by = f"case {' '.join(plain)} else 0 end" if plain else "0"
    marked = f"select {ROW}, {looked_at}, {by} as {_BY} from {relation.source}"
    for number, one in unique:
        rows = f"partition by {listed(one.columns)}, {_BY} <> 0 order by {ROW}"
        repeats = f"{_BY} = 0 and {whole(one.columns)} and row_number() over ({rows}) > 1"
        by = f"case when {repeats} then {number} else {_BY} end"
        marked = f"select * replace ({by} as {_BY}) from ({marked})"
    engine.rows(
        f"""
        create temp table {_APART} as
        select {ROW}, {_BY}, {_told(terms, _rule)} as {RULE}, {_told(terms, _reason)} as {REASON}
        from ({marked}) where {_BY} <> 0
        """,
        values.bound,
    )
    groups = engine.rows(f"select {_BY}, count(*) from {_APART} group by 1")
    found = {int(str(number)): int(str(count)) for number, count in groups}
    return tuple(
        RuleCount(rule=_name(term), rows=found.get(number, 0), effect="quarantined")
        for number, term in enumerate(terms, start=1)
    )


def _save_kept(
    engine: Engine, relation: Relation, terms: Sequence[RowTerm], target: str, *, large: bool
) -> None:
    names = listed([*relation.columns])
    if any(isinstance(term, Unique) for term in terms):
        # A join keeps no order.
        left = f"{relation.source} anti join {_APART} using ({ROW}) order by {ROW}"
        engine.save(f"select {names} from {left}", target, large=large)
        return
    values = Values()
    wrong = " or ".join(breaking(term, relation.columns, values) for term in terms)
    right = f"select {names} from {relation.source} where not ({wrong})"
    engine.save(right, target, values.bound, large=large)


def _told(terms: Sequence[RowTerm], say: Callable[[RowTerm], str]) -> str:
    cases = " ".join(f"when {number} then {say(one)}" for number, one in enumerate(terms, start=1))
    return f"case {_BY} {cases} end"


def _name(term: RowTerm) -> str:
    return term.name or describe(term)


def _rule(term: RowTerm) -> str:
    return literal(_name(term))


def _reason(term: RowTerm) -> str:
    """SQL: the values that break the term, and how it is written."""
    shown = " || ', ' || ".join(
        f"{literal(f'`{name}` is ')} || coalesce({shown_value(name)}, 'missing')"
        for name in columns_of(term)
    )
    return f"{shown} || {literal(f': {describe(term)}')}"
