# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""Cleaning: rules in order, each counted on its own.

The rules become layers of one query. A deduplication first finds the rows that lose: keys that
occur more than once are found by hash, and only their rows are compared, so a file with few
duplicates is never sorted. All other rules are counted in one scan of the columns they look at, in
which each row carries the number of the rule that removed it; one more scan writes what is left.
"""

from collections.abc import Mapping

from msgspec import UNSET
from msgspec.structs import replace

from commands.steps.checks import checked
from commands.steps.job import Job, Made, account
from commands.steps.layers import BY, ROW, Layers, changed
from commands.steps.lines import PLACE, Lines, lines_of
from commands.steps.ports import Engine, broken
from commands.steps.quarantine import REASON, RULE, Apart, set_apart, settled
from commands.steps.sql import careful_cast, listed, literal, named_type, quoted, sql_type
from domain.data.quality import Effect, RuleCount
from domain.data.rowmap import RowMap
from domain.pipeline.rules import (
    Cast,
    CleanRule,
    Deduplicate,
    DropNulls,
    Fill,
    KeepRows,
    Map,
    Ordering,
    Rename,
    Trim,
    describe,
    orderings,
)
from domain.pipeline.steps import Clean, sets_apart
from domain.run.events import StepOutcome
from domain.run.ledger import status_of


def clean(job: Job, step: Clean) -> Made:
    """Write what the rules leave of the input, and count what each of them did."""
    source, artifacts = job.only_input(), job.bench.artifacts
    scratch, rejects, gaps = (artifacts.scratch() for _ in range(3))
    lines = lines_of(job) if sets_apart(step) else None
    files = (scratch, rejects, gaps, *job.rule_files, *(lines.files if lines else ()))
    with job.bench.engines.open({source.name: source.path}, files) as engine:
        schema = engine.columns(f"from {quoted(source.name)}")
        scan = f"from read_parquet({literal(source.path)}, file_row_number = true)"
        layers = Layers(dict(schema), scan, f"select *, 0 as {BY} {scan}")
        deduplicated = {
            number: _apply(job, engine, layers, number, rule)
            for number, rule in enumerate(step.rules, start=1)
        }
        counts = _counts(job, engine, layers, step, deduplicated)
        try:
            final = f"select {listed(list(layers.columns))} from ({layers.written})"
            if layers.is_shuffled:
                final += f" order by {ROW}"
            engine.save(final, scratch, job.values(engine, final), large=source.is_large)
            removed = sum(one.rows for one in counts if one.effect == "removed")
            rejected = sum(one.rows for one in counts if one.effect == "quarantined")
            counted = StepOutcome(rows_in=source.version.rows, rows_filtered=removed, counts=counts)
            if rejected and lines:
                _set_apart(job, engine, layers, step, (lines, rejects))
            quarantine = settled(job, step.limits, rejects, rejected, counted)
            set_apart = quarantine.rows if quarantine else 0
            counted = replace(counted, quarantine=quarantine, rows_quarantined=set_apart)
            relation = f"read_parquet({literal(scratch)})"
            checks, warnings = checked(job, engine, relation, step.checks, counted)
            if removed + rejected and job.is_followed:
                counted = replace(counted, row_map=_left_out(job, engine, layers, gaps))
            written = artifacts.admit(scratch)
        finally:
            for one in (scratch, rejects, gaps):
                artifacts.discard(one)
    inputs = (account(source, reached=written.rows, filtered=removed, quarantined=set_apart),)
    outcome = replace(
        counted,
        inputs=inputs,
        output=job.output(written),
        rows_out=written.rows,
        ledger=status_of(inputs),
        checks=checks,
        warnings=warnings,
    )
    return Made(outcome=outcome, edges=job.edges({source.name: schema}))


def _apply(job: Job, engine: Engine, layers: Layers, number: int, rule: CleanRule) -> int | None:
    """Add a rule's layer; returns how many rows lose in a deduplication."""
    match rule:
        case DropNulls(drop_nulls=names):
            layers.keep(number, " and ".join(f"{quoted(name)} is not null" for name in names))
        case KeepRows(keep_rows=condition):
            layers.keep(number, f"({condition}\n)")
        case Cast(cast=types):
            wanted = {name: sql_type(type_) for name, type_ in types.items()}
            if rule.on_error == "fail":
                _refuse_lost(job, engine, layers, number, wanted)
            if rule.on_error == "quarantine":
                layers.set_apart(number, wanted, types)
            layers.cast(number, wanted)
        case Rename(rename=names):
            layers.rename(names)
        case Trim() | Fill() | Map():
            layers.change(number, changed(rule, layers.columns))
        case Deduplicate():
            return _deduplicate(job, engine, layers, number, rule)
    return None


def _deduplicate(job: Job, engine: Engine, layers: Layers, number: int, rule: Deduplicate) -> int:
    keys, row = listed(rule.deduplicate), ROW
    order = ", ".join(
        [
            *(_order(one, rule.keep) for one in orderings(rule.order_by)),
            row if rule.keep == "first" else f"{row} desc",
        ]
    )
    live = layers.written
    query = f"""
        with doubled as (
            select hash({keys}) as h from ({live}) group by h having count(*) > 1
        ), ranked as (
            select {row}, row_number() over (partition by {keys} order by {order}) as place
            from ({live}) where hash({keys}) in (select h from doubled)
        )
        select {row} from ranked where place > 1
    """
    losers = f"losers_{number}"
    engine.rows(f"create temp table {losers} as {query}", job.values(engine, query))
    count = _number(engine.rows(f"select count(*) from {losers}")[0][0])
    if count:
        layers.remove_losers(number, losers)
    return count


def _order(one: Ordering, keep: str) -> str:
    descending = one.descending != (keep == "last")
    return f"{quoted(one.column)} {'desc' if descending else 'asc'} nulls last"


def _refuse_lost(
    job: Job, engine: Engine, before: Layers, number: int, types: Mapping[str, str]
) -> None:
    for name, want in types.items():
        cast = careful_cast(name, before.columns[name], want)
        query = f"""
            select count(*), arg_min(cast({quoted(name)} as varchar), {ROW})
            from ({before.written}) where {quoted(name)} is not null and {cast} is null
        """
        count, first = engine.rows(query, job.values(engine, query))[0]
        if count:
            raise broken(
                "cast_failed",
                f"{count} value{'' if count == 1 else 's'} of `{name}` cannot be read as "
                f"{named_type(want)}, such as {first!r}",
                where=f"steps.{job.step.id}.rules[{number - 1}]",
                hint="set `on_error: null`, or remove these rows before",
            )


def _counts(
    job: Job, engine: Engine, layers: Layers, step: Clean, deduplicated: Mapping[int, int | None]
) -> tuple[RuleCount, ...]:
    wanted: dict[int, str] = {}
    for number, rule in enumerate(step.rules, start=1):
        alive = f"({BY} = 0 or {BY} > {number})"
        match rule:
            case DropNulls() | KeepRows() | Cast(on_error="quarantine"):
                wanted[number] = f"count(*) filter (where {BY} = {number})"
            case Cast(on_error="null"):
                wanted[number] = f"count(*) filter (where {alive} and {layers.lost[number]})"
            case Trim() | Fill() | Map():
                wanted[number] = f"count(*) filter (where {alive} and {layers.changed[number]} > 0)"
                wanted[-number] = f"sum({layers.changed[number]}) filter (where {alive})::bigint"
            case Cast() | Rename() | Deduplicate():
                pass
    found: dict[int, int] = {}
    if wanted:
        query = f"select {', '.join(wanted.values())} from ({layers.counting})"
        row = engine.rows(query, job.values(engine, query))[0]
        found = {number: _number(value) for number, value in zip(wanted, row, strict=True)}
    return tuple(
        RuleCount(
            rule=rule.name or describe(rule),
            rows=deduplicated[number] or found.get(number, 0),
            effect=_effect(rule),
            cells=found.get(-number, UNSET),
        )
        for number, rule in enumerate(step.rules, start=1)
    )


def _effect(rule: CleanRule) -> Effect:
    if isinstance(rule, Cast) and rule.on_error == "quarantine":
        return "quarantined"
    return "removed" if isinstance(rule, DropNulls | Deduplicate | KeepRows) else "changed"


def _left_out(job: Job, engine: Engine, layers: Layers, scratch: str) -> RowMap | None:
    query = f"select {ROW} as number from ({layers.counting}) where {BY} <> 0"
    engine.save(query, scratch, job.values(engine, query))
    return job.gaps(scratch)


def _set_apart(
    job: Job, engine: Engine, layers: Layers, step: Clean, given: tuple[Lines, str]
) -> None:
    """Write the rows that a rule sends to quarantine as they came in, not as rules left them."""
    source, row = job.only_input(), ROW
    lines, target = given
    names = {number: rule.name or describe(rule) for number, rule in enumerate(step.rules, start=1)}
    rules = " ".join(f"when {number} then {literal(names[number])}" for number in layers.reasons)
    reason = f"coalesce({', '.join(layers.reasons.values())})"
    kept = f"{BY} in ({', '.join(map(str, layers.reasons))})"
    query = f"""
        create temp table set_apart as
        select {row}, case {BY} {rules} end as {RULE}, {reason} as {REASON}
        from ({layers.counting}) where {kept}
    """
    engine.rows(query, job.values(engine, f"from ({layers.counting})"))
    scan = f"read_parquet({literal(source.path)}, file_row_number = true)"
    apart = Apart(
        relation=f"{scan} join set_apart using ({row}) "
        f"join ({lines.of('set_apart')}) using ({row})",
        columns=list(engine.columns(f"from {quoted(source.name)}")),
        rule=RULE,
        reason=REASON,
        source=literal(lines.source),
        line=PLACE,
    )
    set_apart(engine, apart, target)


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
