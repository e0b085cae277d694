"""Hearing of appends to a PostgreSQL store, whoever makes them."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio

from adapters.postgres import Session, Sessions
from domain.errors import Unavailable
from domain.ids import Position

channel = "stored_events"
"""Where appends are told; the library's own recorder uses the same one."""

listen_again_seconds = 1.0
"""Between two tries to listen; until then whoever waits looks by himself."""


class Ear:
    """Wakes who waits for the store to grow. It listens from the first time that somebody waits."""

    def __init__(self, listening: Sessions) -> None:
        self._listening = listening
        self._listener: asyncio.Task[None] | None = None
        self._closing = anyio.Event()
        self._newest: Position = 0
        self._hears = False
        """Whether it is told of everything, as far as it can know."""
        self._grown = anyio.Event()

    def reached(self, position: Position) -> None:
        """A position is visible."""
        self._newest = max(self._newest, position)
        self._grown.set()
        self._grown = anyio.Event()

    async def heard(self, after: Position, seconds: float) -> Position:
        """The newest position that it knows of, as soon as that lies behind `after`, or after
        `seconds`. It asks nobody: what it misses it hears of when it listens again."""
        if self._listener is None and not self._closing.is_set():
            self._listener = asyncio.create_task(self._listen(), name="event store listener")
        with anyio.move_on_after(seconds):
            while self._newest <= after:
                await self._grown.wait()
        return self._newest

    async def wait(
        self, head: Callable[[], Awaitable[Position]], after: Position, seconds: float
    ) -> Position:
        """The head as soon as it lies behind `after`, or after `seconds`, whatever it is then."""
        if not self._hears:
            self.reached(await head())
        found = await self.heard(after, seconds)
        return found if found > after else await head()

    async def close(self) -> None:
        """Listen no more."""
        self._closing.set()
        if self._listener is not None:
            with anyio.CancelScope(shield=True):
                await asyncio.wait([self._listener])

    async def _listen(self) -> None:
        while not self._closing.is_set():
            with suppress(Unavailable):
                async with self._listening.session() as session:
                    await self._hear(session)
            with anyio.move_on_after(listen_again_seconds):
                await self._closing.wait()

    async def _hear(self, session: Session) -> None:
        """Until the session is lost, or nobody wants to hear any more."""
        over = anyio.Event()

        def heard(*told: object) -> None:
            position = str(told[-1])  # others may tell nothing here
            self.reached(int(position) if position.isdecimal() else 0)

        def ended(_: object) -> None:
            self._hears = False
            over.set()

        session.add_termination_listener(ended)
        await session.add_listener(channel, heard)
        self.reached(await session.fetchval(_HEAD))  # what was told while nobody listened
        self._hears = not over.is_set()
        async with anyio.create_task_group() as group:
            group.start_soon(self._until_closing, over)
            await over.wait()
            group.cancel_scope.cancel()
        self._hears = False
        session.remove_termination_listener(ended)
        if not session.is_closed():
            await session.remove_listener(channel, heard)

    async def _until_closing(self, over: anyio.Event) -> None:
        await self._closing.wait()
        over.set()


_HEAD = "SELECT coalesce(max(notification_id), 0) FROM stored_events"
