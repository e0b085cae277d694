"""Accounts held against what a step promises: rows that were lost, rows that came twice."""

from collections.abc import Iterator

from msgspec.structs import replace

from commands.steps.accounts import Accounts
from commands.steps.job import Job
from commands.steps.losses import Told
from commands.steps.ports import StepBroken
from domain.data.promise import Breach, breach
from domain.pipeline.steps import Transform
from domain.run.events import StepError, StepOutcome
from domain.run.ledger import InputLedger, LostRows, lost_inputs_max, status_of


def entries_of(job: Job, accounts: Accounts) -> tuple[InputLedger, ...]:
    """The accounts as an outcome tells them, with what lost rows have in common."""
    told = [name for name in accounts.told if not accounts.told[name].is_optional]
    most = sorted(told, key=lambda name: -(accounts.entries[name].unmatched or 0))
    shown = set(most[:lost_inputs_max])
    return tuple(
        replace(entry, lost=accounts.told[one.name].lost) if one.name in shown else entry
        for one in job.inputs
        if (entry := accounts.entries[one.name])
    )


def warnings_of(job: Job, accounts: Accounts) -> tuple[str, ...]:
    """Rows without a match, where nothing is said about them."""
    promises = _promises(job)
    return tuple(
        lost(name, accounts.entries[name], told)
        for name, told in accounts.told.items()
        if name not in promises and not told.is_optional
    )


def hold(job: Job, accounts: Accounts, outcome: StepOutcome) -> None:
    """Raise `StepBroken` with code `ledger_unbalanced`, `ledger_unproven`, `rows_lost` or
    `rows_duplicated` for the first account that is not as it must be."""
    for error in _errors(job, accounts):
        raise StepBroken(error, replace(outcome, warnings=()))


def lost(name: str, entry: InputLedger, told: Told) -> str:
    """`48,444 of 328,063 rows of flown matched nothing in aircraft`."""
    unmatched = entry.unmatched or 0
    if told.rows == unmatched:
        return f"{unmatched:,} of {entry.rows_in:,} rows of {name} {told.words}"
    most = f"{told.rows:,} of them {told.words}"
    return f"{unmatched:,} of {entry.rows_in:,} rows of {name} are not in the result; {most}"


def _promises(job: Job) -> dict[str, object]:
    return {**job.step.promises} if isinstance(job.step, Transform) else {}


def _errors(job: Job, accounts: Accounts) -> Iterator[StepError]:
    step = job.step
    if not isinstance(step, Transform):
        return
    where = f"steps.{step.id}"
    for name, entry in accounts.entries.items():
        if status_of((entry,)) == "unbalanced":
            yield StepError(code="ledger_unbalanced", message=_missing(name, entry), where=where)
        promise = step.promises.get(name)
        if promise is None:
            told = accounts.told.get(name)
            if told is not None and job.strictness == "strict" and not told.is_optional:
                yield _broken("rows_lost", name, accounts, f"{where}.ledger")
        elif entry.unmatched is None or entry.duplicated is None:
            reason = entry.unproven or "its rows only decide about others'"
            message = f"whether {name} is kept cannot be told: {reason}"
            yield StepError(code="ledger_unproven", message=message, where=f"{where}.keeps")
        elif found := breach(promise, entry.unmatched, entry.duplicated):
            yield _broken(found, name, accounts, f"{where}.keeps")


def _broken(found: Breach, name: str, accounts: Accounts, where: str) -> StepError:
    entry = accounts.entries[name]
    if found == "rows_lost":
        told = accounts.told[name]
        lines = [lost(name, entry, told), *(_by_value(one) for one in told.lost)]
        fix = told.fix or "mend the query"
        hint = f"{fix}; or say `keeps: {{{name}: at_most_once}}` if rows may go"
        return StepError(code=found, message="\n".join(lines), where=where, hint=hint)
    times = (entry.reached or 0) + (entry.duplicated or 0)
    message = (
        f"{entry.reached or 0:,} rows of {name} reach the result {times:,} times:"
        f" {entry.duplicated:,} too many"
    )
    hint = (
        "a join finds several partners for one row: make its keys unique before, or say"
        f" `keeps: {{{name}: at_least_once}}` if that is meant"
    )
    return StepError(code=found, message=message, where=where, hint=hint)


def _by_value(found: LostRows) -> str:
    """`carrier: MQ 25,037 of 25,037, AA …`."""
    shown = [
        f"{'null' if one.value is None else one.value} {one.rows:,} of {one.of:,}"
        for one in found.values
    ]
    more = found.distinct - len(shown)
    rest = f" and {more:,} more" if more > 0 else ""
    return f"{', '.join(found.columns)}: {', '.join(shown)}{rest}"


def _missing(name: str, entry: InputLedger) -> str:
    parts = (entry.reached or 0, entry.filtered or 0, entry.unmatched or 0)
    off = (entry.rows_in or 0) - sum(parts)
    return (
        f"{abs(off):,} of {entry.rows_in:,} rows of {name} are"
        f" {'not accounted for' if off > 0 else 'accounted for twice'}:"
        f" {parts[0]:,} reached the result, {parts[1]:,} were filtered,"
        f" {parts[2]:,} matched nothing"
    )
