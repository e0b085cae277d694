"""What one definition says that another one does not."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct

Change = Literal["same", "added", "removed", "changed"]

_DEEP = frozenset(("sources", "params", "defaults", "limits"))
"""Keys whose own keys are told one by one."""


class StepChange(Struct, frozen=True, kw_only=True):
    """What became of one step."""

    step: str
    change: Change
    keys: tuple[str, ...] = ()
    """The keys that changed, of a step that is in both."""


class Difference(Struct, frozen=True, kw_only=True):
    """From one definition to another."""

    steps: tuple[StepChange, ...]
    """In the order of the new one, then those that it has no more."""
    others: tuple[str, ...] = ()
    """Other places that changed, such as `sources.flights.nulls` or `steps.py`."""

    @property
    def is_empty(self) -> bool:
        """Whether they say the same."""
        return not self.others and all(one.change == "same" for one in self.steps)


Words = Mapping[str, Any]


def difference(
    before: Words, after: Words, files_before: Mapping[str, str], files_after: Mapping[str, str]
) -> Difference:
    """What `after` (a spec as plain values, and its files) says that `before` does not."""
    old = {str(step["id"]): step for step in before.get("steps", ())}
    new = {str(step["id"]): step for step in after.get("steps", ())}
    changes = [_step(name, old.get(name), step) for name, step in new.items()]
    changes += [StepChange(step=name, change="removed") for name in old if name not in new]
    others = [*_others(before, after), *_changed(files_before, files_after)]
    return Difference(steps=tuple(changes), others=tuple(others))


def _step(name: str, before: Words | None, after: Words) -> StepChange:
    if before is None:
        return StepChange(step=name, change="added")
    keys = tuple(_changed(before, after))
    return StepChange(step=name, change="changed" if keys else "same", keys=keys)


def _others(before: Words, after: Words) -> Iterator[str]:
    for key in _changed(before, after):
        if key == "steps":
            continue
        if key not in _DEEP:
            yield key
            continue
        old, new = before.get(key, {}), after.get(key, {})
        for name in _changed(old, new):
            inner_old, inner_new = old.get(name), new.get(name)
            if isinstance(inner_old, Mapping) and isinstance(inner_new, Mapping):
                yield from (f"{key}.{name}.{one}" for one in _changed(inner_old, inner_new))
            else:
                yield f"{key}.{name}"


def _changed(before: Words, after: Words) -> Iterator[str]:
    """Keys whose values differ, in the order of `after`, then of `before`."""
    for key in dict.fromkeys((*after, *before)):
        if before.get(key) != after.get(key) or (key in before) != (key in after):
            yield key
