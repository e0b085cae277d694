"""What a pool and its children say to each other: frames of JSON behind their length."""

import struct

import msgspec
from msgspec import Raw, Struct

from commands.ports import Bound
from commands.steps.work import StepWork
from domain.errors import Defect
from domain.pipeline.events import Definition
from domain.run.commands import Failed, StepResult

HEADER = struct.Struct(">I")

frame_bytes_max = 64 * 2**20
"""Longest frame: a wide table's column edges fit many times over."""


class Room(Struct, frozen=True, kw_only=True):
    """What one attempt has."""

    memory_bytes: int
    log: str
    """Its log file, as a path."""


class StepRequest(Struct, frozen=True, kw_only=True, tag="step", omit_defaults=True):
    """Carry out a step, and those of its `ahead` behind it that have what they work on then. There
    is a reply for each of them."""

    work: StepWork
    ahead_seconds: float
    """For how long steps are begun that have no lease yet."""
    definition: Definition | None = None
    """Left out where the child has it from an earlier step of the same bundle."""
    rooms: tuple[Room, ...]
    """Of the step and of each one ahead."""


class BindRequest(Struct, frozen=True, kw_only=True, tag="bind"):
    """Check a definition."""

    spec: Raw
    files: dict[str, str]
    root: str


class PingRequest(Struct, frozen=True, kw_only=True, tag="ping"):
    """Answer when everything that a step needs is loaded."""


class StepReply(Struct, frozen=True, kw_only=True, tag="step"):
    """What came of a step."""

    result: StepResult
    resident_bytes: int
    following: str = ""
    """The step that the child goes on with; empty where it was the last one."""


class BindReply(Struct, frozen=True, kw_only=True, tag="bind"):
    """A definition that can run."""

    pipeline: str
    bound: Bound


class RefusedReply(Struct, frozen=True, kw_only=True, tag="refused"):
    """The rules refuse a definition."""

    code: str
    message: str
    details: dict[str, object]


class DefectReply(Struct, frozen=True, kw_only=True, tag="defect"):
    """A mistake in Headwater itself."""

    traceback: str


class PongReply(Struct, frozen=True, kw_only=True, tag="pong"):
    """Ready."""


Request = StepRequest | BindRequest | PingRequest
Reply = StepReply | BindReply | RefusedReply | DefectReply | PongReply

_request: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_reply: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)


def frame(message: Request | Reply) -> bytes:
    """A message as it goes through the pipe."""
    body = msgspec.json.encode(message)
    return HEADER.pack(len(body)) + body


def defect(reply: Reply | Failed) -> Defect:
    """What to raise for a reply that says that a child is not as it should be."""
    if isinstance(reply, DefectReply):
        return Defect(f"a step process failed in its own code:\n{reply.traceback}")
    return Defect(f"a step process answered {type(reply).__name__}")


def read_request(body: bytes) -> Request:
    """What the parent wants."""
    return _request.decode(body)


def read_reply(body: bytes) -> Reply:
    """What the child says."""
    return _reply.decode(body)
