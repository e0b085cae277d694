"""Carrying out commands on one stream: load, fold, decide, append, reply.

The expected version is the truth; the state in memory is only a faster way to it. All commands
that wait for a stream are decided one after the other on the state in memory and appended at once.
A command that was handled before is known by its id, from the metadata of its own events.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from commands.answers import told, told_unchanged
from commands.ports import Clock, Envelope, EventStore
from commands.reply import Reply, accepted, refused
from commands.stream import Command, Handled, Identity, StreamMemory, StreamView, history
from domain.catalog import CATALOG
from domain.decider import Decider, fold
from domain.envelope import EventEnvelope, Metadata
from domain.errors import Conflict, Failure, Rejection, Unavailable
from domain.ids import Position, StreamId, Version
from domain.pipeline.aggregate import PIPELINE
from domain.run.aggregate import RUN

tries_max = 8
"""Rounds of load, decide and append before a command is answered `unavailable`."""

_DECIDERS: Mapping[str, Decider[Any, Any, Any]] = {"pipeline": PIPELINE, "run": RUN}
"""Category of a stream → its decider; the category fixes the types of state and events."""

_BEGINNINGS = frozenset({"run.start", "run.retry"})
"""Commands that begin a stream."""

_TOLD_FROM_HISTORY = frozenset({"pipeline.register", "run.claim", "run.report"})
"""Commands whose reply tells more than ids."""


class _Draft:
    """Commands of one batch, decided but not stored yet."""

    __slots__ = (
        "envelopes",
        "foretold",
        "fresh",
        "is_doubtful",
        "origin",
        "since",
        "state",
        "verdicts",
        "version",
    )

    def __init__(self, memory: StreamMemory) -> None:
        self.state = memory.state
        self.version = memory.version
        self.since = memory.position
        self.origin = memory.origin
        self.envelopes: list[Envelope] = []
        self.fresh: dict[int, int] = {}
        """A command id's number → place in `verdicts`."""
        self.foretold: dict[int, dict[str, Any]] = {}
        """The same → what its reply will say further."""
        self.verdicts: list[_Verdict] = []
        self.is_doubtful = False
        """Whether something was refused, or found done, that no append will check."""


class _Fresh(Struct, frozen=True, gc=False):
    """New events."""

    command: Command
    first: Version
    last: Version
    events: tuple[Any, ...]
    tags: tuple[str, ...]
    state: Any


class _Unchanged(Struct, frozen=True, gc=False):
    """Nothing to store."""

    command: Command
    version: Version
    state: Any


class _Known(Struct, frozen=True, gc=False):
    """Handled before."""

    handled: Handled


class _Again(Struct, frozen=True, gc=False):
    """The same command as an earlier one of the batch."""

    place: int


_Verdict = _Fresh | _Unchanged | _Known | _Again | Rejection | Failure


class StreamExecutor:
    """Carries out the commands of one stream. Not for concurrent use: an actor owns it."""

    def __init__(self, stream: StreamId, store: EventStore, clock: Clock) -> None:
        self._stream = stream
        self._name = str(stream)
        self._store = store
        self._clock = clock
        self._decider = _DECIDERS[stream.category]
        self._memory: StreamMemory | None = None

    async def read(self) -> StreamView:
        """The stream's newest state. Raises `Unavailable`."""
        memory = await self._refresh()
        return StreamView(memory.state, memory.version, memory.position, memory.origin)

    async def answered(self, identity: Identity) -> Reply | None:
        """The reply to a command that was handled before, or None."""
        memory = await self._refresh()
        known = memory.handled.get(identity.command_id.int)
        if known is None:
            return None
        if known.identity != identity:
            return refused(_reused(identity.command_id))
        return await self._repeat(memory, known)

    async def execute(self, commands: Sequence[Command]) -> list[Reply]:
        """Carry out a batch; one reply for each command, none affected by another's rejection.

        A lost race is followed by a look at the stream's tail and another decision, a bounded
        number of times. After a failed append nothing is believed: the stream is read again, and
        each command is decided once more by itself, or answered from what did get stored.
        """
        for _ in range(tries_max):
            try:
                return await self._round(commands)
            except Conflict:
                continue
            except Failure as failure:
                self._memory = None
                if len(commands) == 1:
                    return [await self._settle(commands[0], failure)]
                return [(await self.execute([command]))[0] for command in commands]
        busy = Unavailable(f"{self._stream} is written to by too many others; try again")
        return [refused(busy)] * len(commands)

    async def _round(self, commands: Sequence[Command]) -> list[Reply]:
        memory = await self._recall(commands)
        draft = self._draft(memory, commands)
        if draft.is_doubtful and await self._has_grown(memory):
            draft = self._draft(memory, commands)
        positions: Sequence[Position] = ()
        if draft.envelopes:
            self._foretell(draft)
            try:
                positions = await self._store.append(self._stream, memory.version, draft.envelopes)
            except Conflict:
                await self._refresh()
                raise
            self._memory = _stored(memory, draft, positions)
        return await self._replies(memory, draft, positions)

    def _draft(self, memory: StreamMemory, commands: Sequence[Command]) -> _Draft:
        draft = _Draft(memory)
        at = self._clock.now()
        for command in commands:
            verdict = self._decide(memory, draft, command, at)
            draft.verdicts.append(verdict)
            draft.is_doubtful |= isinstance(verdict, (Rejection, _Unchanged))
        return draft

    def _foretell(self, draft: _Draft) -> None:
        for verdict in draft.verdicts:
            if isinstance(verdict, _Fresh) and (foretold := verdict.command.foretold):
                kind, events, state = verdict.command.type, verdict.events, verdict.state
                more = told(kind, self._stream, draft.origin, events, state)
                draft.foretold[verdict.command.command_id.int] = more
                foretold(more)

    async def _has_grown(self, memory: StreamMemory) -> bool:
        """Whether others have appended since; what is stored is checked by the append itself,
        but a no is only worth as much as the state that it was decided on."""
        before = memory.version
        return (await self._refresh()).version > before if memory is self._memory else False

    async def _recall(self, commands: Sequence[Command]) -> StreamMemory:
        if self._memory is not None:
            return self._memory
        if all(command.type in _BEGINNINGS for command in commands):
            # A new run's stream is almost always empty; where it is not, the append says so.
            return StreamMemory(self._decider.initial)
        return await self._refresh()

    async def _refresh(self) -> StreamMemory:
        memory = self._memory or StreamMemory(self._decider.initial)
        memory.learn(await history(self._store, self._stream, memory.version), self._decider)
        self._memory = memory
        return memory

    async def _settle(self, command: Command, failure: Failure) -> Reply:
        """Answer after a failed append, which may have been stored all the same."""
        try:
            stored = await self.answered(command.identity)
        except Failure:
            stored = None
        return stored or refused(failure)

    def _decide(
        self, memory: StreamMemory, draft: _Draft, command: Command, at: datetime
    ) -> _Verdict:
        number = command.command_id.int
        known = memory.handled.get(number)
        if known is not None:
            same = known.identity == command.identity
            return _Known(known) if same else _reused(command.command_id)
        place = draft.fresh.get(number)
        if place is not None:
            first = draft.verdicts[place]
            same = isinstance(first, _Fresh) and first.command.identity == command.identity
            return _Again(place) if same else _reused(command.command_id)
        try:
            events = self._decider.decide(draft.state, command.payload, at)
        except Rejection as rejection:
            return rejection
        if not events:
            return _Unchanged(command, draft.version, draft.state)
        return self._drafted(draft, command, events, at)

    def _drafted(
        self,
        draft: _Draft,
        command: Command,
        events: tuple[Any, ...],
        at: datetime,
    ) -> _Verdict:
        first = draft.version + 1
        tags = tuple(map(CATALOG.tag_of, events))
        metadata = _metadata(command, draft.origin)
        for event, tag in zip(events, tags, strict=True):
            draft.version += 1
            draft.envelopes.append(
                EventEnvelope(
                    event_id=self._clock.new_id(),
                    stream=self._stream,
                    version=draft.version,
                    tag=tag,
                    recorded_at=at,
                    metadata=metadata,
                    data=event,
                )
            )
        draft.state = fold(self._decider, draft.state, events)
        draft.origin = draft.origin or metadata
        draft.fresh[command.command_id.int] = len(draft.verdicts)
        return _Fresh(command, first, draft.version, events, tags, draft.state)

    async def _replies(
        self, memory: StreamMemory, draft: _Draft, positions: Sequence[Position]
    ) -> list[Reply]:
        replies: list[Reply] = []
        before = memory.version - len(positions)
        for verdict in draft.verdicts:
            match verdict:
                case _Fresh(command, _, last, events, tags, state):
                    more = draft.foretold.get(command.command_id.int) or told(
                        command.type, self._stream, memory.origin, events, state
                    )
                    position = positions[last - before - 1]
                    reply = accepted(self._name, last, position, tags, more)
                    memory.keep(command.command_id.int, reply)
                case _Unchanged(command, version, state):
                    position = positions[version - before - 1] if version > before else draft.since
                    more = told_unchanged(command.payload, state)
                    reply = accepted(self._name, version, position, (), more)
                case _Known(handled):
                    reply = await self._repeat(memory, handled)
                case _Again(place):
                    reply = replies[place]
                case Rejection() | Failure():
                    reply = refused(verdict)
            replies.append(reply)
        return replies

    async def _repeat(self, memory: StreamMemory, known: Handled) -> Reply:
        """The first reply once more, built from the stream where it is no longer in memory."""
        kept = memory.replies.get(known.identity.command_id.int)
        if kept is not None:
            return kept
        state, events = self._decider.initial, ()
        if known.identity.type in _TOLD_FROM_HISTORY:
            earlier = (await history(self._store, self._stream))[: known.last]
            state = fold(self._decider, state, (envelope.data for envelope in earlier))
            events = tuple(envelope.data for envelope in earlier[known.first - 1 :])
        more = told(known.identity.type, self._stream, memory.origin, events, state)
        reply = accepted(self._name, known.last, known.position, known.tags, more)
        memory.keep(known.identity.command_id.int, reply)
        return reply


def _stored(memory: StreamMemory, draft: _Draft, positions: Sequence[Position]) -> StreamMemory:
    """Take a stored draft into the memory."""
    base = memory.version
    for verdict in draft.verdicts:
        if isinstance(verdict, _Fresh):
            position = positions[verdict.last - base - 1]
            memory.note(
                Handled(
                    verdict.command.identity,
                    verdict.first,
                    verdict.last,
                    position,
                    verdict.tags,
                )
            )
    memory.state, memory.origin = draft.state, draft.origin
    return memory


def _metadata(command: Command, origin: Metadata | None) -> Metadata:
    chain = command.correlation_id
    if chain is None and origin is not None and command.stream.category == "run":
        chain = origin.correlation_id
    return Metadata(
        command_id=command.command_id,
        command_type=command.type,
        payload_hash=command.payload_hash,
        correlation_id=chain or command.command_id,
        causation_id=command.causation_id or command.command_id,
        principal=command.principal,
        traceparent=command.traceparent,
    )


def _reused(command_id: UUID) -> Rejection:
    return Rejection(
        "command_id_reused",
        f"the command id {command_id} was used before with other content",
        {"command_id": str(command_id)},
    )
