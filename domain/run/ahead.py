"""Steps that can be done ahead of their leases, one behind the other."""

from domain.limits import ahead_max
from domain.run.plan import Plan
from domain.run.state import Done, Running, Waiting

HARMLESS = frozenset({"ingest", "validate", "clean", "transform", "check"})
"""Kinds that change nothing outside: what comes of them is a dataset under its content's hash,
which harms nobody where it is not wanted in the end."""

_looked_at_max = 16
"""Dependents of one step among which a next one is looked for."""


def steps_ahead(run: Running, step: str) -> tuple[str, ...]:
    """The steps that whoever works on `step` can go on with, in order: each waits for nothing but
    those before it here and what is done."""
    chain = [run.plan.index[step]]
    while len(chain) <= ahead_max and (found := _next(run, chain)) is not None:
        chain.append(found)
    return tuple(run.plan.steps[place].id for place in chain[1:])


def _next(run: Running, chain: list[int]) -> int | None:
    plan = run.plan
    for place in plan.dependents[chain[-1]][:_looked_at_max]:
        one = plan.steps[place]
        fits = (
            one.kind in HARMLESS
            and one.engine == plan.steps[chain[0]].engine
            and isinstance(run.steps[place], Waiting)
        )
        if fits and all(_is_there(run, plan, name, chain) for name in one.inputs):
            return place
    return None


def _is_there(run: Running, plan: Plan, step: str, chain: list[int]) -> bool:
    place = plan.index[step]
    done = run.steps[place]
    return place in chain or (isinstance(done, Done) and done.output is not None)
