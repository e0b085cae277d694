"""Batches of changes on their way into several views of a PostgreSQL database.

Views that have something to apply at the same time share a transaction: whoever's turn it is takes
along what waits. What does not go together, such as a view that another process moves just now,
goes by itself.
"""

from collections.abc import Sequence
from contextlib import suppress

from anyio import Lock
from msgspec import Struct

from adapters.postgres import Sessions
from adapters.readmodels.known import PLACE, place_of
from adapters.readmodels.postgres_tables import SET_PLACE, with_any_text, write
from adapters.readmodels.statements import BulkStatements
from domain.errors import Conflict, HeadwaterError
from projections.ports import Bulk, Checkpoint


class Move(Struct, eq=False):
    """One view's way from a checkpoint to the next."""

    view: str
    statements: BulkStatements
    expected: Checkpoint | None
    changes: Sequence[Bulk]
    checkpoint: Checkpoint
    is_done: bool = False


class Moves:
    """Makes moves of different views, each whole or not at all."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._waiting: list[Move] = []
        self._turn = Lock()

    async def make(self, move: Move) -> None:
        """Raises `Conflict`, with nothing written, where the view is somewhere else: by another
        process, or by whoever made this move with others and was cancelled just then."""
        self._waiting.append(move)
        try:
            async with self._turn:
                if not move.is_done and len(self._waiting) > 1:
                    await self._make_waiting()
        finally:
            if move in self._waiting:
                self._waiting.remove(move)
        if not move.is_done:
            await self._alone(move)

    async def _make_waiting(self) -> None:
        """Make what waits; what is not made is left to those who wait."""
        moves, self._waiting = self._waiting, []
        with suppress(HeadwaterError):
            await _together(self._sessions, moves)

    async def _alone(self, move: Move) -> None:
        async with self._sessions.session() as session:
            places = (move.view, *place_of(move.checkpoint), *place_of(move.expected))

            async def work(changes: Sequence[Bulk]) -> None:
                async with session.transaction():
                    if await session.fetchval(_MOVE, *places) is None:
                        at = move.expected.position if move.expected else 0
                        raise Conflict(f"view {move.view}", at)
                    await write(session, move.statements, changes)

            await with_any_text(work, move.changes)


async def _together(sessions: Sessions, moves: Sequence[Move]) -> None:
    """Make those of the moves whose view is where it is expected, and that nobody else moves."""
    places = [(m.view, *place_of(m.checkpoint), *place_of(m.expected)) for m in moves]
    async with sessions.session() as session:
        async with session.transaction():
            moved = {row[0] for row in await session.fetch(_MOVE_ALL, *zip(*places, strict=True))}
            made = [move for move in moves if move.view in moved]
            for move in made:
                await write(session, move.statements, move.changes)
        for move in made:
            move.is_done = True


_MOVE = f"""
{SET_PLACE} AND ({", ".join(PLACE)}) IS NOT DISTINCT FROM ($7, $8, $9, $10, $11)
RETURNING 1
"""

_MOVE_ALL = f"""
WITH free AS (
    SELECT asked.* FROM view_checkpoints
    JOIN unnest(
        $1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::text[],
        $7::text[], $8::bigint[], $9::text[], $10::bigint[], $11::text[]
    ) AS asked (
        view, {", ".join(PLACE)}, {", ".join(f"old_{name}" for name in PLACE)}
    ) USING (view)
    WHERE ({", ".join(f"view_checkpoints.{name}" for name in PLACE)})
        IS NOT DISTINCT FROM ({", ".join(f"old_{name}" for name in PLACE)})
    FOR UPDATE OF view_checkpoints SKIP LOCKED
)
UPDATE view_checkpoints SET ({", ".join(PLACE)}) = ({", ".join(f"free.{name}" for name in PLACE)})
FROM free WHERE view_checkpoints.view = free.view
RETURNING view_checkpoints.view
"""  # noqa: S608  # nothing but names of columns
