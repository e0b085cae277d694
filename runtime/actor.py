"""One actor for each stream that is in use: a bounded mailbox, and one thing done at a time.

An actor needs a task only while letters wait in its mailbox. Hands give it theirs: each takes the
next actor that has mail, works until its mailbox is empty, and rests when no actor has any. An
actor takes all that wait at once, so that many commands for one stream share a decision on the
state in memory, and an append. Idle actors are kept for their state, the least recently used ones
go first.

    letter ─► mailbox ─► actors with mail ─► hand ─► executor ─► answer
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

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


class Signal(Protocol):
    """Something that happens once, and that one task waits for."""

    def set(self) -> None:
        """It happens."""

    def is_set(self) -> bool:
        """Whether it has happened."""

    def wait(self) -> Awaitable[Any]:
        """Return when it has happened."""


class ActorLimits(Struct, frozen=True, kw_only=True):
    """How much may be in memory."""

    mailbox_letters_max: int = 1024
    """Letters that wait for one stream; who comes then is told to try again."""
    batch_commands_max: int = 256
    """Commands of one append."""
    actors_max: int = 1024
    """Streams kept in memory while idle."""
    hands_max: int = 512
    """Streams worked on at the same moment."""
    resting_max: int = 128
    """Hands kept while there is nothing to do."""


class _Read(Struct, frozen=True):
    """Asks for the newest state."""


class _Letter:
    """A question to an actor, and its answer."""

    __slots__ = ("answer", "ask", "done", "error")

    def __init__(self, ask: Command | Identity | _Read, done: Signal) -> None:
        self.ask = ask
        self.answer: Reply | StreamView | None = None
        self.error: Failure | Defect | None = None
        self.done = done

    def settle(self, answer: Reply | StreamView | None) -> None:
        self.answer = answer
        self.done.set()

    def fail(self, error: Failure | Defect) -> None:
        self.error = error
        self.done.set()


class _Actor:
    """A stream's mailbox and executor."""

    __slots__ = ("executor", "is_busy", "mailbox", "stream")

    def __init__(self, stream: StreamId, executor: StreamExecutor) -> None:
        self.stream = stream
        self.executor = executor
        self.mailbox: deque[_Letter] = deque()
        self.is_busy = False


class StreamActors(Streams):
    """All actors of a process."""

    def __init__(
        self,
        store: EventStore,
        clock: Clock,
        spawn: Spawn,
        limits: ActorLimits | None = None,
        signal: Callable[[], Signal] = anyio.Event,
    ) -> None:
        """`signal` makes what one task waits for; one that fits the event loop is quicker."""
        self._store = store
        self._clock = clock
        self._spawn = spawn
        self._limits = limits or ActorLimits()
        self._signal = signal
        self._actors: dict[int, _Actor] = {}
        """By the number that is the stream's id: it is hashed faster than the id."""
        self._mailed: deque[_Actor] = deque()
        """Actors that have mail and no hand yet."""
        self._hands = 0
        self._resting: list[Signal] = []
        self._busy = 0
        self._is_draining = False
        self._idle = anyio.Event()

    @property
    def count(self) -> int:
        """Streams in memory."""
        return len(self._actors)

    async def execute(self, command: Command) -> Reply:
        """Carry out a command. Raises `Unavailable` where too many wait already."""
        answer = await self._ask(command.stream, command)
        assert isinstance(answer, dict)  # noqa: S101  # commands are answered by replies
        return answer

    async def read(self, stream: StreamId) -> StreamView:
        """The stream's newest state. Raises `Unavailable`."""
        answer = await self._ask(stream, _Read())
        assert isinstance(answer, StreamView)  # noqa: S101  # reads are answered by views
        return answer

    async def answered(self, stream: StreamId, identity: Identity) -> Reply | None:
        """The reply to a command that was handled before, or None."""
        answer = await self._ask(stream, identity)
        assert not isinstance(answer, StreamView)  # noqa: S101  # asked for a reply
        return answer

    async def drain(self) -> None:
        """Take nothing new; return when all that was taken is answered."""
        self._is_draining = True
        if self._busy:
            await self._idle.wait()
        for rest in self._resting:
            rest.set()

    def forget(self) -> None:
        """Drop the state of all idle actors, as a new process would begin."""
        self._actors = {key: actor for key, actor in self._actors.items() if actor.is_busy}

    async def _ask(
        self, stream: StreamId, ask: Command | Identity | _Read
    ) -> Reply | StreamView | None:
        if self._is_draining:
            raise Unavailable("this service is stopping")
        actor = self._actor(stream)
        if len(actor.mailbox) >= self._limits.mailbox_letters_max:
            raise Unavailable(f"too many commands wait for {stream}", hint="try again later")
        letter = _Letter(ask, self._signal())
        actor.mailbox.append(letter)
        if not actor.is_busy:
            actor.is_busy = True
            self._busy += 1
            self._mailed.append(actor)
            self._call_hand()
        await letter.done.wait()
        if letter.error is not None:
            raise letter.error
        return letter.answer

    def _actor(self, stream: StreamId) -> _Actor:
        actor = self._actors.pop(stream.id.int, None)
        if actor is None:
            self._evict()
            actor = _Actor(stream, StreamExecutor(stream, self._store, self._clock))
        self._actors[stream.id.int] = actor
        return actor

    def _evict(self) -> None:
        while len(self._actors) >= self._limits.actors_max:
            idle = next((key for key, one in self._actors.items() if not one.is_busy), None)
            if idle is None:
                return
            del self._actors[idle]

    def _call_hand(self) -> None:
        if self._resting:
            self._resting.pop().set()
        elif self._hands < self._limits.hands_max:
            self._hands += 1
            self._spawn("actors", self._hand)

    async def _hand(self) -> None:
        """Work for whichever actor has mail; a crash costs this hand."""
        try:
            while True:
                while self._mailed:
                    await self._empty(self._mailed.popleft())
                if not await self._rest():
                    return
        finally:
            self._hands -= 1

    async def _rest(self) -> bool:
        """Wait for mail; False where this hand is not needed any more."""
        if self._is_draining or len(self._resting) >= self._limits.resting_max:
            return False
        call = self._signal()
        self._resting.append(call)
        try:
            await call.wait()
        finally:
            if not call.is_set():
                self._resting.remove(call)
        return True

    async def _empty(self, actor: _Actor) -> None:
        """Work until the mailbox is empty. A crash takes the state and the waiting along."""
        batch: list[_Letter] = []
        try:
            while actor.mailbox:
                size = min(len(actor.mailbox), self._limits.batch_commands_max)
                batch = [actor.mailbox.popleft() for _ in range(size)]
                await _work(actor.executor, batch)
        except anyio.get_cancelled_exc_class():
            told = "this service was stopped; whether the command was stored is open"
            self._lose(actor, batch, Unavailable(told))
            raise
        except BaseException:
            self._lose(actor, batch, Defect(f"the actor of {actor.stream} has crashed"))
            raise
        finally:
            actor.is_busy = False
            self._busy -= 1
            if self._is_draining and not self._busy:
                self._idle.set()

    def _lose(self, actor: _Actor, batch: Sequence[_Letter], error: Failure | Defect) -> None:
        if self._actors.get(actor.stream.id.int) is actor:
            del self._actors[actor.stream.id.int]
        for letter in (*batch, *actor.mailbox):
            if not letter.done.is_set():
                letter.fail(error)


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
