"""A feed of a log that says when it has grown."""

from collections.abc import Sequence

import anyio

from commands.ports import EventLog
from domain.errors import Unavailable
from domain.ids import Position
from domain.record import Recorded
from projections.ports import EventFeed


class LogFeed(EventFeed):
    """Events of a log as they come, whoever has stored them."""

    def __init__(self, log: EventLog, start: Position) -> None:
        """It begins behind `start`."""
        self._log = log
        self._position = start

    async def next(self, limit: int, seconds: float) -> Sequence[Recorded]:
        """As promised by the port."""
        try:
            head = await self._log.wait(self._position, seconds)
            if head <= self._position:
                return ()
            found = await self._log.read(self._position, limit)
        except Unavailable:
            await anyio.sleep(seconds)
            return ()
        self._position = found[-1].position if found else head
        return found
