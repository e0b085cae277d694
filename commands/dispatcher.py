"""The one door of the write side: a command's type and bytes in, a reply out."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from commands.blueprint import Blueprints
from commands.catalog import (
    CancelPayload,
    ClaimPayload,
    Payload,
    PipelinePayload,
    RedoPayload,
    RegisterPayload,
    ReportPayload,
    RetryPayload,
    StartPayload,
    decode,
    payload_hash,
)
from commands.pipeline import PipelineHandlers
from commands.ports import Binder, Clock, CommandContext, CommandSender, EventStore, Hands
from commands.reply import Reply, error_of, is_accepted, refused, rejected
from commands.request import Request
from commands.run import RunHandlers
from commands.stream import Streams
from domain.errors import Failure, NotFound, Rejection


class CommandDispatcher:
    """Reads commands and leads each to its handler."""

    def __init__(
        self,
        streams: Streams,
        store: EventStore,
        binder: Binder,
        clock: Clock,
        blueprints: Blueprints,
    ) -> None:
        self._clock = clock
        self._pipelines = PipelineHandlers(streams, binder)
        self._runs = RunHandlers(streams, store, blueprints)

    def employ(self, hands: Hands) -> None:
        """Let free workers of this process begin with runs, without a way through the queue."""
        self._runs.hands = hands

    async def dispatch(
        self, command: str, payload: bytes | Mapping[str, Any] | Struct, context: CommandContext
    ) -> Reply:
        """Carry out `run.start` and the like; the accepted reply comes after the commit.

        Whatever the caller or the world did wrong comes back as a rejected reply, and nothing is
        stored then; only our own defects are raised.
        """
        try:
            request = self._read(command, payload, context)
            reply = await self._handle(request, request.payload)
            return reply if is_accepted(reply) else _named(reply, request.payload)
        except NotFound as error:
            return rejected("unknown_command", error.message, {"hint": error.hint})
        except (Rejection, Failure) as error:
            return refused(error)

    def _read(
        self, command: str, payload: bytes | Mapping[str, Any] | Struct, context: CommandContext
    ) -> Request:
        read = decode(command, payload)
        return Request(
            type=command,
            payload=read,
            payload_hash=payload_hash(read),
            command_id=read.command_id or self._clock.new_id(),
            context=context,
        )

    async def _handle(self, request: Request, payload: Payload) -> Reply:
        match payload:
            case ClaimPayload():
                return await self._runs.claim(request, payload)
            case ReportPayload():
                return await self._runs.report(request, payload)
            case StartPayload():
                return await self._runs.start(request, payload)
            case CancelPayload():
                return await self._runs.cancel(request, payload)
            case RetryPayload():
                return await self._runs.retry(request, payload)
            case RedoPayload():
                return await self._runs.redo(request, payload)
            case RegisterPayload():
                return await self._pipelines.register(request, payload)
            case PipelinePayload():
                return await self._pipelines.change(request, payload)
            case _:
                raise NotFound(f"no handler takes a {type(payload).__name__}")


class DirectSender(CommandSender):
    """Commands of workers and policies that live in the process of the handlers."""

    def __init__(self, dispatcher: CommandDispatcher) -> None:
        self._dispatcher = dispatcher

    async def send(
        self, command: str, payload: Mapping[str, Any] | Struct, context: CommandContext
    ) -> Mapping[str, Any]:
        """The accepted reply. Raises what a rejected reply tells."""
        reply = await self._dispatcher.dispatch(command, payload, context)
        if not is_accepted(reply):
            raise error_of(reply)
        return reply


def _named(reply: Reply, payload: Payload) -> Reply:
    """A reply that says which one was not found."""
    match reply.get("code"), payload:
        case "pipeline_not_found", StartPayload() | PipelinePayload():
            reply["message"] = f"there is no pipeline {payload.pipeline!r}"
            reply["details"] = {"pipeline": payload.pipeline}
        case "run_not_found", (
            CancelPayload() | RetryPayload() | RedoPayload() | ClaimPayload() | ReportPayload()
        ):
            reply["message"] = f"there is no run {payload.run}"
            reply["details"] = {"run": str(payload.run)}
    return reply
