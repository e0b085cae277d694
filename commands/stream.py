"""One stream as the write side sees it: commands on their way to it, and what is known of it."""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any, Protocol
from uuid import UUID

from msgspec import Struct

from commands.ports import Envelope, EventStore
from commands.reply import Reply
from domain.decider import Decider
from domain.envelope import Metadata
from domain.errors import Malformed, Unavailable
from domain.ids import Position, StreamId, Version

replies_kept_max = 128
"""Replies kept beside the state; older ones are built again from the store when asked for."""


class Identity(Struct, frozen=True, gc=False):
    """What makes two commands the same one."""

    command_id: UUID
    type: str
    payload_hash: str


class Command(Struct, frozen=True, gc=False, kw_only=True):
    """A command on its way to its stream."""

    type: str
    """Such as `run.start`."""
    stream: StreamId
    payload: Any
    """A `PipelineCommand` or a `RunCommand`, as the stream's category asks."""
    command_id: UUID
    payload_hash: str
    principal: str
    correlation_id: UUID | None = None
    causation_id: UUID | None = None
    traceparent: str | None = None
    foretold: Callable[[Mapping[str, Any]], None] | None = None
    """Told what the reply would say further, before its events are stored, if ever they are."""

    @property
    def identity(self) -> Identity:
        """What a second delivery of this command has in common with it."""
        return Identity(self.command_id, self.type, self.payload_hash)


class StreamView(Struct, frozen=True, gc=False):
    """A stream's state at a version."""

    state: Any
    version: Version
    position: Position
    origin: Metadata | None
    """Metadata of the first event; None for a stream without any."""


class Streams(Protocol):
    """The write side's only way to its streams."""

    async def execute(self, command: Command) -> Reply:
        """Carry out a command; the reply comes after the commit. Raises `Unavailable` where too
        many wait already."""
        ...

    async def read(self, stream: StreamId) -> StreamView:
        """The stream's newest state. Raises `Unavailable`."""
        ...

    async def answered(self, stream: StreamId, identity: Identity) -> Reply | None:
        """The reply to a command that was handled before, or None."""
        ...


async def history(store: EventStore, stream: StreamId, after: Version = 0) -> Sequence[Envelope]:
    """Events of a stream behind version `after`. Raises `Unavailable`.

    So it does for an event that cannot be read: a newer version may have written it, and nothing is
    decided without it. Who can read it may be here soon, so whoever asked shall ask again.
    """
    try:
        return await store.load(stream, after)
    except Malformed as error:
        raise Unavailable(f"{stream} cannot be read: {error.message}", hint=error.hint) from error


class Handled(Struct, frozen=True, gc=False):
    """Events of one command in the stream; they stand together, in one append."""

    identity: Identity
    first: Version
    last: Version
    position: Position
    tags: tuple[str, ...]


class StreamMemory:
    """A stream as far as it is known: the state, and beside it the commands it has handled."""

    def __init__(self, initial: Any) -> None:
        self.state = initial
        self.version: Version = 0
        self.position: Position = 0
        self.origin: Metadata | None = None
        self.handled: dict[int, Handled] = {}
        """By the number that is the command's id."""
        self.replies: dict[int, Reply] = {}

    def learn(self, envelopes: Sequence[Envelope], decider: Decider[Any, Any, Any]) -> None:
        """Fold stored events that follow those known already."""
        for _, group in groupby(envelopes, lambda envelope: envelope.metadata.command_id):
            events = list(group)
            for envelope in events:
                self.state = decider.evolve(self.state, envelope.data)
            meta, last = events[0].metadata, events[-1]
            self.origin = self.origin or meta
            self.note(
                Handled(
                    Identity(meta.command_id, meta.command_type, meta.payload_hash),
                    events[0].version,
                    last.version,
                    last.position,
                    tuple(envelope.tag for envelope in events),
                )
            )

    def note(self, handled: Handled) -> None:
        """Remember a command whose events are the newest ones of the stream."""
        self.version, self.position = handled.last, handled.position
        self.handled[handled.identity.command_id.int] = handled

    def keep(self, number: int, reply: Reply) -> None:
        """Keep a reply at hand by its command's number; the oldest one makes room."""
        self.replies[number] = reply
        if len(self.replies) > replies_kept_max:
            del self.replies[next(iter(self.replies))]
