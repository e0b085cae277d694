"""A command that was read, before it is known which stream it goes to."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from msgspec import Struct

from commands.catalog import Payload
from commands.ports import CommandContext
from commands.stream import Command, Identity
from domain.ids import StreamId


class Request(Struct, frozen=True, gc=False, kw_only=True):
    """A payload with everything that came along."""

    type: str
    payload: Payload
    payload_hash: str
    command_id: UUID
    context: CommandContext

    @property
    def identity(self) -> Identity:
        """What a second delivery has in common with this one."""
        return Identity(self.command_id, self.type, self.payload_hash)

    def command(
        self,
        stream: StreamId,
        decision: Any,
        foretold: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> Command:
        """The command for a stream; `decision` is what its aggregate is asked."""
        return Command(
            type=self.type,
            stream=stream,
            payload=decision,
            command_id=self.command_id,
            payload_hash=self.payload_hash,
            principal=self.context.principal,
            correlation_id=self.payload.correlation_id or self.context.correlation_id,
            causation_id=self.payload.causation_id or self.context.causation_id,
            traceparent=self.context.traceparent,
            foretold=foretold,
        )
