"""Handlers of the commands that address a pipeline."""

import msgspec
from msgspec.structs import replace

from commands.catalog import PipelinePayload, RegisterPayload
from commands.ports import Binder
from commands.reply import Reply
from commands.request import Request
from commands.stream import Streams
from domain.errors import TooLarge
from domain.ids import pipeline_stream
from domain.limits import definition_bytes_max
from domain.pipeline.commands import (
    PausePipeline,
    PipelineCommand,
    RegisterPipeline,
    ResumePipeline,
    RetirePipeline,
)
from domain.pipeline.events import Definition


class PipelineHandlers:
    """Registers, pauses, resumes and retires."""

    def __init__(self, streams: Streams, binder: Binder) -> None:
        self._streams = streams
        self._binder = binder

    async def register(self, request: Request, payload: RegisterPayload) -> Reply:
        """Bind the definition, then let the pipeline decide whether it is a new revision.

        A command that was handled before is answered without binding again: the data it was
        bound to may have changed since. Raises `Rejection`, `TooLarge`, `Unavailable`.
        """
        name = payload.spec.get("pipeline")
        if isinstance(name, str) and payload.command_id is not None:
            before = await self._streams.answered(pipeline_stream(name), request.identity)
            if before is not None:
                return before
        bound_name, bound = await self._binder.bind(payload.spec, payload.files, payload.root)
        check_size(bound.definition)
        decision = RegisterPipeline(
            pipeline=bound_name,
            definition=replace(bound.definition, env=payload.env),
            draft=payload.draft,
            expected_revision=payload.expected_revision,
            warnings=bound.warnings,
            project=payload.project,
            take_over=payload.take_over,
        )
        return await self._streams.execute(request.command(pipeline_stream(bound_name), decision))

    async def change(self, request: Request, payload: PipelinePayload) -> Reply:
        """Pause, resume or retire."""
        decision: PipelineCommand
        match request.type:
            case "pipeline.pause":
                decision = PausePipeline(reason=payload.reason)
            case "pipeline.resume":
                decision = ResumePipeline(reason=payload.reason)
            case _:
                decision = RetirePipeline(reason=payload.reason)
        stream = pipeline_stream(payload.pipeline)
        return await self._streams.execute(request.command(stream, decision))


def check_size(definition: Definition) -> None:
    """Raises `TooLarge` for a definition that no event may carry."""
    size = len(msgspec.json.encode(definition))
    if size > definition_bytes_max:
        raise TooLarge(
            f"the definition has {size} bytes with its files, the limit is {definition_bytes_max}"
        )
