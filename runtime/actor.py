"""One actor for each stream that is in use: a bounded mailbox, and one thing done at a time.

An actor has a task only while letters wait in its mailbox. It takes all that wait at once, so that
many commands for one stream share a decision on the state in memory, and an append. Idle actors
are kept for their state, the least recently used ones go first.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import anyio
from msgspec import Struct

from commands.execution import StreamExecutor
from commands.ports import Clock, EventStore
from commands.reply import Reply
from commands.stream import Command, Identity, Streams, StreamView
from domain.errors import Defect, Failure, Unavailable
from domain.ids import StreamId

Spawn = Callable[[str, Callable[[], Awaitable[None]]], None]
"""Run something in a task that has an owner; a crash is the owner's to show."""


class ActorLimits(Struct, frozen=True, kw_only=True):
    """How much may be in memory."""

    mailbox_letters_max: int = 1024
    """Letters that wait for one stream; who comes then is told to try again."""
    batch_commands_max: int = 256
    """Commands of one append."""
    actors_max: int = 1024
    """Streams kept in memory while idle."""


class _Read(Struct, frozen=True):
    """Asks for the newest state."""


class _Letter:
    """A question to an actor, and its answer."""

    __slots__ = ("answer", "ask", "done", "error")

    def __init__(self, ask: Command | Identity | _Read) -> None:
        self.ask = ask
        self.answer: Reply | StreamView | None = None
        self.error: Failure | Defect | None = None
        self.done = anyio.Event()

    def settle(self, answer: Reply | StreamView | None) -> None:
        self.answer = answer
        self.done.set()

    def fail(self, error: Failure | Defect) -> None:
        self.error = error
        self.done.set()


class _Actor:
    """A stream's mailbox and executor."""

    def __init__(self, executor: StreamExecutor) -> None:
        self.executor = executor
        self.mailbox: deque[_Letter] = deque()
        self.is_busy = False


class StreamActors(Streams):
    """All actors of a process."""

    def __init__(
        self, store: EventStore, clock: Clock, spawn: Spawn, limits: ActorLimits | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._spawn = spawn
        self._limits = limits or ActorLimits()
        self._actors: dict[StreamId, _Actor] = {}
        self._busy = 0
        self._is_draining = False
        self._idle = anyio.Event()

    @property
    def count(self) -> int:
        """Streams in memory."""
        return len(self._actors)

    async def execute(self, command: Command) -> Reply:
        """Carry out a command. Raises `Unavailable` where too many wait already."""
        answer = await self._ask(command.stream, _Letter(command))
        assert isinstance(answer, dict)  # noqa: S101  # commands are answered by replies
        return answer

    async def read(self, stream: StreamId) -> StreamView:
        """The stream's newest state. Raises `Unavailable`, `Malformed`."""
        answer = await self._ask(stream, _Letter(_Read()))
        assert isinstance(answer, StreamView)  # noqa: S101  # reads are answered by views
        return answer

    async def answered(self, stream: StreamId, identity: Identity) -> Reply | None:
        """The reply to a command that was handled before, or None."""
        answer = await self._ask(stream, _Letter(identity))
        assert not isinstance(answer, StreamView)  # noqa: S101  # asked for a reply
        return answer

    async def drain(self) -> None:
        """Take nothing new; return when all that was taken is answered."""
        self._is_draining = True
        while self._busy:
            await self._idle.wait()

    def forget(self) -> None:
        """Drop the state of all idle actors, as a new process would begin."""
        self._actors = {name: actor for name, actor in self._actors.items() if actor.is_busy}

    async def _ask(self, stream: StreamId, letter: _Letter) -> Reply | StreamView | None:
        if self._is_draining:
            raise Unavailable("this service is stopping")
        actor = self._actor(stream)
        if len(actor.mailbox) >= self._limits.mailbox_letters_max:
            raise Unavailable(f"too many commands wait for {stream}", hint="try again later")
        actor.mailbox.append(letter)
        if not actor.is_busy:
            actor.is_busy = True
            self._busy += 1
            self._spawn(f"actor {stream}", lambda: self._empty(stream, actor))
        await letter.done.wait()
        if letter.error is not None:
            raise letter.error
        return letter.answer

    def _actor(self, stream: StreamId) -> _Actor:
        actor = self._actors.pop(stream, None)
        if actor is None:
            self._evict()
            actor = _Actor(StreamExecutor(stream, self._store, self._clock))
        self._actors[stream] = actor
        return actor

    def _evict(self) -> None:
        while len(self._actors) >= self._limits.actors_max:
            idle = next((name for name, one in self._actors.items() if not one.is_busy), None)
            if idle is None:
                return
            del self._actors[idle]

    async def _empty(self, stream: StreamId, actor: _Actor) -> None:
        """Work until the mailbox is empty. A crash takes the state and the waiting along."""
        batch: list[_Letter] = []
        error: Failure | Defect | None = Defect(f"the actor of {stream} has crashed")
        try:
            while actor.mailbox:
                size = min(len(actor.mailbox), self._limits.batch_commands_max)
                batch = [actor.mailbox.popleft() for _ in range(size)]
                await _work(actor.executor, batch)
            error = None
        except anyio.get_cancelled_exc_class():
            error = Unavailable("this service was stopped; whether the command was stored is open")
            raise
        finally:
            if error is not None:
                if self._actors.get(stream) is actor:
                    del self._actors[stream]
                for letter in (*batch, *actor.mailbox):
                    if not letter.done.is_set():
                        letter.fail(error)
            actor.is_busy = False
            self._busy -= 1
            if not self._busy:
                self._idle.set()
                self._idle = anyio.Event()


async def _work(executor: StreamExecutor, batch: Sequence[_Letter]) -> None:
    """Commands first, in one append; whoever only asks sees their effect."""
    commands = [letter.ask for letter in batch if isinstance(letter.ask, Command)]
    replies = iter(await executor.execute(commands) if commands else ())
    view: StreamView | None = None
    for letter in batch:
        try:
            match letter.ask:
                case Command():
                    letter.settle(next(replies))
                case _Read():
                    view = view or await executor.read()
                    letter.settle(view)
                case Identity():
                    letter.settle(await executor.answered(letter.ask))
        except Failure as failure:
            letter.fail(failure)
