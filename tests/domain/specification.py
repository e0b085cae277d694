"""Sentences about an aggregate: given what happened, when this is asked, then that follows."""

from datetime import UTC, datetime
from typing import Generic, TypeVar

import pytest

from domain.decider import Decider, fold
from domain.errors import Rejection

S = TypeVar("S")
C = TypeVar("C")
E = TypeVar("E")

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Given(Generic[S, C, E]):
    """A history, and what follows from a command behind it."""

    def __init__(self, decider: Decider[S, C, E], *history: E) -> None:
        self._decider = decider
        self._history = history

    @property
    def events(self) -> tuple[E, ...]:
        """The whole history."""
        return self._history

    @property
    def state(self) -> S:
        """What the history leads to."""
        return fold(self._decider, self._decider.initial, self._history)

    def when(self, command: C, at: datetime = NOON) -> "When[S, C, E]":
        """Ask for something."""
        return When(self._decider, self, command, at)


class When(Generic[S, C, E]):
    """A command that waits for its verdict."""

    def __init__(
        self, decider: Decider[S, C, E], given: Given[S, C, E], command: C, at: datetime
    ) -> None:
        self._decider = decider
        self._given = given
        self._command = command
        self._at = at

    @property
    def events(self) -> tuple[E, ...]:
        """What the decision says."""
        return self._decider.decide(self._given.state, self._command, self._at)

    def then(self, *expected: E) -> None:
        """Exactly these events follow."""
        assert self.events == expected

    def nothing(self) -> None:
        """The command is accepted and changes nothing."""
        assert self.events == ()

    def rejected(self, code: str) -> Rejection:
        """The rules refuse, with this code."""
        with pytest.raises(Rejection) as caught:
            self._decider.decide(self._given.state, self._command, self._at)
        assert caught.value.code == code
        return caught.value

    def and_so(self) -> Given[S, C, E]:
        """Go on with a history that holds the events of this decision."""
        return Given(self._decider, *self._given.events, *self.events)
