"""Reuse: what was done before for the same step on the same content is not done again.

A key says what a step is and what it works on, so whatever is kept under it is the step's result,
in which run ever it was made. Three things are worked on all the same: what somebody wants anew,
what gives another answer each time, and what is not whole any more.
"""

from collections.abc import Iterator, Mapping
from uuid import UUID

import msgspec

from commands.steps.job import Job
from commands.steps.ports import Kept
from commands.steps.validate import contract_of
from domain.data.dataset import OuterDataset
from domain.data.term import Query
from domain.pipeline.spec import plain
from domain.pipeline.steps import Clean, Validate
from domain.run.commands import Reused, Succeeded

_EXPRESSIONS = frozenset(("keep_rows", "where", "sql"))
"""Words of rules whose value is SQL."""

_OUTSIDE = frozenset(("freshness",))
"""Rules that ask something that is no content: the clock, say."""


def kept_for(job: Job, source: OuterDataset | None = None, of: UUID | None = None) -> Kept | None:
    """The outcome that is kept for the step's work on its inputs and its source; of one run where
    only that one's counts."""
    kept = job.bench.artifacts.find(job.key(source), of)
    if kept is None and (origin := origin_words(job)):
        kept = job.bench.artifacts.find(job.key(source, origin), of)
    return kept


def origin_words(job: Job) -> tuple[str, ...]:
    """What besides its content a step's quarantine comes from: the file, and where in it the
    rows of the step's input stand."""
    origin = job.inputs[0].origin if isinstance(job.step, Validate | Clean) else None
    return ("origin", msgspec.json.encode(origin).decode()) if origin else ()


def done_before(job: Job, source: OuterDataset | None = None) -> Succeeded | Reused | None:
    """The outcome that is kept for it, where it may stand for this step: as the step's own success
    where this very run kept it before its worker was lost, else as another run's."""
    kept = kept_for(job, source, job.work.run if job.work.fresh else None)
    if kept is None:
        return None
    if job.is_own(kept):
        return Succeeded(outcome=kept.outcome, edges=kept.edges)
    if job.work.fresh or unsteady(job):
        return None
    return Reused(from_run=kept.run, outcome=kept.outcome, edges=kept.edges)


def unsteady(job: Job) -> tuple[str, ...]:
    """What gives another answer each time; such a step is never reused."""
    words = msgspec.to_builtins(job.step, enc_hook=plain)
    rules = [*words.get("rules", ()), *words.get("checks", ())]
    outside = [f"the rule {key}" for rule in rules for key in rule if key in _OUTSIDE]
    texts = [job.query] if job.query else []
    if isinstance(job.step, Validate):
        terms = contract_of(job, job.step).terms
        texts += [term.query for term in terms if isinstance(term, Query)]
    found = [
        call
        for text in (*texts, *_expressions(rules))
        for call in job.bench.engines.outline(text).unsteady
    ]
    return tuple(dict.fromkeys((*found, *outside)))


def is_picking_anew(job: Job) -> bool:
    """Whether the rows that the step leaves out are others each time that somebody looks."""
    if not isinstance(job.step, Clean):
        return False
    rules = [*msgspec.to_builtins(job.step, enc_hook=plain).get("rules", ())]
    return any(job.bench.engines.outline(text).unsteady for text in _expressions(rules))


def _expressions(value: object) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _expressions(one)
    if isinstance(value, Mapping):
        for key, one in value.items():
            if key in _EXPRESSIONS and isinstance(one, str):
                yield one
            else:
                yield from _expressions(one)
