"""Batches of changes on their way into several views, together in one transaction."""

import sqlite3
from collections.abc import Sequence

from adapters.readmodels import views
from domain.errors import Conflict
from projections.ports import Bulk, Checkpoint


class Move:
    """One view's way from a checkpoint to the next, and what became of it."""

    def __init__(
        self,
        view: str,
        writer: views.Writer,
        expected: Checkpoint | None,
        changes: Sequence[Bulk],
        checkpoint: Checkpoint,
    ) -> None:
        self._view = view
        self._writer = writer
        self._expected = expected
        self._changes = changes
        self._checkpoint = checkpoint
        self.is_done = False
        self._error: Exception | None = None

    def make(self, connection: sqlite3.Connection) -> None:
        """Inside a transaction. A conflict is found before anything is written, and kept."""
        self._error = None
        try:
            views.move_checkpoint(connection, self._view, self._expected, self._checkpoint)
        except Conflict as conflict:
            self._error = conflict
        else:
            self._writer.apply(connection, self._changes)

    def fail(self, error: Exception) -> None:
        """Nothing of it was written."""
        self._error = error
        self.is_done = True

    def settle(self) -> None:
        """Raise what went wrong."""
        if self._error is not None:
            raise self._error


def move_all(connection: sqlite3.Connection, moves: Sequence[Move]) -> None:
    """Make all that are not done yet; where one fails, each by itself."""
    waiting = [move for move in moves if not move.is_done]
    try:
        if waiting:
            _together(connection, waiting)
    except Exception as error:  # noqa: BLE001  # raised again, to whom it belongs
        if len(waiting) == 1:
            waiting[0].fail(views.failure(error))
        else:
            for move in waiting:
                move_all(connection, [move])


def _together(connection: sqlite3.Connection, moves: Sequence[Move]) -> None:
    with views.transaction(connection):
        for move in moves:
            move.make(connection)
    for move in moves:
        move.is_done = True
