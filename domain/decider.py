"""Folding and deciding, the same for every kind of stream."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Generic, TypeVar

from msgspec import Struct

S = TypeVar("S")
C = TypeVar("C")
E = TypeVar("E")


class Decider(Struct, Generic[S, C, E], frozen=True):
    """The three pure pieces of an aggregate."""

    initial: S
    evolve: Callable[[S, E], S]
    """Never fails and never decides: it trusts history."""
    decide: Callable[[S, C, datetime], tuple[E, ...]]
    """Events that follow from a command at a time (UTC), none if nothing changes; or raises
    `Rejection`."""


def fold(decider: Decider[S, C, E], state: S, events: Iterable[E]) -> S:
    """The state after `events`."""
    for event in events:
        state = decider.evolve(state, event)
    return state
