"""How far a view is served, for tasks of this process."""

import anyio

from domain.ids import Position
from projections.ports import Progress


class ViewProgress(Progress):
    """Wakes waiting tasks when the view's worker announces a position."""

    def __init__(self) -> None:
        self._position: Position = 0
        self._moved = anyio.Event()

    @property
    def position(self) -> Position:
        return self._position

    def reached(self, position: Position) -> None:
        self._position = position
        self._moved.set()
        self._moved = anyio.Event()

    async def wait(self, position: Position, seconds: float) -> bool:
        with anyio.move_on_after(seconds):
            while self._position < position:
                await self._moved.wait()
        return self._position >= position
